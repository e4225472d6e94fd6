#include "actors/gateway/page.hpp"

#include "actors/gateway/take_in.hpp"

#include <stdexcept>

VIRGA_TAKE_IN(virga_chart, VIRGA_CHART_JS);
VIRGA_TAKE_IN(virga_status_page, VIRGA_STATUS_PAGE);

namespace virga {

std::string_view chart_library() { return virga_taken_in(virga_chart); }

std::string with_charts(std::string_view page) {
  constexpr std::string_view mark = "/*CHART*/";
  auto at = page.find(mark);
  if (at == page.npos)
    throw std::logic_error("the page has no place for its charts");
  return std::string(page.substr(0, at)).append(chart_library()).append(page.substr(at + mark.size()));
}

std::string_view status_page() {
  static const auto page = with_charts(virga_taken_in(virga_status_page));
  return page;
}

} // namespace virga
