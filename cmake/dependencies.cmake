# Every third-party library as one imported target with system headers.
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(CapnProto 0.9.2 REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(yaml-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(CLI11 QUIET)
if(NOT CLI11_FOUND)
  find_path(CLI11_INCLUDE CLI/CLI.hpp REQUIRED)
endif()

# The tokenizers' expressions and Unicode's normal forms.
foreach(part pcre2 utf8proc)
  find_path(${part}_INCLUDE ${part}.h REQUIRED)
  add_library(virga_${part} INTERFACE)
  target_include_directories(virga_${part} SYSTEM INTERFACE ${${part}_INCLUDE})
endforeach()
find_library(pcre2_LIBRARY pcre2-8 REQUIRED)
find_library(utf8proc_LIBRARY utf8proc REQUIRED)
target_link_libraries(virga_pcre2 INTERFACE ${pcre2_LIBRARY})
target_link_libraries(virga_utf8proc INTERFACE ${utf8proc_LIBRARY})

# CAF 0.17.6 as Debian ships it: headers and libraries without CMake files.
find_path(CAF_INCLUDE caf/config.hpp REQUIRED)
foreach(part core io openssl)
  find_library(CAF_${part}_LIBRARY caf_${part} REQUIRED)
  add_library(CAF::${part} UNKNOWN IMPORTED)
  set_target_properties(CAF::${part} PROPERTIES IMPORTED_LOCATION ${CAF_${part}_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${CAF_INCLUDE})
endforeach()
target_link_libraries(CAF::core INTERFACE Threads::Threads)

# libtorch: a CPU program needs libtorch_cpu and libc10 only (docs/decisions/0001-libtorch.md).
set(torch_dir "${VIRGA_TORCH}")
if(NOT torch_dir)
  set(cache_home "$ENV{XDG_CACHE_HOME}")
  if(NOT cache_home)
    set(cache_home "$ENV{HOME}/.cache")
  endif()
  set(torch_dir "${cache_home}/virga/libtorch-2.11.0/torch")
endif()
if(NOT EXISTS "${torch_dir}/include/ATen/ATen.h")
  message(FATAL_ERROR "No libtorch in ${torch_dir} (include/ATen/ATen.h is missing). "
    "Run `make setup`, or give your own: VIRGA_TORCH=DIR make")
endif()
add_library(virga_torch INTERFACE)
target_include_directories(virga_torch SYSTEM INTERFACE
  ${torch_dir}/include ${torch_dir}/include/torch/csrc/api/include)
target_link_directories(virga_torch INTERFACE ${torch_dir}/lib)
target_link_options(virga_torch INTERFACE
  -Wl,--no-as-needed -Wl,--allow-shlib-undefined)
set(CMAKE_BUILD_RPATH ${torch_dir}/lib)
target_link_libraries(virga_torch INTERFACE torch_cpu c10)
# at::parallel_for is a template: without OpenMP in our files it is a plain loop. The one OpenMP of the process is libtorch's.
file(GLOB torch_openmp ${torch_dir}/lib/libgomp*.so*)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  target_compile_options(virga_torch INTERFACE -fopenmp)
  list(APPEND torch_openmp gomp)
  list(GET torch_openmp 0 torch_openmp)
  target_link_libraries(virga_torch INTERFACE ${torch_openmp})
endif()
