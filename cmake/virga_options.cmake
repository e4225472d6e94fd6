# virga_options: the warnings, include root and sanitizers of every target of ours.
add_library(virga_options INTERFACE)
target_include_directories(virga_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(virga_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(virga_options INTERFACE -Wno-restrict -Wno-maybe-uninitialized)  # false alarms in std::string and std::variant
endif()
if(VIRGA_WERROR)
  target_compile_options(virga_options INTERFACE -Werror)
endif()
if(VIRGA_SANITIZE)
  # CAF 0.17.6 binds a null reference in init_fun_factory.hpp, hence no -fsanitize=null.
  target_compile_options(virga_options INTERFACE
    -fsanitize=${VIRGA_SANITIZE} -fno-sanitize=null -fno-omit-frame-pointer)
  target_link_options(virga_options INTERFACE -fsanitize=${VIRGA_SANITIZE})
  if(VIRGA_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(virga_options INTERFACE -Wno-tsan)  # Asio's fences, which TSan cannot follow
  endif()
endif()
