#include "tests/sim/profile/cost_shard.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <utility>

namespace virga::testing {

using models::stage_kind;

namespace {

constexpr std::uint64_t beginning = 1;    // the history before the first token
constexpr std::uint32_t adapted = 1'000;  // depth behind an adapter
constexpr double runner_up = 0.3;         // of what is left, the next one is right

bool has_cache(const models::stage& s) { return s.kind == stage_kind::layers || s.kind == stage_kind::adapter; }

std::uint32_t rows_in(const models::segment& s) {
  return std::max(static_cast<std::uint32_t>(s.tokens.size()), s.rows.rows);
}

token_id target_behind(std::uint64_t history) { return static_cast<token_id>(mixed(history, 7) % cost_shard::vocab); }

/// Evenly in [0, 1), another one for each `purpose`.
double chance(std::uint64_t history, std::uint64_t purpose) {
  return static_cast<double>(mixed(history, purpose) >> 11) * 0x1p-53;
}

} // namespace

std::uint64_t mixed(std::uint64_t a, std::uint64_t b) {
  auto x = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

std::vector<token_id> target_answer(std::span<const token_id> prompt, std::size_t tokens) {
  auto history = beginning;
  for (auto t : prompt)
    history = mixed(history, t);
  std::vector<token_id> out;
  while (out.size() < tokens) {
    out.push_back(target_behind(history));
    history = mixed(history, out.back());
  }
  return out;
}

double step_meter::charge() {
  auto now = std::exchange(pending_s, 0);
  busy_s += now;
  square_s += now * now;
  ++steps;
  return now;
}

void step_meter::reset() { busy_s = square_s = steps = rows = 0; }

cost_shard::cost_shard(cost_options options) : opt_(std::move(options)) {
  info_ = {opt_.stages, opt_.model_layers, opt_.row_bytes / 4, vocab, context, dtype::f32, dtype::f32, digest};
}

// -- caches -----------------------------------------------------------------------------------------------------------

cost_shard::histories& cost_shard::held(models::sequence seq) {
  auto it = open_.find(static_cast<std::uint64_t>(seq));
  if (it == open_.end())
    throw models::bad_segment("no such sequence");
  return it->second;
}

models::sequence cost_shard::open() {
  open_[++last_].resize(opt_.stages.size());
  return models::sequence{last_};
}

models::sequence cost_shard::fork(models::sequence seq, std::uint64_t length) {
  auto copy = held(seq);
  for (std::size_t i = 0; i < copy.size(); ++i)
    if (has_cache(opt_.stages[i]) && copy[i].size() < length)
      throw models::stale_position(copy[i].size(), length);
  auto to = open();
  held(to) = std::move(copy);
  truncate(to, length);
  return to;
}

void cost_shard::truncate(models::sequence seq, std::uint64_t length) {
  for (auto& cache : held(seq))
    if (cache.size() > length)
      cache.resize(length);
}

void cost_shard::close(models::sequence seq) { open_.erase(static_cast<std::uint64_t>(seq)); }

std::uint64_t cost_shard::length(models::sequence seq, std::uint32_t stage_index) const {
  return const_cast<cost_shard*>(this)->held(seq).at(stage_index).size();
}

// -- steps ------------------------------------------------------------------------------------------------------------

std::vector<cost_shard::row> cost_shard::input(const models::segment& s) {
  std::vector<row> out(rows_in(s));
  if (opt_.stages[s.first_stage].kind == stage_kind::embedding) {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i].history = s.tokens[i];  // of which the first layers make a history
    return out;
  }
  if (s.rows.data.size() != out.size() * opt_.row_bytes)
    throw models::bad_segment("the rows have another width");
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::array<float, 9> f{};
    std::memcpy(f.data(), s.rows.data.data() + i * opt_.row_bytes, sizeof f);
    for (std::size_t k = 0; k < 4; ++k) {
      out[i].history = out[i].history << 16 | static_cast<std::uint64_t>(f[k]);
      out[i].before = out[i].before << 16 | static_cast<std::uint64_t>(f[4 + k]);
    }
    out[i].depth = static_cast<std::uint32_t>(f[8]);
  }
  return out;
}

/// Through a stage with a cache: the first layers make histories, the others see to it that a row fits theirs.
void cost_shard::pass(const models::segment& s, std::uint32_t stage, std::vector<row>& rows) {
  auto& what = opt_.stages[stage];
  auto& cache = held(s.seq)[stage];
  const bool first = what.kind == stage_kind::layers && what.first == 0;
  for (auto& r : rows) {
    auto last = cache.empty() ? beginning : cache.back();
    if (first)
      r = {mixed(last, r.history), last, 0};
    if (r.before != last || (what.kind == stage_kind::layers && r.depth != what.first))
      throw models::bad_segment("a row that does not belong behind what the cache holds");
    r.depth = what.kind == stage_kind::adapter ? adapted : what.last;
    cache.push_back(r.history);
  }
}

