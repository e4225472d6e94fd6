#include "deploy/demo_page.hpp"

#include "actors/gateway/page.hpp"
#include "actors/gateway/take_in.hpp"

#include <stdexcept>

VIRGA_TAKE_IN(virga_demo_page, VIRGA_DEMO_PAGE);

namespace virga::deploy {

std::string demo_page(const std::string& report) {
  std::string data;
  for (char c : report)  // no text in it may end the script that holds it
    data += c == '<' ? "\\u003c" : std::string(1, c);
  auto page = with_charts(virga_taken_in(virga_demo_page));
  constexpr std::string_view mark = "/*DATA*/";
  auto at = page.find(mark);
  if (at == page.npos)
    throw std::logic_error("the page has no place for its data");
  return page.replace(at, mark.size(), data);
}

} // namespace virga::deploy
