// tests/support/toy_shard.hpp: a shard whose "model" is a hash of the tokens so far: cheap, deterministic, and wrong at
// once when a position is skipped, repeated or mixed up with another sequence. Rows are [count, 4] f32 with 16 bits of
// the hash in each, so that a model cut anywhere gives the tokens of the whole one.
#pragma once

#include "models/shard.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace virga::testing {

/// What a test may watch and break while an engine owns the shard.
struct toy_controls {
  std::set<token_id> poison;             ///< a segment with such a token: the step throws std::runtime_error
  std::optional<std::string> fail_next;  ///< the next step throws this, once
  std::vector<std::vector<std::uint32_t>> batches;  ///< rows of each segment of each step that ran
  std::size_t open_sequences = 0;
};

struct toy_options {
  std::vector<models::stage> stages{{models::stage_kind::embedding}, {models::stage_kind::layers, 0, 4},
                                    {models::stage_kind::head}};
  std::uint32_t model_layers = 4;
  std::uint32_t vocab = 96;
  std::uint32_t max_positions = 256;
  std::uint64_t kv_positions = 1u << 20;  ///< positions of all sequences together, over one layer
  std::string digest = std::string(64, 'd');
  std::shared_ptr<toy_controls> controls = std::make_shared<toy_controls>();
};

class toy_shard final : public models::shard {
public:
  static constexpr std::uint32_t hidden = 4;
  static constexpr std::uint64_t position_bytes = 8;  ///< KV of one position in one layer

  explicit toy_shard(toy_options options) : opt_(std::move(options)) {
    info_ = {opt_.stages, opt_.model_layers, hidden, opt_.vocab, opt_.max_positions, dtype::f32, dtype::f32, opt_.digest};
    for (const auto& s : opt_.stages)
      layers_ += s.kind == models::stage_kind::layers ? s.last - s.first : 0;
  }
  ~toy_shard() override { opt_.controls->open_sequences -= open_.size(); }

  const models::shard_info& info() const override { return info_; }

  models::sequence open() override {
    ++opt_.controls->open_sequences;
    open_[++last_].resize(opt_.model_layers);
    return models::sequence{last_};
  }

  models::sequence fork(models::sequence seq, std::uint64_t length) override {
    auto copy = held(seq);
    for (const auto& layer : copy)
      if (layer.size() < length)
        throw models::stale_position(layer.size(), length);
    const auto to = open();
    open_[raw(to)] = std::move(copy);
    truncate(to, length);
    return to;
  }

  void truncate(models::sequence seq, std::uint64_t length) override {
    for (auto& layer : open_.at(raw(seq)))
      if (layer.size() > length)
        layer.resize(length);
  }

  void close(models::sequence seq) override { opt_.controls->open_sequences -= open_.erase(raw(seq)); }

  std::uint64_t length(models::sequence seq, std::uint32_t stage_index) const override {
    const auto& s = opt_.stages.at(stage_index);
    return s.kind == models::stage_kind::layers ? held(seq)[s.first].size() : 0;
  }

  std::vector<models::segment_result> step(std::span<const models::segment> batch) override {
    if (auto why = std::exchange(opt_.controls->fail_next, std::nullopt))
      throw std::runtime_error(*why);
    std::uint64_t needed = 0;
    for (const auto& s : batch) {
      check(s);
      needed += kv_of(s);
    }
    if (kv_bytes() + needed > kv_bytes_limit())
      throw models::out_of_pages(needed, kv_bytes_limit() - kv_bytes());
    std::vector<models::segment_result> out;
    std::vector<std::uint32_t> rows;
    for (const auto& s : batch) {
      out.push_back(run(s));
      rows.push_back(count(s));
    }
    opt_.controls->batches.push_back(std::move(rows));
    return out;
  }

  std::uint64_t kv_bytes() const override {
    std::uint64_t n = 0;
    for (const auto& [id, layers] : open_)
      n += bytes_of(layers);
    return n;
  }
  std::uint64_t kv_bytes_held_by(std::span<const models::sequence> these) const override {
    std::uint64_t n = 0;
    for (auto seq : these)
      n += bytes_of(held(seq));
    return n;
  }
  std::uint64_t kv_bytes_limit() const override { return opt_.kv_positions * position_bytes; }
  std::uint64_t kv_bytes_for(std::uint64_t positions) const override { return positions * layers_ * position_bytes; }

private:
  using history = std::vector<std::vector<std::uint64_t>>;  ///< [layer][position]

  static std::uint64_t bytes_of(const history& layers) {
    std::uint64_t n = 0;
    for (const auto& layer : layers)
      n += layer.size() * position_bytes;
    return n;
  }

