#include "models/stop_strings.hpp"

#include <algorithm>

namespace virga::models {

namespace {

/// Length of the longest end of `text` that begins `stop` without being all of it.
std::size_t begun(std::string_view text, std::string_view stop) {
  for (auto n = std::min(text.size(), stop.size() - 1); n > 0; --n)
    if (text.ends_with(stop.substr(0, n)))
      return n;
  return 0;
}

} // namespace

stop_strings::stop_strings(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, "");
}

stop_strings::result stop_strings::push(std::string_view piece) {
  if (stopped_)
    return {{}, true};
  held_ += piece;
  auto found = std::string::npos;
  std::size_t held = 0;
  for (auto& stop : stops_) {
    found = std::min(found, held_.find(stop));
    held = std::max(held, begun(held_, stop));
  }
  stopped_ = found != std::string::npos;
  result r{held_.substr(0, stopped_ ? found : held_.size() - held), stopped_};
  held_.erase(0, stopped_ ? held_.size() : r.text.size());
  return r;
}

std::string stop_strings::finish() { return std::exchange(held_, {}); }

} // namespace virga::models
