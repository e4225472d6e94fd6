// actors/link/sequence_check.hpp: is this the next message of the connection, or a copy, or out of turn?
#pragma once

#include <cstdint>
#include <set>

namespace virga {

/// One per connection and direction. Messages begin in the order of their numbers, from 1, without a gap. Those of one
/// wire unit end as they begin; a sliced one may end while younger ones have come and gone.
class sequence_check {
public:
  enum class verdict { good, duplicate, out_of_order };

  /// Call for each whole message. Only `good` ones may be acted on.
  verdict accept(std::uint64_t sequence, bool may_be_sliced);

private:
  std::uint64_t highest_ = 0;
  std::set<std::uint64_t> open_;  // below highest_, begun and not whole yet; bounded
};

} // namespace virga
