#include "actors/link/send_queue.hpp"

#include "messages/codec.hpp"
#include "messages/tensor_of.hpp"
#include "messages/type_ids.hpp"

#include <algorithm>

namespace virga {

namespace {

constexpr std::size_t small_bytes = 512; // what a message without text or tensor counts for

std::size_t text_bytes(const generate& g) {
  auto bytes = g.prompt.size() + g.answered.size() * sizeof(token_id);
  for (auto& m : g.messages)
    bytes += m.role.size() + m.content.size();
  return bytes;
}

std::size_t charge_of(const payload& body) {
  auto bytes = small_bytes + tensor_bytes(body);
  if (auto g = std::get_if<generate>(&body))
    bytes += text_bytes(*g);
  else if (auto t = std::get_if<tokens>(&body))
    bytes += t->text.size() + t->ids.size() * sizeof(token_id);
  return bytes;
}

bool is_request(const payload& body) {
  return std::holds_alternative<generate>(body) || std::holds_alternative<open_session>(body)
         || std::holds_alternative<verify>(body);
}

std::size_t index(priority p) { return static_cast<std::size_t>(p); }

} // namespace

bool is_end(const payload& body) {
  return std::holds_alternative<cancel>(body) || std::holds_alternative<close_session>(body);
}

priority urgency_of(const payload& body) {
  if (body.index() < payload{generate{}}.index() || is_end(body))
    return priority::control;
  if (std::holds_alternative<padding>(body))
    return priority::bulk;
  auto rows = tensor_of(body);
  return rows && rows->rows > link_defaults::decode_rows ? priority::bulk : priority::decode;
}

// A lane is as urgent as its most urgent message: this is what promotes bulk that stands before a decode message.
priority send_queue::lane::urgency() const { return waiting[index(priority::decode)] > 0 ? priority::decode : priority::bulk; }

std::optional<failure> send_queue::push(frame&& f) {
  f.urgency = urgency_of(f.body);
  auto charge = charge_of(f.body);
  if (f.urgency == priority::control) {
    if (is_end(f.body))
      drop_requests({f.hdr.session, f.hdr.target});
    bytes_ += charge;
    control_.push_back({std::move(f), charge});
    return {};
  }
  if (bytes_ + charge > limit_)
    return failure{ec::queue_full, link_defaults::queue_retry_ms,
                   "the link's queue holds " + std::to_string(bytes_) + " of " + std::to_string(limit_) + " bytes"};
  bytes_ += charge;
  lane_key key{f.hdr.session, f.hdr.target};
  auto& l = lanes_[key];
  auto before = l.messages.empty() ? priority::control : l.urgency();
  ++l.waiting[index(f.urgency)];
  l.messages.push_back({std::move(f), charge});
  if (before == l.urgency())
    return {};
  if (before != priority::control)
    std::erase(turns_[index(before)], key);
  turns_[index(l.urgency())].push_back(key);
  return {};
}

bool send_queue::message::ends() const { return offset >= tensor_bytes(value.body); }

std::optional<send_queue::unit> send_queue::pop(time_point now, std::size_t slice_bytes, priority least) {
  auto u = pop_control(now);
  if (!u && least >= priority::decode)
    u = pop_lane(priority::decode, now, slice_bytes);
  if (!u && least >= priority::bulk)
    u = pop_lane(priority::bulk, now, slice_bytes);
  return u;
}

std::optional<send_queue::unit> send_queue::pop_control(time_point now) {
  while (!control_.empty()) {
    auto m = std::move(control_.front());
    control_.pop_front();
    bytes_ -= m.charged;
    if (auto data = next_unit(m, now, limits::slice_bytes))
      return unit{std::move(*data), m.value.hdr.session, priority::control, false};
  }
  return {};
}

std::optional<send_queue::unit> send_queue::pop_lane(priority urgency, time_point now, std::size_t slice_bytes) {
  auto& turns = turns_[index(urgency)];
  auto ready = [&](const lane_key& key) {
    auto& m = lanes_[key].messages.front();
    return m.begun || begun_ < link_defaults::messages_begun || m.charged <= slice_bytes;
  };
  for (;;) {
    auto i = std::find_if(turns.begin(), turns.end(), ready);
    if (i == turns.end())
      return {};
    auto key = *i;
    turns.erase(i);
    auto& m = lanes_[key].messages.front();
    auto first = !m.begun;
    auto kind = m.value.urgency;
    auto data = next_unit(m, now, slice_bytes);
    if (!data || m.ends()) {
      begun_ -= !first;
      finish_front(key);
    } else {
      begun_ += first;
      turns_[index(lanes_[key].urgency())].push_back(key);
    }
    if (data)
      return unit{std::move(*data), key.first, kind, true};
  }
}

/// Encodes a unit as it leaves, so that what remains of its deadline and the size of its slice are those of the moment.
std::optional<wire_unit> send_queue::next_unit(message& m, time_point now, std::size_t slice_bytes) {
  if (!m.begun)
    m.value.sequence = sequence_ + 1;
  auto data = encode_unit(m.value, m.offset, now, slice_bytes);
  if (!data) {
    undelivered_.push_back({std::move(m.value), to_failure(data.error())});
    return {};
  }
  sequence_ += !m.begun;
  m.begun = true;
  return std::move(*data);
}

/// Takes the front message away; its lane, already out of its turn, waits for the next one or ends.
void send_queue::finish_front(const lane_key& key) {
  auto i = lanes_.find(key);
  auto& l = i->second;
  auto& m = l.messages.front();
  bytes_ -= m.charged;
  --l.waiting[index(m.value.urgency)];
  if (auto t = tensor_of(m.value.body))
    leaving_ = std::move(t->data);
  l.messages.pop_front();
  if (l.messages.empty())
    lanes_.erase(i);
  else
    turns_[index(l.urgency())].push_back(key);
}

/// What has not left whole goes back to its asker as cancelled; the receiver forgets what it has of it.
void send_queue::drop_requests(const lane_key& key) {
  auto i = lanes_.find(key);
  if (i == lanes_.end())
    return;
  auto& l = i->second;
  std::erase(turns_[index(l.urgency())], key);
  std::erase_if(l.messages, [&](message& m) {
    if (!is_request(m.value.body))
      return false;
    bytes_ -= m.charged;
    begun_ -= m.begun;
    --l.waiting[index(m.value.urgency)];
    undelivered_.push_back({std::move(m.value), {ec::cancelled, 0, "it was cancelled before it had left"}});
    return true;
  });
  if (l.messages.empty())
    lanes_.erase(i);
  else
    turns_[index(l.urgency())].push_back(key);
}

void send_queue::clear() {
  *this = send_queue{limit_};
}

} // namespace virga
