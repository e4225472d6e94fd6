// A random walk over a chain of shards that together make one model: cuts, chunks, ragged batches, forks, truncations
// and moves of keys and values. Every row of logits is compared with that of one pass over the whole text.
#pragma once

#include "tests/models/support.hpp"

#include <algorithm>
#include <random>

namespace virga::models::test {

using shard_maker = std::function<std::unique_ptr<shard>(const hf::model_folder&, const shard_options&)>;
using row_check = std::function<void(std::span<const double> got, std::span<const double> expected)>;

class random_walk {
public:
  static constexpr std::uint64_t text_length = 150;

  random_walk(const hf::model_folder& folder, dtype compute, shard_maker make, shard_maker oracle, std::uint64_t seed)
      : folder_(folder), random_(seed) {
    for (int t = 0; t < 3; ++t) {
      texts_.emplace_back();
      for (std::uint64_t i = 0; i < text_length; ++i)
        texts_.back().push_back(static_cast<token_id>(below(folder.config().vocab_size)));
      auto whole = oracle(folder, {compute, 64u << 20, {}});
      expected_.push_back(numbers(run(*whole, feed(*whole, whole->open(), 0, 2, 0, texts_.back())).logits));
    }
    make_chain(compute, make);
    open();
  }

  void walk(int steps, const row_check& check) {
    for (int i = 0; i < steps; ++i)
      switch (below(6)) {
        case 0: fork(); break;
        case 1: truncate(); break;
        case 2: below(2) ? open() : close(); break;
        case 3: below(3) ? advance(check) : move(); break;
        default: advance(check);
      }
    while (!live_.empty())
      drop(0);
  }

  /// KV bytes still held by the chain.
  std::uint64_t kv_bytes() const {
    std::uint64_t sum = 0;
    for (auto& s : chain_)
      sum += s->kv_bytes();
    return sum;
  }

  std::string stages() const {
    std::string out;
    for (auto& s : chain_)
      out += (out.empty() ? "" : " | ") + describe(s->info().stages);
    return out;
  }

private:
  struct history {
    std::size_t text = 0;
    std::uint64_t length = 0;
    std::vector<sequence> seq;  ///< by shard of the chain
  };

  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  /// Random stages, spread over a random number of shards.
  void make_chain(dtype compute, const shard_maker& make) {
    auto layers = folder_.config().num_hidden_layers;
    std::vector<stage> all{{stage_kind::embedding, 0, 0}};
    for (std::uint32_t first = 0; first < layers;) {
      auto last = first + 1 + static_cast<std::uint32_t>(below(layers - first));
      all.push_back({stage_kind::layers, first, last});
      first = last;
    }
    all.push_back({stage_kind::head, 0, 0});
    for (std::size_t at = 0; at < all.size();) {
      auto count = 1 + below(all.size() - at);
      chain_.push_back(make(folder_, {compute, 64u << 20, {all.begin() + at, all.begin() + at + count}}));
      at += count;
    }
  }

  void open() {
    if (live_.size() >= 6)
      return;
    history h{below(texts_.size()), 0, {}};
    for (auto& s : chain_)
      h.seq.push_back(s->open());
    live_.push_back(h);
  }

  void drop(std::size_t index) {
    for (std::size_t i = 0; i < chain_.size(); ++i)
      chain_[i]->close(live_[index].seq[i]);
    live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(index));
  }

  void close() {
    if (live_.size() > 1)
      drop(below(live_.size()));
  }

  void fork() {
    if (live_.size() >= 6)
      return;
    auto h = live_[below(live_.size())];
    h.length = below(h.length + 1);
    for (std::size_t i = 0; i < chain_.size(); ++i)
      h.seq[i] = chain_[i]->fork(h.seq[i], h.length);
    live_.push_back(h);
  }

  void truncate() {
    auto& h = live_[below(live_.size())];
    h.length = below(h.length + 1);
    for (std::size_t i = 0; i < chain_.size(); ++i)
      chain_[i]->truncate(h.seq[i], h.length);
  }

  /// Behind what a fork shares, keys and values leave the shards and come back.
  void move() {
    auto& h = live_[below(live_.size())];
    auto shared = below(h.length + 1);
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      auto& s = *chain_[i];
      auto to = s.fork(h.seq[i], shared);
      move_kv(s, h.seq[i], s, to, shared, h.length, random_);
      s.close(h.seq[i]);
      h.seq[i] = to;
    }
  }

  /// A ragged batch of some histories through the whole chain.
  void advance(const row_check& check) {
    struct part {
      history* h;
      std::vector<token_id> ids;
      tensor rows;
    };
    std::vector<part> parts;
    for (auto& h : live_)
      if (auto room = std::min<std::uint64_t>(text_length - h.length, below(2) ? 1 : 70); room > 0 && below(4) > 0) {
        auto begin = texts_[h.text].begin() + static_cast<std::ptrdiff_t>(h.length);
        parts.push_back({&h, {begin, begin + static_cast<std::ptrdiff_t>(1 + below(room))}, {}});
      }
    std::shuffle(parts.begin(), parts.end(), random_);
    for (std::size_t i = 0; i < chain_.size(); ++i) {
      auto& s = *chain_[i];
      auto count = static_cast<std::uint32_t>(s.info().stages.size());
      for (std::uint32_t first = 0; first < count;) {
        auto last = first + static_cast<std::uint32_t>(below(count - first));
        std::vector<segment> batch;
        for (auto& p : parts)
          batch.push_back(feed(s, p.h->seq[i], first, last, p.h->length,
                               i == 0 && first == 0 ? p.ids : std::vector<token_id>{}, p.rows));
        auto results = s.step(batch);
        for (std::size_t k = 0; k < parts.size(); ++k) {
          parts[k].rows = results[k].rows;
          if (results[k].logits.rows > 0)
            compare(*parts[k].h, parts[k].ids.size(), numbers(results[k].logits), check);
        }
        first = last + 1;
      }
    }
    for (auto& p : parts)
      p.h->length += p.ids.size();
  }

  void compare(const history& h, std::size_t count, const std::vector<double>& got, const row_check& check) const {
    auto vocab = folder_.config().vocab_size;
    for (std::size_t i = 0; i < count; ++i)
      check(std::span(got).subspan(i * vocab, vocab),
            std::span(expected_[h.text]).subspan((h.length + i) * vocab, vocab));
  }

  const hf::model_folder& folder_;
  std::mt19937_64 random_;
  std::vector<std::vector<token_id>> texts_;
  std::vector<std::vector<double>> expected_;
  std::vector<std::unique_ptr<shard>> chain_;
  std::vector<history> live_;
};

} // namespace virga::models::test
