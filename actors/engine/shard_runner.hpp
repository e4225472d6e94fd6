// actors/engine/shard_runner.hpp: a shard whose sequences have names and whose exceptions are values. A plain class.
#pragma once

#include "actors/calls.hpp"
#include "actors/engine/prefix_cache.hpp"
#include "actors/planted.hpp"
#include "models/shard.hpp"

#include <caf/expected.hpp>

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace virga {

/// Names a sequence across calls: one branch of a session's history on behalf of one role instance.
struct sequence_key {
  session_id session;
  std::uint64_t owner = 0;  ///< incarnation of the role
  std::uint32_t branch = 0;
  auto operator<=>(const sequence_key&) const = default;
};

/// One segment to run; `seg.seq` is filled in here.
struct keyed_segment {
  sequence_key key;
  models::segment seg;
  std::optional<branch_point> from{};  ///< where its sequence begins when it is not open
};

class shard_runner {
public:
  /// @param prefix_positions least beginning of a text that is shared with the next text that has it; 0: none is
  explicit shard_runner(std::unique_ptr<models::shard> shard, planted_bug planted = planted_bug::none,
                        std::uint32_t prefix_positions = 0)
    : shard_(std::move(shard)), planted_(planted), prefixes_(*shard_, prefix_positions) {}

  const models::shard_info& info() const { return shard_->info(); }
  const models::shard& shard() const { return *shard_; }
  const prefix_cache& prefixes() const { return prefixes_; }
  std::size_t sequences() const { return names_.size(); }  ///< without those of the prefix cache

  /// Runs the segments as one batch, at most one per key, and answers each: its result, or ec::stale_position,
  /// ec::bad_tensor, ec::out_of_pages, ec::model_error. A segment that fails does not touch the others.
  /// What of a text the prefix cache holds is not computed: the results are as if it were.
  std::vector<caf::expected<models::segment_result>> run(std::vector<keyed_segment> batch);

  /// Rows that the last run() computed.
  std::uint64_t rows_run() const { return rows_run_; }

  /// New KV bytes that the segment needs, about; 0 when it cannot run anyway.
  std::uint64_t kv_bytes_needed(const keyed_segment& work) const;

  /// KV bytes that run() can use for new positions: the prefix cache gives way to them. Not counted beyond `enough`.
  std::uint64_t kv_bytes_free(std::uint64_t enough) const;

  /// Rows of the segment that would be computed now.
  std::uint32_t rows_needed(const keyed_segment& work) const;

  /// The sequence of this key, when it is open.
  std::optional<models::sequence> find(const sequence_key& key) const;

  /// Frees one sequence, all branches of a session, or all sequences of an owner. Unknown ones are ignored.
  void close(const sequence_key& key);
  void close_session(const session_id& session, std::uint64_t owner);
  void close_owner(std::uint64_t owner);

private:
  using result = caf::expected<models::segment_result>;

  struct history {
    models::sequence seq{};
    bool known = false;  ///< every segment went from the embedding through all stages: `text` is what it holds
    std::vector<token_id> text{};  ///< only while a prefix cache wants to know it
  };
  using name_map = std::map<sequence_key, history>;

  /// @returns the answer where nothing is to be run
  std::optional<result> prepare(keyed_segment& work);
  caf::expected<history> open(const keyed_segment& work);
  caf::error align(models::segment& seg);
  std::vector<result> step(std::vector<models::segment>& batch);
  caf::expected<std::vector<models::segment_result>> make_room_and_step(const std::vector<models::segment>& batch);
  std::uint64_t length(const models::segment& seg) const;

  bool passes_all(const models::segment& seg) const;
  bool worth_asking(const history& h, const models::segment& seg) const;
  std::uint32_t least_saved() const;
  prefix_cache::match reusable(const history& h, const models::segment& seg) const;
  bool reuse(history& h, models::segment& seg);
  void ran(const sequence_key& key, const models::segment& seg);
  name_map::iterator close(name_map::iterator at);

  std::unique_ptr<models::shard> shard_;
  planted_bug planted_;
  prefix_cache prefixes_;
  name_map names_;
  std::uint64_t rows_run_ = 0;
};

} // namespace virga
