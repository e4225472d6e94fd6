#include "messages/assembler.hpp"

#include "messages/checks.hpp"
#include "messages/type_ids.hpp"

#include <algorithm>
#include <new>

namespace virga {

namespace {

using result = caf::expected<std::optional<received>>;

constexpr std::uint64_t retry_ms = 100; // when a refused sender may try again: some slices' time on a slow link

bool same_times(const work_times& a, const work_times& b) {
  return a.queue_us == b.queue_us && a.compute_us == b.compute_us;
}

bool same_shape(const tensor& a, const tensor& b) {
  return a.type == b.type && a.rows == b.rows && a.cols == b.cols;
}

bool same_body(const payload& a, const payload& b) {
  if (auto x = std::get_if<verify>(&a), y = std::get_if<verify>(&b); x && y)
    return x->base == y->base && x->want == y->want && same_shape(x->rows, y->rows);
  if (auto x = std::get_if<verified>(&a), y = std::get_if<verified>(&b); x && y)
    return x->base == y->base && same_shape(x->rows, y->rows) && same_times(x->times, y->times);
  if (auto x = std::get_if<kv_slice>(&a), y = std::get_if<kv_slice>(&b); x && y)
    return x->base == y->base && x->stage == y->stage && x->layer == y->layer && same_shape(x->rows, y->rows);
  return false;
}

/// All but the deadline, which has become shorter on the way.
bool same_message(const frame& a, const frame& b) {
  return a.hdr.session == b.hdr.session && a.hdr.epoch == b.hdr.epoch && a.hdr.unit == b.hdr.unit
         && a.hdr.incarnation == b.hdr.incarnation && a.hdr.target == b.hdr.target && a.urgency == b.urgency
         && same_body(a.body, b.body);
}

bool ends_session(const payload& body) {
  return std::holds_alternative<cancel>(body) || std::holds_alternative<close_session>(body);
}

void append(frame& f, std::span<const std::byte> data) {
  if (auto t = tensor_of(f.body))
    t->data.insert(t->data.end(), data.begin(), data.end());
}

/// False when there is no memory for it.
bool reserve(frame& f, std::uint64_t bytes) {
  try {
    tensor_of(f.body)->data.reserve(bytes);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

caf::error out_of_order(const slice& s, std::uint64_t expected) {
  return make_error(ec::bad_frame, "message " + std::to_string(s.part.sequence) + " continues at byte "
                                     + std::to_string(s.offset) + ", expected was " + std::to_string(expected));
}

} // namespace

result assembler::add(slice s, std::size_t wire_bytes, time_point now) {
  if (ends_session(s.part.body))
    swallow_session(s.part.hdr.session);
  auto i = partials_.find(s.part.sequence);
  if (i != partials_.end())
    return resume(i, std::move(s), wire_bytes);
  if (s.offset != 0)
    return out_of_order(s, 0);
  if (s.data.size() < s.total)
    return begin(std::move(s), wire_bytes, now);
  append(s.part, s.data);
  return std::optional{received{std::move(s.part), wire_bytes, std::move(s.refused)}};
}

result assembler::begin(slice s, std::size_t wire_bytes, time_point now) {
  auto sequence = s.part.sequence;
  partial p{std::move(s.part), s.total, s.data.size(), wire_bytes, false};
  if (!has_room(s.total, now) || !reserve(p.value, s.total)) {
    frame refused{p.value.hdr, sequence, p.value.urgency, hello{}};
    keep_swallowed(sequence, std::move(p));
    auto text = "too many large messages are on their way at once";
    return std::optional{received{std::move(refused), wire_bytes, failure{ec::queue_full, retry_ms, text}}};
  }
  append(p.value, s.data);
  partial_bytes_ += s.total;
  partials_.emplace(sequence, std::move(p));
  return std::optional<received>{};
}

result assembler::resume(partial_map::iterator i, slice s, std::size_t wire_bytes) {
  auto& p = i->second;
  if (!same_message(p.value, s.part))
    return make_error(ec::bad_frame, "two messages share the sequence number " + std::to_string(i->first));
  if (s.offset != p.filled)
    return out_of_order(s, p.filled);
  p.filled += s.data.size();
  p.wire_bytes += wire_bytes;
  if (!p.swallowed)
    append(p.value, s.data);
  if (p.filled < p.total)
    return std::optional<received>{};
  auto done = std::move(p);
  partials_.erase(i);
  if (done.swallowed)
    return std::optional<received>{};
  partial_bytes_ -= done.total;
  return std::optional{received{std::move(done.value), done.wire_bytes, std::nullopt}};
}

std::size_t assembler::partial_count() const noexcept {
  return static_cast<std::size_t>(
    std::count_if(partials_.begin(), partials_.end(), [](auto& entry) { return !entry.second.swallowed; }));
}

bool assembler::fits(std::uint64_t bytes) const noexcept {
  return partial_count() < limits::partial_tensors && bytes <= limits::partial_bytes - partial_bytes_;
}

bool assembler::has_room(std::uint64_t bytes, time_point now) {
  if (fits(bytes))
    return true;
  for (auto& [sequence, p] : partials_)
    if (p.value.hdr.deadline <= now)
      swallow(p);
  drop_excess();
  return fits(bytes);
}

void assembler::keep_swallowed(std::uint64_t sequence, partial p) {
  p.swallowed = true;
  partials_.emplace(sequence, std::move(p));
  drop_excess();
}

void assembler::swallow(partial& p) {
  if (p.swallowed)
    return;
  p.swallowed = true;
  partial_bytes_ -= p.total;
  tensor_of(p.value.body)->data = {};
}

void assembler::swallow_session(const session_id& id) {
  for (auto& [sequence, p] : partials_)
    if (p.value.hdr.session == id)
      swallow(p);
  drop_excess();
}

void assembler::drop_excess() {
  auto swallowed = partials_.size() - partial_count();
  for (auto i = partials_.begin(); swallowed > limits::partial_tensors;) {
    if (i->second.swallowed) {
      i = partials_.erase(i);
      --swallowed;
    } else {
      ++i;
    }
  }
}

} // namespace virga
