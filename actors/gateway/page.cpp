#include "actors/gateway/page.hpp"

#include <stdexcept>

// The files' bytes, placed by the assembler. VIRGA_* are their paths, from CMake.
#define VIRGA_TAKE_IN(name, file)                                                                                       \
  asm(".section .rodata\n" #name "_begin:\n.incbin \"" file "\"\n" #name "_end:\n.byte 0\n.previous\n");               \
  extern "C" const char name##_begin[] __attribute__((visibility("hidden")));                                          \
  extern "C" const char name##_end[] __attribute__((visibility("hidden")))

VIRGA_TAKE_IN(virga_chart, VIRGA_CHART_JS);
VIRGA_TAKE_IN(virga_status_page, VIRGA_STATUS_PAGE);

namespace virga {

std::string_view chart_library() { return {virga_chart_begin, static_cast<std::size_t>(virga_chart_end - virga_chart_begin)}; }

std::string with_charts(std::string_view page) {
  constexpr std::string_view mark = "/*CHART*/";
  auto at = page.find(mark);
  if (at == page.npos)
    throw std::logic_error("the page has no place for its charts");
  return std::string(page.substr(0, at)).append(chart_library()).append(page.substr(at + mark.size()));
}

std::string_view status_page() {
  static const auto page = with_charts(
    {virga_status_page_begin, static_cast<std::size_t>(virga_status_page_end - virga_status_page_begin)});
  return page;
}

} // namespace virga
