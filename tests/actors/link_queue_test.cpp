#include "messages/crc32c.hpp"
#include "tests/actors/link_protocol_pair.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

constexpr auto all = priority::bulk;
constexpr std::size_t small = 4096;

/// Takes everything out and says what came whole in which order, by (session, unit).
std::vector<std::pair<std::uint64_t, std::uint32_t>> drain(send_queue& q) {
  frame_decoder decoder;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> out;
  while (auto u = q.pop({}, small, all)) {
    put(decoder, bytes_of(u->wire));
    auto r = decoder.next({});
    REQUIRE(r);
    if (*r)
      out.emplace_back((*r)->value.hdr.session.lo, (*r)->value.hdr.unit);
  }
  return out;
}

slice slice_of(std::span<const std::byte> unit) {
  auto body = unit.subspan(wire_prefix_bytes);
  auto s = decode_slice(body, crc32c(body), {});
  REQUIRE(s);
  return std::move(*s);
}

using order = std::vector<std::pair<std::uint64_t, std::uint32_t>>;

} // namespace

TEST_CASE("decoding overtakes another session's bulk", "[actors][link]") {
  send_queue q{1 << 30};
  q.push(verify_frame(1, 64, 1));
  q.push(verify_frame(2, 1, 2));
  CHECK(drain(q) == order{{2, 2}, {1, 1}});
}

TEST_CASE("a decode message promotes its own session's bulk before it", "[actors][link]") {
  send_queue q{1 << 30};
  q.push(verify_frame(3, 64, 1));
  q.push(verify_frame(1, 64, 1));
  q.push(verify_frame(1, 1, 2));
  CHECK(drain(q) == order{{1, 1}, {1, 2}, {3, 1}});
}

TEST_CASE("cancel and close overtake, and what has not left before them never does", "[actors][link]") {
  send_queue q{1 << 30};
  q.push(verify_frame(1, 64, 1));
  CHECK(q.pop({}, small, all));  // begun
  q.push(verify_frame(1, 1, 2));
  q.push(verify_frame(2, 1, 2));
  q.push({head(1, 3), 0, {}, close_session{}});
  q.push(verify_frame(1, 1, 4));
  auto next = [&] { return slice_of(bytes_of(q.pop({}, small, all)->wire)).part.hdr; };
  CHECK(next().unit == 3);
  CHECK(next().session.lo == 2);
  CHECK(next().unit == 4);
  auto lost = q.take_undelivered();
  REQUIRE(lost.size() == 2);
  for (std::uint32_t i = 0; i < 2; ++i) {
    CHECK(lost[i].message.hdr.unit == i + 1);
    CHECK(lost[i].why.code == ec::cancelled);
  }
  CHECK(q.bytes() == 0);
  CHECK(q.empty());
}

TEST_CASE("a cancel leaves answers alone", "[actors][link]") {
  send_queue q{1 << 30};
  q.push({head(1, 1), 0, {}, opened{}});
  q.push({head(1, 3), 0, {}, cancel{}});
  CHECK(drain(q) == order{{1, 3}, {1, 1}});
}

TEST_CASE("slices of two sessions' bulk take turns", "[actors][link]") {
  send_queue q{1 << 30};
  q.push(verify_frame(1, 20, 1));
  q.push(verify_frame(2, 20, 1));
  std::vector<std::uint64_t> sessions;
  while (auto u = q.pop({}, small, all))
    sessions.push_back(u->session.lo);
  REQUIRE(sessions.size() == 40);
  for (std::size_t i = 0; i < sessions.size(); ++i)
    CHECK(sessions[i] == i % 2 + 1);
}

