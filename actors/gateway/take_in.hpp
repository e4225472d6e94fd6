// actors/gateway/take_in.hpp: a file's bytes inside the program, placed by the assembler. Once in a .cpp, at global
// scope.
#pragma once

#include <string_view>

/// Afterwards virga_taken_in(name) is a std::string_view of them.
/// @param file a string literal: an absolute path, from CMake
#define VIRGA_TAKE_IN(name, file)                                                                                       \
  asm(".section .rodata\n" #name "_begin:\n.incbin \"" file "\"\n" #name "_end:\n.byte 0\n.previous\n");               \
  extern "C" const char name##_begin[] __attribute__((visibility("hidden")));                                          \
  extern "C" const char name##_end[] __attribute__((visibility("hidden")))

#define virga_taken_in(name) std::string_view(name##_begin, static_cast<std::size_t>(name##_end - name##_begin))
