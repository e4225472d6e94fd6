#include "actors/placements.hpp"

#include <algorithm>
#include <tuple>

namespace virga {

template <class Which>
void placements::forget(Which which) {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    if (!which(it->second)) {
      ++it;
      continue;
    }
    --ways_[it->second.way].sessions;
    it = sessions_.erase(it);
  }
}

void placements::rise(std::size_t way) {
  fall(way);
  ways_[way].runs = true;
  ways_[way].leaves = false;
}

void placements::fall(std::size_t way) {
  ways_.at(way).runs = false;
  forget([way](const placed& p) { return p.way == way; });
}

std::optional<std::size_t> placements::place(const header& hdr) {
  if (auto it = sessions_.find(hdr.session); it != sessions_.end()) {
    auto& p = it->second;
    p.epoch = std::max(p.epoch, hdr.epoch);
    p.deadline = hdr.deadline;
    return p.way;
  }
  auto rank = [](const replica& r) { return std::tuple(!r.runs, r.leaves, r.sessions); };
  auto best = std::ranges::min_element(ways_, {}, rank);
  if (!best->runs)
    return std::nullopt;
  ++best->sessions;
  const auto way = static_cast<std::size_t>(best - ways_.begin());
  sessions_.emplace(hdr.session, placed{way, hdr.epoch, hdr.deadline});
  return way;
}

std::optional<std::size_t> placements::find(const session_id& id) const {
  auto it = sessions_.find(id);
  return it == sessions_.end() ? std::nullopt : std::optional{it->second.way};
}

void placements::release(const header& hdr) {
  auto it = sessions_.find(hdr.session);
  if (it == sessions_.end() || it->second.epoch > hdr.epoch)
    return;
  --ways_[it->second.way].sessions;
  sessions_.erase(it);
}

void placements::expire(time_point now) {
  forget([now](const placed& p) { return p.deadline <= now; });
}

} // namespace virga
