// What a shard_runner does for its prefix cache: knows what its sequences hold, and takes from a segment what a held
// text has.
#include "actors/engine/defaults.hpp"
#include "actors/engine/shard_runner.hpp"
#include "actors/guarded.hpp"

#include <algorithm>

namespace virga {

namespace {

bool wants_all_rows(const models::wants& w) {
  return w.rows == rows_wanted::all || w.logits == rows_wanted::all || w.tokens == rows_wanted::all;
}

bool wants_nothing(const models::wants& w) {
  return w.rows == rows_wanted::none && w.logits == rows_wanted::none && w.tokens == rows_wanted::none;
}

} // namespace

bool shard_runner::passes_all(const models::segment& seg) const {
  return seg.first_stage == 0 && seg.last_stage + 1 == info().stages.size()
         && info().stages.front().kind == models::stage_kind::embedding;
}

/// A piece of a prompt, of which something may be known; no decoding.
bool shard_runner::worth_asking(const history& h, const models::segment& seg) const {
  return h.known && h.text.size() >= seg.base && passes_all(seg) && seg.tokens.size() >= least_saved()
      && !wants_all_rows(seg.want);
}

/// Tokens of a segment that are worth a fork.
std::uint32_t shard_runner::least_saved() const { return std::min(prefixes_.least(), engine_defaults::few_rows); }

/// The held text that has a beginning of the segment's tokens behind the history's, worth a fork; else length 0.
prefix_cache::match shard_runner::reusable(const history& h, const models::segment& seg) const {
  if (!worth_asking(h, seg) || prefixes_.size() == 0)
    return {};
  std::vector<token_id> text(h.text.begin(), h.text.begin() + static_cast<std::ptrdiff_t>(seg.base));
  text.insert(text.end(), seg.tokens.begin(), seg.tokens.end());
  auto found = prefixes_.longest(text);
  if (found.length < std::max<std::uint64_t>(prefixes_.least(), seg.base + least_saved()))
    return {};
  if (found.length == text.size() && !wants_nothing(seg.want))
    --found.length;  // what is wanted comes from the last row
  return found;
}

/// Puts the history on a fork of a held text and leaves the rest to be run. @returns whether nothing is left
bool shard_runner::reuse(history& h, models::segment& seg) {
  h.known = h.known && passes_all(seg) && h.text.size() >= seg.base;
  h.text.resize(h.known ? seg.base : 0);
  if (!worth_asking(h, seg))
    return false;
  prefixes_.counts.asked_tokens += seg.tokens.size();
  const auto found = reusable(h, seg);
  if (found.length == 0)
    return false;
  auto forked = guarded([&] { return shard_->fork(found.seq, found.length); });
  if (!forked)
    return false;
  shard_->close(h.seq);
  h.seq = seg.seq = *forked;
  const auto saved = found.length - seg.base;
  const auto rest = seg.tokens.begin() + static_cast<std::ptrdiff_t>(saved);
  h.text.insert(h.text.end(), seg.tokens.begin(), rest);
  prefixes_.touch(h.text);
  seg.tokens.erase(seg.tokens.begin(), rest);
  seg.base = found.length;
  prefixes_.counts.saved_tokens += saved;
  ++prefixes_.counts.hits;
  return seg.tokens.empty();
}

/// A segment has run. A piece of a prompt is held from now on, in whole multiples of what is worth it: the sequence
/// that goes on behind them copies no page.
void shard_runner::ran(const sequence_key& key, const models::segment& seg) {
  auto& h = names_.at(key);
  if (!h.known)
    return;
  h.text.insert(h.text.end(), seg.tokens.begin(), seg.tokens.end());
  if (seg.tokens.size() < least_saved())
    return;
  std::vector<token_id> text(h.text.begin(),
                             h.text.end() - static_cast<std::ptrdiff_t>(h.text.size() % prefixes_.least()));
  if (prefixes_.worth_keeping(text))
    if (auto forked = guarded([&] { return shard_->fork(h.seq, text.size()); }))
      prefixes_.keep(*forked, std::move(text));
}

/// A text that ends stays held.
shard_runner::name_map::iterator shard_runner::close(name_map::iterator at) {
  auto& h = at->second;
  if (h.known && guarded([&] { shard_->truncate(h.seq, h.text.size()); }))  // a step that broke may have left more
    prefixes_.keep(h.seq, std::move(h.text));
  else
    shard_->close(h.seq);
  return names_.erase(at);
}

std::uint32_t shard_runner::rows_needed(const keyed_segment& work) const {
  const auto& seg = work.seg;
  const auto rows = static_cast<std::uint32_t>(std::max<std::size_t>(seg.tokens.size(), seg.rows.rows));
  const auto name = names_.find(work.key);
  const auto found = name != names_.end() ? reusable(name->second, seg)
                     : work.from            ? prefix_cache::match{}
                                            : reusable({{}, prefixes_.least() > 0, {}}, seg);
  return found.length == 0 ? rows : static_cast<std::uint32_t>(seg.base + seg.tokens.size() - found.length);
}

std::uint64_t shard_runner::kv_bytes_free(std::uint64_t enough) const {
  const auto used = shard_->kv_bytes(), limit = shard_->kv_bytes_limit();
  if (limit >= used && limit - used >= enough)
    return limit - used;
  const auto in_use = used - prefixes_.bytes();
  return limit > in_use ? limit - in_use : 0;
}

} // namespace virga
