// actors/gateway/page.hpp: the page at `/`, whole in one answer: markup, script and the chart library (Debian's
// libjs-chart.js, taken in when virga is built). It shows /status and /requests and holds no data itself.
#pragma once

#include <string>
#include <string_view>

namespace virga {

/// Chart.js, minified; safe inside a <script>.
std::string_view chart_library();

/// The template's mark for the library, replaced. Pages of other parts of virga use it as well.
std::string with_charts(std::string_view page);

std::string_view status_page();

} // namespace virga