tensor cost_shard::rows_of(const std::vector<row>& rows, rows_wanted want) const {
  tensor t{dtype::f32, 0, info_.hidden, {}};
  if (want == rows_wanted::none)
    return t;
  auto from = want == rows_wanted::all ? 0 : rows.size() - 1;
  t.rows = static_cast<std::uint32_t>(rows.size() - from);
  t.data.resize(std::size_t{t.rows} * opt_.row_bytes);
  for (auto i = from; i < rows.size(); ++i) {
    std::array<float, 9> f{};
    for (std::size_t k = 0; k < 4; ++k) {
      f[k] = static_cast<float>(rows[i].history >> (48 - 16 * k) & 0xffff);
      f[4 + k] = static_cast<float>(rows[i].before >> (48 - 16 * k) & 0xffff);
    }
    f[8] = static_cast<float>(rows[i].depth);
    std::memcpy(t.data.data() + (i - from) * opt_.row_bytes, f.data(), sizeof f);
  }
  return t;
}

/// The target's choice, or the adapter's: right with the probability that it claims, else right by one of its
/// runners-up or not at all.
models::choice cost_shard::choose(const row& r, std::uint32_t alternatives) const {
  if (r.depth != opt_.model_layers && r.depth != adapted)
    throw models::bad_segment("the head got a row that has not passed the model");
  models::choice c;
  c.id = target_behind(r.history);
  c.confidence = 1;
  if (r.depth != adapted)
    return c;
  auto part = chance(r.history, 2);
  c.confidence = chance(r.history, 1) < opt_.sure_share ? opt_.sure_least + (1 - opt_.sure_least) * part : 0.1 + 0.5 * part;
  c.logprob = std::log(c.confidence);
  const auto target = c.id;
  bool told = chance(r.history, 3) < c.confidence;
  auto other = [&](std::uint64_t rank) {
    return static_cast<token_id>((target + 1 + mixed(r.history, 100 + rank) % (vocab - 1)) % vocab);
  };
  if (!told)
    c.id = other(0);
  for (std::uint64_t rank = 1; rank <= alternatives; ++rank) {
    bool right = !told && chance(r.history, 3 + rank) < runner_up;
    told = told || right;
    c.alternatives.push_back(right ? target : other(rank));
  }
  return c;
}

models::segment_result cost_shard::run(const models::segment& s) {
  models::segment_result out;
  auto rows = input(s);
  auto rows_stage = s.want.rows_stage == models::last_stage_run ? s.last_stage : s.want.rows_stage;
  for (auto i = s.first_stage; i <= s.last_stage; ++i) {
    if (has_cache(opt_.stages[i]))
      pass(s, i, rows);
    if (i == rows_stage && opt_.stages[i].kind != stage_kind::head)
      out.rows = rows_of(rows, s.want.rows);
  }
  if (opt_.stages[s.last_stage].kind == stage_kind::head && s.want.tokens != rows_wanted::none)
    for (auto r = s.want.tokens == rows_wanted::all ? 0 : rows.size() - 1; r < rows.size(); ++r)
      out.choices.push_back(choose(rows[r], s.want.alternatives));
  return out;
}

double cost_shard::cost(std::span<const models::segment> batch) const {
  double sum = 0;
  for (std::uint32_t i = 0; i < opt_.stages.size(); ++i) {
    double rows = 0, positions = 0;
    for (auto& s : batch)
      if (s.first_stage <= i && i <= s.last_stage) {
        // The head alone runs on the rows that are asked for.
        rows += opt_.stages[i].kind == stage_kind::head && s.want.tokens != rows_wanted::all ? 1 : rows_in(s);
        positions += static_cast<double>(s.base + rows_in(s));
      }
    if (rows > 0)
      sum += opt_.costs[i].of(rows, positions);
  }
  return sum;
}

std::vector<models::segment_result> cost_shard::step(std::span<const models::segment> batch) {
  for (auto& s : batch)
    for (auto i = s.first_stage; i <= s.last_stage; ++i)
      if (has_cache(opt_.stages.at(i)) && length(s.seq, i) != s.base)
        throw models::stale_position(length(s.seq, i), s.base);
  std::vector<models::segment_result> out;
  for (auto& s : batch) {
    out.push_back(run(s));
    opt_.meter->rows += rows_in(s);
  }
  opt_.meter->pending_s += cost(batch);
  return out;
}

} // namespace virga::testing
