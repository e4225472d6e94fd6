// tests/actors/prefix_walk.hpp: random texts with common beginnings through a shard_runner: prompts in pieces,
// decoding, rollbacks, branches, ends. What it sees must not depend on the runner's prefix cache.
#pragma once

#include "actors/engine/shard_runner.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <sstream>

namespace virga::testing {

class prefix_walk {
public:
  static constexpr std::string_view error_prefix = "failed: ";

  using ids = std::vector<token_id>;
  using transcript = std::vector<std::string>;

  prefix_walk(shard_runner& runner, std::uint64_t seed) : runner_(runner), random_(seed) {
    for (int i = 0; i < 3; ++i)
      stems_.push_back(random_ids(150));
  }

  /// @returns a line for each answer: session, position, then the error, or each choice to its last bit
  transcript walk(int steps) {
    for (int i = 0; i < steps; ++i) {
      if (live_.size() < 5 && below(3) == 0)
        begin();
      advance();
      end_some();
    }
    for (auto& l : live_)
      runner_.close(l.key);
    return lines_;
  }

private:
  struct live {
    sequence_key key;
    ids text;               ///< prompt and answer
    std::size_t prompt = 0;
    std::size_t done = 0;   ///< positions in the cache
    sampling choose;
    std::optional<branch_point> from{};
    bool failed = false;
  };

  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  ids random_ids(std::size_t n) {
    ids out(n);
    for (auto& id : out)
      id = static_cast<token_id>(below(std::min<std::uint64_t>(runner_.info().vocab, 90)));
    return out;
  }

  /// A prompt that begins like a stem, or goes on behind an earlier answer; or a branch of a live text.
  void begin() {
    live l{{{1, ++last_session_}, 7, 0}, {}, 0, 0, {}};
    const auto at = below(12);
    if (at < live_.size() && live_[at].done > 0 && !live_[at].from) {
      const auto& parent = live_[at];
      l = {{parent.key.session, 7, ++last_branch_}, parent.text, parent.prompt, below(parent.done + 1), parent.choose};
      l.from = branch_point{parent.key.branch, l.done};
    } else if (auto& stem = stems_[below(stems_.size())]; true) {
      l.text.assign(stem.begin(), stem.begin() + static_cast<std::ptrdiff_t>(1 + below(stem.size())));
      auto tail = random_ids(below(3) == 0 ? 0 : below(30));
      l.text.insert(l.text.end(), tail.begin(), tail.end());
      l.choose = {below(2) == 0 ? 0.0 : 3.0, random_()};
      l.choose.repetition_penalty = below(3) == 0 ? 1.2 : 1;
    }
    l.prompt = l.text.size();
    live_.push_back(std::move(l));
  }

  models::segment next(const live& l) {
    models::segment s;
    s.last_stage = static_cast<std::uint32_t>(runner_.info().stages.size() - 1);
    s.base = l.done;
    const auto n = std::min<std::size_t>(l.text.size() - l.done, 1 + below(below(2) == 0 ? 4 : 160));
    const auto from = l.text.begin() + static_cast<std::ptrdiff_t>(l.done);
    s.tokens.assign(from, from + static_cast<std::ptrdiff_t>(n));
    s.want.choose = l.choose;
    if (l.done + n == l.text.size()) {
      s.want.tokens = rows_wanted::last;
      s.want.top_n = 2;
      s.want.context = l.text;
      s.want.prompt_tokens = static_cast<std::uint32_t>(l.prompt);
    }
    return s;
  }

  bool parent_of_new(const live& l) const {
    return std::ranges::any_of(
        live_, [&](auto& c) { return c.from && c.key.session == l.key.session && c.from->parent == l.key.branch; });
  }

  void advance() {
    std::vector<keyed_segment> batch;
    std::vector<live*> of;
    for (auto& l : live_) {
      if (below(5) == 0)
        continue;
      if (!parent_of_new(l) && !l.from && below(12) == 0)
        l.done = below(l.done + 1);  // a retry from an earlier position
      batch.push_back({l.key, next(l), l.from});
      of.push_back(&l);
    }
    const auto sent = batch;
    auto answers = runner_.run(std::move(batch));
    for (std::size_t i = 0; i < of.size(); ++i)
      take(*of[i], sent[i].seg, answers[i]);
  }

  void take(live& l, const models::segment& s, caf::expected<models::segment_result>& answer) {
    std::ostringstream line;
    line << l.key.session.lo << '/' << l.key.branch << " at " << s.base << '+' << s.tokens.size() << std::hexfloat;
    if (!answer) {
      line << ' ' << error_prefix << to_string(static_cast<ec>(answer.error().code()));
      l.failed = true;
    } else {
      l.from.reset();
      l.done += s.tokens.size();
      for (auto& c : answer->choices) {
        line << ' ' << c.id << ' ' << c.logprob << ' ' << c.confidence;
        for (auto& t : c.top)
          line << ", " << t.id << ' ' << t.logprob;
        l.text.push_back(c.id);
      }
    }
    lines_.push_back(line.str());
  }

  void end_some() {
    for (auto it = live_.begin(); it != live_.end();) {
      const bool over = !parent_of_new(*it) && (it->failed || it->text.size() > it->prompt + 12 || below(40) == 0);
      if (over && !it->failed && below(2) == 0)
        stems_[below(stems_.size())].assign(
            it->text.begin(),
            it->text.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(it->text.size(), 180)));
      if (over)
        runner_.close(it->key);
      it = over ? live_.erase(it) : std::next(it);
    }
  }

  shard_runner& runner_;
  std::mt19937_64 random_;
  std::vector<ids> stems_;
  std::vector<live> live_;
  transcript lines_;
  std::uint64_t last_session_ = 0;
  std::uint32_t last_branch_ = 0;
};

/// "" for equal ones.
inline std::string first_difference(const prefix_walk::transcript& a, const prefix_walk::transcript& b) {
  const auto [x, y] = std::ranges::mismatch(a, b);
  if (x == a.end() && y == b.end())
    return "";
  return (x == a.end() ? "nothing" : *x) + " | " + (y == b.end() ? "nothing" : *y);
}

} // namespace virga::testing
