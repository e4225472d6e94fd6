#include "actors/engine/shard_runner.hpp"

#include "actors/guarded.hpp"

#include <algorithm>

namespace virga {

namespace {

using result = caf::expected<models::segment_result>;

bool has_kv(const models::stage& s) {
  return s.kind == models::stage_kind::layers || s.kind == models::stage_kind::adapter;
}

std::uint64_t rows_of(const models::segment& s) { return std::max<std::uint64_t>(s.tokens.size(), s.rows.rows); }

} // namespace

std::vector<result> shard_runner::run(std::vector<keyed_segment> batch) {
  std::vector<result> out;
  std::vector<models::segment> ready;
  std::vector<std::size_t> place;
  rows_run_ = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    auto done = prepare(batch[i]);
    out.push_back(done ? std::move(*done) : result{models::segment_result{}});
    if (!done) {
      ready.push_back(std::move(batch[i].seg));
      place.push_back(i);
      rows_run_ += rows_of(ready.back());
    }
  }
  auto results = step(ready);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i])
      ran(batch[place[i]].key, ready[i]);
    out[place[i]] = std::move(results[i]);
  }
  return out;
}

/// One step; when it throws, each segment alone, so that only the guilty one fails.
std::vector<result> shard_runner::step(std::vector<models::segment>& batch) {
  if (batch.empty())
    return {};
  auto together = make_room_and_step(batch);
  if (together && together->size() == batch.size())
    return {std::make_move_iterator(together->begin()), std::make_move_iterator(together->end())};
  if (together)
    return std::vector<result>(batch.size(), make_error(ec::model_error, "the model gave too few results"));
  if (batch.size() == 1)
    return {result{together.error()}};
  std::vector<result> out;
  for (auto& seg : batch) {
    // A step that broke half-way may have grown caches; the shard's own refusals have changed nothing.
    auto err = align(seg);
    std::vector<models::segment> alone{seg};
    out.push_back(err ? result{std::move(err)} : std::move(step(alone).front()));
  }
  return out;
}

/// Held texts are given up before a step is refused for its memory.
caf::expected<std::vector<models::segment_result>> shard_runner::make_room_and_step(
  const std::vector<models::segment>& batch) {
  for (;;) {
    auto results = guarded([&] { return shard_->step(batch); });
    if (results || results.error() != ec::out_of_pages || !prefixes_.evict())
      return results;
  }
}

/// Finds or opens the sequence, brings it to the segment's base and takes from the segment what a held text already
/// has.
std::optional<result> shard_runner::prepare(keyed_segment& work) {
  auto& seg = work.seg;
  if (seg.last_stage >= info().stages.size() || seg.first_stage > seg.last_stage)
    return make_error(ec::bad_tensor, "this engine has stages 0 to " + std::to_string(info().stages.size() - 1)
                                        + ", asked were " + std::to_string(seg.first_stage) + " to "
                                        + std::to_string(seg.last_stage));
  auto name = names_.find(work.key);
  if (name == names_.end()) {
    auto opened = open(work);
    if (!opened)
      return opened.error();
    name = names_.emplace(work.key, std::move(*opened)).first;
  }
  seg.seq = name->second.seq;
  if (auto err = align(seg))
    return err;
  if (reuse(name->second, seg))
    return models::segment_result{};
  return std::nullopt;
}

/// A new history, or a branch of one.
caf::expected<shard_runner::history> shard_runner::open(const keyed_segment& work) {
  if (!work.from)
    return guarded([&] { return history{shard_->open(), prefixes_.least() > 0}; });
  auto parent = names_.find({work.key.session, work.key.owner, work.from->parent});
  if (parent == names_.end())
    return make_error(ec::stale_position, "the branch " + std::to_string(work.from->parent) + " to go on from is not open", 0);
  return guarded([&] {
    const auto& from = parent->second;
    history branch{shard_->fork(from.seq, work.from->length), from.known, from.text};
    branch.text.resize(std::min<std::uint64_t>(branch.text.size(), work.from->length));
    return branch;
  });
}

/// An asker that repeats itself, or takes back rejected tokens, names a base below the cache's length: roll back.
/// A base beyond it would leave a hole: refuse.
caf::error shard_runner::align(models::segment& seg) {
  auto have = guarded([&] { return length(seg); });
  if (!have)
    return have.error();
  if (seg.base > *have)
    return make_error(ec::stale_position, "the cache holds " + std::to_string(*have) + " positions, asked was position "
                                            + std::to_string(seg.base), *have);
  if (seg.base < *have && planted_ == planted_bug::lost_truncate)
    seg.base = *have;
  if (seg.base < *have)
    if (auto done = guarded([&] { shard_->truncate(seg.seq, seg.base); }); !done)
      return done.error();
  return {};
}

/// Positions held by the stages that the segment passes; base itself when none of them has a cache.
std::uint64_t shard_runner::length(const models::segment& seg) const {
  std::uint64_t longest = 0, shortest = seg.base;
  bool any = false;
  for (auto i = seg.first_stage; i <= seg.last_stage; ++i) {
    if (!has_kv(info().stages[i]))
      continue;
    const auto n = shard_->length(seg.seq, i);
    longest = any ? std::max(longest, n) : n;
    shortest = any ? std::min(shortest, n) : n;
    any = true;
  }
  if (!any)
    return seg.base;
  return shortest < seg.base ? shortest : longest;
}

std::optional<models::sequence> shard_runner::find(const sequence_key& key) const {
  auto it = names_.find(key);
  return it == names_.end() ? std::nullopt : std::optional(it->second.seq);
}

std::uint64_t shard_runner::kv_bytes_needed(const keyed_segment& work) const {
  const auto& stages = info().stages;
  for (auto i = work.seg.first_stage; i <= work.seg.last_stage && i < stages.size(); ++i)
    if (has_kv(stages[i]))
      return shard_->kv_bytes_for(rows_of(work.seg));
  return 0;
}

void shard_runner::close(const sequence_key& key) {
  if (auto it = names_.find(key); it != names_.end())
    close(it);
}

void shard_runner::close_session(const session_id& session, std::uint64_t owner) {
  for (auto it = names_.lower_bound({session, owner, 0});
       it != names_.end() && it->first.session == session && it->first.owner == owner;)
    it = close(it);
}

void shard_runner::close_owner(std::uint64_t owner) {
  for (auto it = names_.begin(); it != names_.end();)
    it = it->first.owner == owner ? close(it) : std::next(it);
}

} // namespace virga
