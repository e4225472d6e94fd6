// actors/engine/shard_runner.hpp: a shard whose sequences have names and whose exceptions are values. A plain class.
#pragma once

#include "actors/calls.hpp"
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
  explicit shard_runner(std::unique_ptr<models::shard> shard, planted_bug planted = planted_bug::none)
    : shard_(std::move(shard)), planted_(planted) {}

  const models::shard_info& info() const { return shard_->info(); }
  const models::shard& shard() const { return *shard_; }
  std::size_t sequences() const { return names_.size(); }

  /// Runs the segments as one batch, at most one per key, and answers each: its result, or ec::stale_position,
  /// ec::bad_tensor, ec::out_of_pages, ec::model_error. A segment that fails does not touch the others.
  std::vector<caf::expected<models::segment_result>> run(std::vector<keyed_segment> batch);

  /// New KV bytes that the segment needs, about; 0 when it cannot run anyway.
  std::uint64_t kv_bytes_needed(const keyed_segment& work) const;

  /// The sequence of this key, when it is open.
  std::optional<models::sequence> find(const sequence_key& key) const;

  /// Frees one sequence, all branches of a session, or all sequences of an owner. Unknown ones are ignored.
  void close(const sequence_key& key);
  void close_session(const session_id& session, std::uint64_t owner);
  void close_owner(std::uint64_t owner);

private:
  caf::error prepare(keyed_segment& work);
  caf::expected<models::sequence> open(const keyed_segment& work);
  caf::error align(models::segment& seg);
  std::vector<caf::expected<models::segment_result>> step(std::vector<models::segment>& batch);
  std::uint64_t length(const models::segment& seg) const;

  std::unique_ptr<models::shard> shard_;
  planted_bug planted_;
  std::map<sequence_key, models::sequence> names_;
};

} // namespace virga
