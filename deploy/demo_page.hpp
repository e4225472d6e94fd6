// deploy/demo_page.hpp: the demonstration's report as one HTML file that needs nothing else.
#pragma once

#include <string>

namespace virga::deploy {

/// @param report what report_json gave
std::string demo_page(const std::string& report);

} // namespace virga::deploy