TEST_CASE("a full queue says when to try again and keeps the message", "[actors][link]") {
  send_queue q{100'000};
  CHECK_FALSE(q.push(verify_frame(1, 20)));
  auto f = verify_frame(1, 20);
  auto why = q.push(std::move(f));
  REQUIRE(why);
  CHECK(why->code == ec::queue_full);
  CHECK(why->detail == link_defaults::queue_retry_ms);
  CHECK(std::get<verify>(f.body).rows.data.size() == 80 * 1024);
  CHECK_FALSE(q.push({head(1), 0, {}, cancel{}}));
  drain(q);
  CHECK(q.bytes() == 0);
  CHECK(q.empty());
}

TEST_CASE("only what is urgent enough leaves", "[actors][link]") {
  send_queue q{1 << 30};
  q.push(verify_frame(1, 64));
  q.push(verify_frame(2, 1));
  q.push({head(3), 0, {}, cancel{}});
  CHECK(q.pop({}, small, priority::control)->session.lo == 3);
  CHECK_FALSE(q.pop({}, small, priority::control));
  CHECK(q.pop({}, small, priority::decode)->session.lo == 2);
  CHECK_FALSE(q.pop({}, small, priority::decode));
  CHECK(q.pop({}, small, priority::bulk)->session.lo == 1);
}

TEST_CASE("a message's later slices may have another size", "[actors][link]") {
  send_queue q{1 << 30};
  q.push(verify_frame(1, 20, 1));
  frame_decoder decoder;
  std::size_t units = 0;
  while (auto u = q.pop({}, small << units, all)) {
    put(decoder, bytes_of(u->wire));
    auto r = decoder.next({});
    REQUIRE(r);
    ++units;
    CHECK(r->has_value() == q.empty());
  }
  CHECK(units == 5);  // 4 + 8 + 16 + 32 + the rest of 80 KiB
}

TEST_CASE("at most so many messages are begun at once", "[actors][link]") {
  send_queue q{1 << 30};
  for (std::uint64_t s = 0; s < 100; ++s)
    q.push(verify_frame(s, 20));
  frame_decoder decoder;
  assembler watch;
  std::size_t most = 0, whole = 0;
  while (auto u = q.pop({}, small, all)) {
    auto unit = bytes_of(u->wire);
    put(decoder, unit);
    auto r = decoder.next({});
    REQUIRE(r);
    whole += r->has_value();
    REQUIRE(watch.add(slice_of(unit), unit.size(), {}));
    most = std::max(most, watch.partial_count());
  }
  CHECK(whole == 100);
  CHECK(most == link_defaults::messages_begun);
}

TEST_CASE("what cannot be encoded comes back with the reason", "[actors][link]") {
  send_queue q{1 << 30};
  auto f = verify_frame(1, 4);
  std::get<verify>(f.body).rows.data.resize(3);
  q.push(std::move(f));
  q.push(verify_frame(1, 1, 9));
  CHECK(drain(q) == order{{1, 9}});
  auto lost = q.take_undelivered();
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].why.code == ec::bad_tensor);
}

TEST_CASE("a number is good once and in its turn", "[actors][link]") {
  using v = sequence_check::verdict;
  sequence_check c;
  CHECK(c.accept(0, false) == v::out_of_order);
  CHECK(c.accept(1, false) == v::good);
  CHECK(c.accept(1, false) == v::duplicate);
  CHECK(c.accept(1, true) == v::duplicate);
  CHECK(c.accept(4, false) == v::good);          // 2 and 3 are tensors under way
  CHECK(c.accept(3, false) == v::out_of_order);  // not a tensor: it stands behind 4
  CHECK(c.accept(2, true) == v::good);
  CHECK(c.accept(2, true) == v::duplicate);
  CHECK(c.accept(4 + 66, false) == v::out_of_order);
  CHECK(c.accept(4 + 65, false) == v::good);
}

TEST_CASE("rates are measured while the link is the limit, and only then", "[actors][link]") {
  link_meter m{true};
  time_point t{1h};
  m.round_trip(10ms);
  m.round_trip(20ms);
  CHECK(m.quality().rtt_us == 12'000);
  for (int i = 0; i < 20; ++i)
    m.received(50'000, i % 10 != 9, t += (i % 10 == 0 ? 5s : 10ms));
  CHECK(m.quality().down_bytes_per_s == 5'000'000);
}

TEST_CASE("bytes of a session are those since its last answer", "[actors][link]") {
  link_meter edge{true}, cloud{false};
  session_id id{0, 1};
  edge.session_bytes(id, 5, 5);  // nobody asked: not counted
  CHECK(edge.sessions() == 0);
  edge.asked(id);
  edge.session_bytes(id, 100, 7);
  auto first = edge.answered(id, false);
  CHECK(first.bytes_up == 100);
  CHECK(first.bytes_down == 7);
  edge.session_bytes(id, 0, 9);
  auto second = edge.answered(id, true);
  CHECK(second.bytes_up == 0);
  CHECK(second.bytes_down == 9);
  CHECK(edge.sessions() == 0);
  cloud.asked(id);
  cloud.session_bytes(id, 1, 2);
  CHECK(cloud.answered(id, true).bytes_down == 1);
}
