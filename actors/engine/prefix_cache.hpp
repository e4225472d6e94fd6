// actors/engine/prefix_cache.hpp: beginnings of texts whose keys and values a shard still holds, so that the next
// prompt that begins the same need not compute them again. A plain class over sequences of one shard; forks share
// pages, so a beginning that many texts have lies in memory once. Compare vLLM's automatic prefix caching; here whole
// positions are shared, not blocks alone.
#pragma once

#include "models/shard.hpp"

#include <map>
#include <optional>
#include <span>
#include <vector>

namespace virga {

/// What the cache did since its start; vLLM counts the first two in the same way.
struct prefix_counts {
  std::uint64_t asked_tokens = 0;  ///< of prompts that were looked up
  std::uint64_t saved_tokens = 0;  ///< of these, not computed again
  std::uint64_t hits = 0;          ///< pieces of prompts of which something was saved
  std::uint64_t evictions = 0;     ///< texts given up for their memory
};

class prefix_cache {
public:
  /// A held text and for how many positions it agrees with the one asked for.
  struct match {
    models::sequence seq{};
    std::uint64_t length = 0;
  };

  /// @param shard outlives this @param least positions that are worth keeping or sharing; 0: nothing is kept
  prefix_cache(models::shard& shard, std::uint32_t least) : shard_(shard), least_(least) {}
  prefix_cache(prefix_cache&&) = default;

  /// Positions that are worth keeping or sharing; 0: the cache is off.
  std::uint32_t least() const { return least_; }

  /// The held text that agrees with `text` for the most positions; length 0 when none does.
  match longest(std::span<const token_id> text) const;

  /// That text is of use now: it is given up last.
  void touch(std::span<const token_id> text);

  /// Takes over a sequence that holds exactly these positions in every stage. It is closed when it is not worth
  /// keeping; a held text that is its beginning goes.
  void keep(models::sequence seq, std::vector<token_id> text);

  /// Long enough, and no held text begins with it.
  bool worth_keeping(std::span<const token_id> text) const;

  /// Gives up the text unused for longest, those whose pages others see as well last. @returns false when there is none
  bool evict();

  /// KV bytes that only held texts need: evict() gives all of them back.
  std::uint64_t bytes() const;

  std::size_t size() const { return held_.size(); }

  prefix_counts counts;

private:
  struct by_tokens {
    using is_transparent = void;
    bool operator()(std::span<const token_id> a, std::span<const token_id> b) const;
  };
  struct text_held {
    models::sequence seq{};
    std::uint64_t used = 0;  ///< when: counts uses
  };
  /// In the order of dictionaries, none the beginning of another: what agrees most with a text stands beside its place.
  using held_map = std::map<std::vector<token_id>, text_held, by_tokens>;

  held_map::const_iterator nearest(std::span<const token_id> text) const;
  void drop(held_map::const_iterator it);

  models::shard& shard_;
  std::uint32_t least_;
  held_map held_;
  std::uint64_t now_ = 0;
};

} // namespace virga
