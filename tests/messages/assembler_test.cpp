#include "messages/type_ids.hpp"
#include "tests/messages/samples.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>

using namespace virga;
using namespace virga::test;
using namespace std::chrono_literals;

using units = std::vector<byte_buffer>;

static units units_of(const frame& f, std::size_t slice_bytes = 4096) {
  auto out = encode(f, clock_start, slice_bytes);
  REQUIRE(out);
  return std::move(*out);
}

static frame any_rows(rng& r, std::uint32_t rows, std::uint64_t sequence) {
  auto f = any_frame(r, verify{r(), rows_wanted::all, any_tensor(r, dtype::f32, rows, 256)}); // 1 KiB a row
  f.sequence = sequence;
  return f;
}

/// A slice as an announcement: the first bytes of a tensor of `total` bytes, without the memory for the rest.
static slice first_slice(std::uint64_t sequence, std::uint64_t total, std::span<const std::byte> data) {
  slice s;
  s.part.hdr.session = {sequence, 0};
  s.part.hdr.deadline = clock_start + 10s;
  s.part.sequence = sequence;
  s.part.body = verify{0, rows_wanted::all, {dtype::i8_rows, 1, static_cast<std::uint32_t>(total - 4), {}}};
  s.total = total;
  s.data = data;
  return s;
}

static slice next_slice(slice s, std::uint64_t offset) {
  s.offset = offset;
  return s;
}

static caf::error error_after(const units& all) {
  byte_buffer wire;
  for (auto& u : all)
    wire.insert(wire.end(), u.begin(), u.end());
  return decode_all(wire).error;
}

TEST_CASE("slices of many messages may interleave", "[messages][assembler]") {
  rng r(static_cast<rng::result_type>(GENERATE(31, 32, 33, 34)));
  std::vector<frame> frames;
  std::vector<units> queues;
  for (std::uint64_t i = 0; i < 12; ++i) {
    frames.push_back(any_rows(r, static_cast<std::uint32_t>(pick(r, 40)), i));
    queues.push_back(units_of(frames.back()));
    std::reverse(queues.back().begin(), queues.back().end());
  }
  frame_decoder decoder;
  std::size_t done = 0;
  while (done < frames.size()) {
    auto& queue = queues[pick(r, queues.size())];
    if (queue.empty())
      continue;
    put(decoder, queue.back());
    queue.pop_back();
    auto got = decoder.next(clock_start);
    REQUIRE(got);
    REQUIRE(got->has_value() == queue.empty());
    if (*got) {
      REQUIRE(same((*got)->value, frames.at((*got)->value.sequence)));
      ++done;
    }
  }
}

TEST_CASE("a slice out of order, twice, or without a beginning ends the connection", "[messages][assembler]") {
  rng r{35};
  auto u = units_of(any_rows(r, 20, 1)); // five slices
  REQUIRE(u.size() == 5);
  CHECK_FALSE(error_after({u[0], u[1], u[2], u[3], u[4]}));
  CHECK(error_after({u[0], u[2]}) == ec::bad_frame);
  CHECK(error_after({u[0], u[1], u[1]}) == ec::bad_frame);
  CHECK(error_after({u[0], u[0]}) == ec::bad_frame);
  CHECK(error_after({u[1]}) == ec::bad_frame);
  CHECK(error_after({u[0], u[1], u[2], u[3], u[4], u[4]}) == ec::bad_frame);
}

TEST_CASE("a slice that overlaps ends the connection", "[messages][assembler]") {
  rng r{36};
  auto f = any_rows(r, 20, 1);
  CHECK(error_after({units_of(f)[0], units_of(f, 4104)[1]}) == ec::bad_frame);
  CHECK(error_after({units_of(f, 4104)[0], units_of(f)[1]}) == ec::bad_frame);
}

TEST_CASE("a slice of another message under the same number ends the connection", "[messages][assembler]") {
  rng r{37};
  auto f = any_rows(r, 20, 1);
  auto first = units_of(f)[0];
  auto after = [&](auto change) {
    auto g = f;
    change(g, std::get<verify>(g.body));
    return error_after({first, units_of(g)[1]});
  };
  CHECK_FALSE(after([](frame&, verify&) {}));
  CHECK_FALSE(after([](frame& g, verify&) { g.hdr.deadline -= 1ms; }));
  CHECK(after([](frame& g, verify&) { ++g.hdr.session.hi; }) == ec::bad_frame);
  CHECK(after([](frame& g, verify&) { ++g.hdr.session.lo; }) == ec::bad_frame);
  CHECK(after([](frame& g, verify&) { ++g.hdr.epoch; }) == ec::bad_frame);
  CHECK(after([](frame& g, verify&) { ++g.hdr.unit; }) == ec::bad_frame);
  CHECK(after([](frame& g, verify&) { ++g.hdr.incarnation; }) == ec::bad_frame);
  CHECK(after([](frame& g, verify&) { g.hdr.target = g.hdr.target == role::node ? role::drafter : role::node; })
        == ec::bad_frame);
  CHECK(after([](frame& g, verify&) { g.urgency = g.urgency == priority::bulk ? priority::decode : priority::bulk; })
        == ec::bad_frame);
  CHECK(after([](frame&, verify& v) { ++v.base; }) == ec::bad_frame);
  CHECK(after([](frame&, verify& v) { v.want = rows_wanted::last; }) == ec::bad_frame);
  CHECK(after([](frame&, verify& v) { v.rows.rows = 40, v.rows.cols = 128; }) == ec::bad_frame);
  CHECK(after([](frame&, verify& v) { v.rows.type = dtype::f64, v.rows.cols = 128; }) == ec::bad_frame);
  CHECK(after([](frame& g, verify& v) { g.body = verified{v.base, v.rows, {}}; }) == ec::bad_frame);
}

