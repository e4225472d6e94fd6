// actors/pending_table.hpp: the calls a stub waits for. A plain class: bounded, ordered, no clock of its own.
#pragma once

#include "actors/calls.hpp"

#include <map>
#include <optional>
#include <vector>

namespace virga {

/// A call is named by what every answer repeats.
struct call_key {
  session_id session;
  std::uint32_t epoch = 0;
  std::uint32_t unit = 0;
  auto operator<=>(const call_key&) const = default;
};

inline call_key key_of(const header& hdr) { return {hdr.session, hdr.epoch, hdr.unit}; }

class pending_table {
public:
  struct entry {
    header hdr;
    sink reply;
    std::size_t way = 0;  ///< that the call went
  };

  explicit pending_table(std::size_t max) : max_(max) {}

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }

  /// @returns false when the table is full. A call with the key of a waiting one takes its place: the asker repeats itself.
  bool add(const header& hdr, sink reply, std::size_t way = 0);

  /// Who waits for this answer; forgotten when it is the last one. Nobody: late, repeated or of another placement.
  std::optional<sink> take(const header& hdr, bool last);

  /// Removes and returns the calls whose deadline has passed.
  std::vector<entry> expire(time_point now);

  /// Removes and returns all calls that went this way, in the order of their keys.
  std::vector<entry> drain(std::size_t way = 0);

private:
  template <class Which>
  std::vector<entry> remove(Which which);

  std::size_t max_;
  std::map<call_key, entry> entries_;
};

} // namespace virga
