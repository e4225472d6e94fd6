#include "actors/link/sequence_check.hpp"

#include "messages/limits.hpp"

namespace virga {

namespace {

constexpr std::size_t open_limit = 4096; // numbers that never came, e.g. of cancelled tensors; the oldest is given up

} // namespace

// Everything up to `highest_` has begun. A number above it is new, and what it skips must be tensors whose slices are
// still coming: no more of them than a receiver puts together at once. A number below it is good only for one of these.
sequence_check::verdict sequence_check::accept(std::uint64_t sequence, bool may_be_sliced) {
  if (sequence == 0)
    return verdict::out_of_order;
  if (sequence > highest_) {
    if (sequence - highest_ - 1 > limits::partial_tensors)
      return verdict::out_of_order;
    while (++highest_ < sequence)
      open_.insert(highest_);
    while (open_.size() > open_limit)
      open_.erase(open_.begin());
    return verdict::good;
  }
  auto i = open_.find(sequence);
  if (i == open_.end())
    return verdict::duplicate;
  if (!may_be_sliced)
    return verdict::out_of_order;
  open_.erase(i);
  return verdict::good;
}

} // namespace virga