TEST_CASE("a small message under the number of an unfinished one ends the connection", "[messages][assembler]") {
  rng r{38};
  auto f = any_rows(r, 20, 1);
  auto g = f;
  g.body = ping{};
  CHECK(error_after({units_of(f)[0], units_of(g)[0]}) == ec::bad_frame);
}

TEST_CASE("too many unfinished messages are refused once and swallowed", "[messages][assembler]") {
  rng r{39};
  auto data = any_bytes(r, 100);
  assembler a;
  for (std::uint64_t i = 1; i <= limits::partial_tensors; ++i)
    REQUIRE_FALSE(*a.add(first_slice(i, 200, data), 1, clock_start));
  REQUIRE(a.partial_count() == limits::partial_tensors);
  auto refused = a.add(first_slice(1000, 200, data), 1, clock_start);
  REQUIRE(refused);
  REQUIRE(*refused);
  REQUIRE((*refused)->refused);
  CHECK((*refused)->refused->code == ec::queue_full);
  CHECK((*refused)->value.sequence == 1000);
  CHECK((*refused)->value.hdr.session == session_id{1000, 0});
  auto rest = a.add(next_slice(first_slice(1000, 200, data), 100), 1, clock_start);
  REQUIRE(rest);
  CHECK_FALSE(*rest); // swallowed
  auto done = a.add(next_slice(first_slice(7, 200, data), 100), 3, clock_start);
  REQUIRE(*done);
  CHECK((*done)->wire_bytes == 4);
  CHECK_FALSE((*done)->refused);
  CHECK_FALSE(*a.add(first_slice(1001, 200, data), 1, clock_start)); // there is room again
}

TEST_CASE("the bytes of unfinished messages are bounded by what they announce", "[messages][assembler]") {
  rng r{40};
  auto data = any_bytes(r, 100);
  assembler a;
  REQUIRE_FALSE(*a.add(first_slice(1, limits::tensor_bytes, data), 1, clock_start));
  REQUIRE_FALSE(*a.add(first_slice(2, limits::tensor_bytes, data), 1, clock_start));
  CHECK(a.partial_bytes() == limits::partial_bytes);
  auto refused = a.add(first_slice(3, 200, data), 1, clock_start);
  REQUIRE(*refused);
  CHECK((*refused)->refused->code == ec::queue_full);
}

TEST_CASE("overdue messages make room", "[messages][assembler]") {
  rng r{41};
  auto data = any_bytes(r, 100);
  assembler a;
  for (std::uint64_t i = 1; i <= limits::partial_tensors; ++i)
    REQUIRE_FALSE(*a.add(first_slice(i, 200, data), 1, clock_start));
  auto late = first_slice(1000, 200, data);
  late.part.hdr.deadline = clock_start + 20s;
  REQUIRE_FALSE(*a.add(late, 1, clock_start + 10s));
  CHECK(a.partial_count() == 1);
  CHECK(a.partial_bytes() == 200);
  CHECK_FALSE(*a.add(next_slice(first_slice(7, 200, data), 100), 1, clock_start + 10s)); // swallowed
  CHECK(*a.add(next_slice(late, 100), 1, clock_start + 10s));
}

TEST_CASE("cancel and close forget their session's unfinished messages and no others", "[messages][assembler]") {
  rng r{42};
  auto data = any_bytes(r, 100);
  assembler a;
  REQUIRE_FALSE(*a.add(first_slice(1, 200, data), 1, clock_start));
  REQUIRE_FALSE(*a.add(first_slice(2, 200, data), 1, clock_start));
  slice end;
  end.part.hdr.session = {1, 0};
  end.part.sequence = 3;
  end.part.body = GENERATE(payload{cancel{}}, payload{close_session{}});
  REQUIRE(*a.add(end, 1, clock_start));
  CHECK(a.partial_count() == 1);
  CHECK(a.partial_bytes() == 200);
  auto rest = a.add(next_slice(first_slice(1, 200, data), 100), 1, clock_start);
  REQUIRE(rest);
  CHECK_FALSE(*rest);
  CHECK(*a.add(next_slice(first_slice(2, 200, data), 100), 1, clock_start));
  CHECK(a.partial_bytes() == 0);
}

TEST_CASE("a sender that only ever begins messages cannot make the receiver grow", "[messages][assembler]") {
  rng r{43};
  auto data = any_bytes(r, 100);
  assembler a;
  for (std::uint64_t i = 1; i <= 20 * limits::partial_tensors; ++i) {
    auto got = a.add(first_slice(i, 200, data), 1, clock_start);
    REQUIRE(got);
    REQUIRE(got->has_value() == (i > limits::partial_tensors));
  }
  CHECK(a.partial_count() == limits::partial_tensors);
  // The oldest refused message is forgotten, so its rest has no beginning; the youngest is still swallowed.
  CHECK(a.add(next_slice(first_slice(limits::partial_tensors + 1, 200, data), 100), 1, clock_start).error()
        == ec::bad_frame);
  CHECK_FALSE(*a.add(next_slice(first_slice(20 * limits::partial_tensors, 200, data), 100), 1, clock_start));
}
