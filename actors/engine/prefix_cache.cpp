#include "actors/engine/prefix_cache.hpp"

#include "actors/engine/defaults.hpp"

#include <algorithm>

namespace virga {

namespace {

std::uint64_t common(std::span<const token_id> a, std::span<const token_id> b) {
  return static_cast<std::uint64_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

} // namespace

bool prefix_cache::by_tokens::operator()(std::span<const token_id> a, std::span<const token_id> b) const {
  return std::ranges::lexicographical_compare(a, b);
}

prefix_cache::held_map::const_iterator prefix_cache::nearest(std::span<const token_id> text) const {
  const auto after = held_.lower_bound(text);
  if (after == held_.begin())
    return after;
  const auto before = std::prev(after);
  return after == held_.end() || common(before->first, text) > common(after->first, text) ? before : after;
}

prefix_cache::match prefix_cache::longest(std::span<const token_id> text) const {
  const auto it = nearest(text);
  return it == held_.end() ? match{} : match{it->second.seq, common(it->first, text)};
}

void prefix_cache::touch(std::span<const token_id> text) {
  if (const auto it = nearest(text); it != held_.end())
    held_.find(it->first)->second.used = ++now_;
}

bool prefix_cache::worth_keeping(std::span<const token_id> text) const {
  return least_ > 0 && text.size() >= least_ && longest(text).length < text.size();
}

void prefix_cache::keep(models::sequence seq, std::vector<token_id> text) {
  if (!worth_keeping(text))
    return shard_.close(seq);
  if (const auto it = nearest(text); it != held_.end() && common(it->first, text) == it->first.size())
    drop(it);
  held_.emplace(std::move(text), text_held{seq, ++now_});
  if (held_.size() > engine_defaults::prefix_texts)
    drop(std::ranges::min_element(held_, {}, [](const auto& h) { return h.second.used; }));
}

bool prefix_cache::evict() {
  auto order = [this](const auto& h) {
    const bool alone = shard_.kv_bytes_held_by(std::span(&h.second.seq, 1)) > 0;
    return std::pair(!alone, h.second.used);
  };
  if (held_.empty())
    return false;
  drop(std::ranges::min_element(held_, {}, order));
  ++counts.evictions;
  return true;
}

std::uint64_t prefix_cache::bytes() const {
  std::vector<models::sequence> all;
  for (const auto& [text, h] : held_)
    all.push_back(h.seq);
  return shard_.kv_bytes_held_by(all);
}

void prefix_cache::drop(held_map::const_iterator it) {
  shard_.close(it->second.seq);
  held_.erase(it);
}

} // namespace virga