  static std::uint64_t raw(models::sequence s) { return static_cast<std::uint64_t>(s); }

  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    std::uint64_t x = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }

  const history& held(models::sequence seq) const {
    const auto it = open_.find(raw(seq));
    if (it == open_.end())
      throw models::bad_segment("no such sequence");
    return it->second;
  }

  bool from_tokens(const models::segment& s) const {
    return opt_.stages[s.first_stage].kind == models::stage_kind::embedding;
  }
  std::uint32_t count(const models::segment& s) const {
    return from_tokens(s) ? static_cast<std::uint32_t>(s.tokens.size()) : s.rows.rows;
  }

  std::uint64_t kv_of(const models::segment& s) const {
    std::uint64_t layers = 0;
    for (auto i = s.first_stage; i <= s.last_stage; ++i)
      if (opt_.stages[i].kind == models::stage_kind::layers)
        layers += opt_.stages[i].last - opt_.stages[i].first;
    return layers * count(s) * position_bytes;
  }

  void check(const models::segment& s) const {
    if (s.last_stage >= opt_.stages.size() || s.first_stage > s.last_stage || count(s) == 0)
      throw models::bad_segment("stages or rows of the segment are wrong");
    if (!from_tokens(s) && (s.rows.cols != hidden || s.rows.type != dtype::f32
                            || s.rows.data.size() != s.rows.rows * hidden * sizeof(float)))
      throw models::bad_segment("the rows are no [count, 4] of f32");
    if (s.base + count(s) > opt_.max_positions)
      throw models::bad_segment("beyond the context");
    for (auto i = s.first_stage; i <= s.last_stage; ++i)
      if (opt_.stages[i].kind == models::stage_kind::layers && length(s.seq, i) != s.base)
        throw models::stale_position(length(s.seq, i), s.base);
    for (auto t : s.tokens) {
      if (opt_.controls->poison.contains(t))
        throw std::runtime_error("poisoned token " + std::to_string(t));
      if (t >= opt_.vocab)
        throw models::bad_segment("token " + std::to_string(t) + " is not in the vocabulary");
    }
  }

  std::vector<std::uint64_t> input(const models::segment& s) const {
    std::vector<std::uint64_t> x;
    if (from_tokens(s)) {
      for (auto t : s.tokens)
        x.push_back(mix(0, t));
      return x;
    }
    for (std::uint32_t r = 0; r < s.rows.rows; ++r) {
      std::array<float, hidden> f{};
      std::memcpy(f.data(), s.rows.data.data() + r * sizeof f, sizeof f);
      std::uint64_t v = 0;
      for (auto part : f)
        v = v << 16 | static_cast<std::uint16_t>(part);
      x.push_back(v);
    }
    return x;
  }

  static tensor rows_of(const std::vector<std::uint64_t>& x, rows_wanted want) {
    tensor t{dtype::f32, 0, hidden, {}};
    for (std::size_t r = want == rows_wanted::all ? 0 : x.size() - 1; want != rows_wanted::none && r < x.size(); ++r) {
      std::array<float, hidden> f{};
      for (std::size_t i = 0; i < hidden; ++i)
        f[i] = static_cast<float>(static_cast<std::uint16_t>(x[r] >> (16 * (hidden - 1 - i))));
      const auto* p = reinterpret_cast<const std::byte*>(f.data());
      t.data.insert(t.data.end(), p, p + sizeof f);
      ++t.rows;
    }
    return t;
  }

  /// Logits are hashes of (row, token) in [0, 4); sampling adds noise keyed by (seed, token, position).
  models::choice choose(std::uint64_t row, const models::wants& want, std::uint64_t position) const {
    models::choice best;
    double top = -1, sum = 0, best_logit = 0;
    for (token_id v = 0; v < opt_.vocab; ++v) {
      const double logit = static_cast<double>(mix(row, v) >> 11) * 0x1p-51;
      sum += std::exp(logit);
      const double noise = static_cast<double>(mix(mix(want.choose.seed, v), position) >> 11) * 0x1p-51;
      if (const double score = logit + want.choose.temperature * noise; score > top) {
        top = score;
        best_logit = logit;
        best.id = v;
      }
    }
    best.logprob = best_logit - std::log(sum);
    best.confidence = std::exp(best.logprob);
    return best;
  }

  models::segment_result run(const models::segment& s) {
    auto x = input(s);
    models::segment_result out;
    for (auto i = s.first_stage; i <= s.last_stage; ++i) {
      const auto& stage = opt_.stages[i];
      for (auto layer = stage.first; layer < stage.last; ++layer)
        for (auto& v : x) {
          auto& past = open_.at(raw(s.seq))[layer];
          past.push_back(v = mix(mix(past.empty() ? 1 : past.back(), v), layer));
        }
    }
    if (opt_.stages[s.last_stage].kind != models::stage_kind::head) {
      out.rows = rows_of(x, s.want.rows);
    } else if (s.want.tokens != rows_wanted::none) {
      for (std::size_t r = s.want.tokens == rows_wanted::all ? 0 : x.size() - 1; r < x.size(); ++r)
        out.choices.push_back(choose(x[r], s.want, s.base + r + 1));
    }
    return out;
  }

  toy_options opt_;
  models::shard_info info_;
  std::uint64_t layers_ = 0;
  std::map<std::uint64_t, history> open_;
  std::uint64_t last_ = 0;
};

/// What the whole toy model says to a prompt, one token at a time and alone: the truth that tests compare with.
inline std::vector<token_id> toy_answer(std::vector<token_id> prompt, std::size_t n, sampling how = {},
                                        toy_options options = {}) {
  options.controls = std::make_shared<toy_controls>();
  toy_shard shard{options};
  const auto last_stage = static_cast<std::uint32_t>(options.stages.size() - 1);
  const auto seq = shard.open();
  std::uint64_t base = 0;
  std::vector<token_id> out;
  auto feed = std::move(prompt);
  while (out.size() < n) {
    models::segment s{seq, 0, last_stage, base, feed, {}, {}};
    s.want.tokens = rows_wanted::last;
    s.want.choose = how;
    out.push_back(shard.step(std::span(&s, 1)).front().choices.front().id);
    base += feed.size();
    feed = {out.back()};
  }
  return out;
}

} // namespace virga::testing
