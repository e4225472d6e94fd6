#include "actors/pending_table.hpp"

namespace virga {

bool pending_table::add(const header& hdr, sink reply, std::size_t way) {
  auto it = entries_.find(key_of(hdr));
  if (it != entries_.end()) {
    it->second = {hdr, std::move(reply), way};
    return true;
  }
  if (entries_.size() >= max_)
    return false;
  entries_.emplace(key_of(hdr), entry{hdr, std::move(reply), way});
  return true;
}

std::optional<sink> pending_table::take(const header& hdr, bool last) {
  auto it = entries_.find(key_of(hdr));
  if (it == entries_.end())
    return std::nullopt;
  auto reply = it->second.reply;
  if (last)
    entries_.erase(it);
  return reply;
}

template <class Which>
std::vector<pending_table::entry> pending_table::remove(Which which) {
  std::vector<entry> out;
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (!which(it->second)) {
      ++it;
      continue;
    }
    out.push_back(std::move(it->second));
    it = entries_.erase(it);
  }
  return out;
}

std::vector<pending_table::entry> pending_table::expire(time_point now) {
  return remove([now](const entry& e) { return e.hdr.deadline <= now; });
}

std::vector<pending_table::entry> pending_table::drain(std::size_t way) {
  return remove([way](const entry& e) { return e.way == way; });
}

} // namespace virga
