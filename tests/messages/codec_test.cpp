#include "messages/type_ids.hpp"
#include "tests/messages/samples.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace virga::test;
using namespace std::chrono_literals;

static void check_round_trip(const frame& f, std::size_t slice_bytes = limits::slice_bytes) {
  auto wire = wire_of(f, slice_bytes);
  auto back = decode_all(wire);
  REQUIRE_FALSE(back.error);
  REQUIRE(back.messages.size() == 1);
  REQUIRE_FALSE(back.messages[0].refused);
  REQUIRE(back.messages[0].wire_bytes == wire.size());
  REQUIRE(same(back.messages[0].value, f));
}

TEST_CASE("every kind of message comes back as it went", "[messages][codec]") {
  rng r(static_cast<rng::result_type>(GENERATE(1, 2, 3, 4, 5, 6, 7, 8)));
  auto frames = one_of_each(r);
  REQUIRE(frames.size() == std::variant_size_v<payload>);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CAPTURE(i);
    REQUIRE(frames[i].body.index() == i);
    check_round_trip(frames[i]);
  }
}

TEST_CASE("empty messages come back as they went", "[messages][codec]") {
  for (auto& f : emptiest()) {
    CAPTURE(f.body.index());
    check_round_trip(f);
  }
}

TEST_CASE("messages as large as the limits come back as they went", "[messages][codec]") {
  rng r{11};
  for (auto& f : largest(r)) {
    CAPTURE(f.body.index());
    check_round_trip(f);
  }
}

TEST_CASE("every dtype comes back bit by bit", "[messages][codec]") {
  rng r{12};
  for (std::uint8_t type = 0; type < dtype_count; ++type)
    check_round_trip(any_frame(r, verify{5, rows_wanted::all, any_tensor(r, static_cast<dtype>(type), 3, 7)}));
}

TEST_CASE("a large tensor travels in slices of the size asked for", "[messages][codec]") {
  rng r{13};
  auto f = any_frame(r, verified{9, any_tensor(r, dtype::f32, 100, 128), {1, 2}});
  constexpr std::size_t tensor = 100 * 128 * 4;
  for (std::size_t slice : {std::size_t{0}, std::size_t{4096}, std::size_t{5000}, std::size_t{51199}, tensor}) {
    auto units = encode(f, clock_start, slice);
    REQUIRE(units);
    auto step = std::max<std::size_t>(slice, 1024);
    CHECK(units->size() == (tensor + step - 1) / step);
    for (auto& u : *units)
      CHECK(u.size() <= step + 256);
    check_round_trip(f, slice);
  }
}

TEST_CASE("the data of a large slice are not copied, and what is not whole words is", "[messages][codec]") {
  rng r{15};
  for (std::uint32_t cols : {4096u, 4095u, 4094u, 3u}) {
    auto f = any_frame(r, verify{0, rows_wanted::all, any_tensor(r, dtype::bf16, 9, cols)});
    auto& data = std::get<verify>(f.body).rows.data;
    for (std::size_t offset = 0; offset < data.size();) {
      auto at = offset;
      auto unit = encode_unit(f, offset, clock_start, 20'001);
      REQUIRE(unit);
      CHECK(unit->data.empty() == (offset - at <= 8192 || (offset - at) % 8 != 0));
      CHECK((unit->data.empty() || unit->data.data() == data.data() + at));
      CHECK(unit->size() <= offset - at + 256);
    }
    check_round_trip(f, 20'001);
  }
}

TEST_CASE("a slice is never larger than its limit", "[messages][codec]") {
  rng r{14};
  auto f = any_frame(r, verify{0, rows_wanted::all, any_tensor(r, dtype::f64, 100, 1000)});
  auto units = encode(f, clock_start, ~0u);
  REQUIRE(units);
  CHECK(units->size() == 4);
  for (auto& u : *units)
    CHECK(u.size() <= limits::slice_bytes + 256);
}

TEST_CASE("a deadline travels as the milliseconds that remain", "[messages][codec]") {
  rng r{15};
  auto f = any_frame(r, ping{1});
  auto later = clock_start + 700s;
  auto arrived = [&](time_point deadline) {
    f.hdr.deadline = deadline;
    auto units = encode(f, clock_start);
    frame_decoder decoder;
    put(decoder, units->front());
    return (*decoder.next(later))->value.hdr.deadline - later;
  };
  CHECK(arrived(clock_start + 1500ms) == 1500ms);
  CHECK(arrived(clock_start + 1500ms + 999us) == 1500ms);
  CHECK(arrived(clock_start) == 0ms);
  CHECK(arrived(clock_start - 5s) == 0ms);
  CHECK(arrived(time_point{}) == 0ms);
  CHECK(arrived(time_point::min()) == 0ms);
  CHECK(arrived(clock_start + 4294967296ms + 5ms) == std::chrono::milliseconds{limits::deadline_ms}); // 2^32 + 5
  CHECK(arrived(time_point::max()) == std::chrono::milliseconds{limits::deadline_ms});
}

static ec refusal(payload body) {
  rng r{16};
  auto units = encode(any_frame(r, std::move(body)), clock_start);
  return units ? ec::none : code_of(units.error());
}

TEST_CASE("what is beyond a limit is not written", "[messages][codec]") {
  std::string text(limits::text_bytes + 1, 'x');
  CHECK(refusal(hello{1, text, "", "", 0, 0, 0, dtype::f32, {}}) == ec::bad_frame);
  CHECK(refusal(hello{1, "", text, "", 0, 0, 0, dtype::f32, {}}) == ec::bad_frame);
  CHECK(refusal(hello{1, "", "", text, 0, 0, 0, dtype::f32, {}}) == ec::bad_frame);
  CHECK(refusal(status{std::vector<role_status>(limits::list_items + 1)}) == ec::bad_frame);
  CHECK(refusal(generate{strategy::hat, text, "", 1, {}}) == ec::bad_frame);
  CHECK(refusal(generate{strategy::hat, "", std::string(limits::prompt_bytes + 1, 'x'), 1, {}}) == ec::bad_request);
  auto chat = [](std::vector<chat_message> messages, std::vector<std::string> stop = {}, std::size_t biases = 0) {
    generate g{strategy::cloud, "", "", 1, {}, std::move(messages), std::move(stop)};
    g.choose.logit_bias.resize(biases);
    return refusal(g);
  };
  const std::string half(limits::prompt_bytes / 2, 'x');
  CHECK(chat({{"user", half}, {"", half.substr(4)}}) == ec::none);
  CHECK(chat({{"user", half}, {"", half.substr(3)}}) == ec::bad_request);
  CHECK(chat(std::vector<chat_message>(limits::chat_messages + 1)) == ec::bad_request);
  CHECK(chat({}, std::vector<std::string>(limits::stop_strings + 1)) == ec::bad_request);
  CHECK(chat({}, {std::string(limits::stop_bytes + 1, 'x')}) == ec::bad_request);
  CHECK(chat({}, {}, limits::biased_tokens + 1) == ec::bad_request);
  CHECK(refusal(open_session{text, 0, 0, 0, dtype::f32, 0, 0, ""}) == ec::bad_frame);
  CHECK(refusal(open_session{"", 0, 0, 0, dtype::f32, 0, 0, text}) == ec::bad_frame);
  CHECK(refusal(tokens{0, std::vector<token_id>(limits::tokens_per_frame + 1), ""}) == ec::bad_frame);
  CHECK(refusal(tokens{0, {}, text}) == ec::bad_frame);
  CHECK(refusal(failure{ec::internal, 0, text}) == ec::bad_frame);
  CHECK(refusal(failure{}) == ec::none);
  CHECK(refusal(failure{ec::none, 0, ""}) == ec::bad_frame);
  outcome o;
  o.places.resize(limits::list_items + 1);
  CHECK(refusal(o) == ec::bad_frame);
  o.places.assign(1, {text, ""});
  CHECK(refusal(o) == ec::bad_frame);
  o.places.assign(limits::list_items, {std::string(limits::text_bytes, 'x'), std::string(limits::text_bytes, 'x')});
  CHECK(refusal(o) == ec::bad_frame); // each part is within its limit, the frame is not
}

TEST_CASE("a tensor that does not fit its shape is not written", "[messages][codec]") {
  auto t = [](dtype type, std::uint32_t rows, std::uint32_t cols, std::size_t bytes) {
    return verify{0, rows_wanted::all, {type, rows, cols, byte_buffer(bytes)}};
  };
  CHECK(refusal(t(dtype::f32, 2, 3, 24)) == ec::none);
  CHECK(refusal(t(dtype::f32, 2, 3, 23)) == ec::bad_tensor);
  CHECK(refusal(t(dtype::f32, 2, 3, 25)) == ec::bad_tensor);
  CHECK(refusal(t(dtype::i8_rows, 2, 3, 14)) == ec::none);
  CHECK(refusal(t(dtype::i8_rows, 2, 3, 6)) == ec::bad_tensor);
  CHECK(refusal(t(dtype::f32, 2, 0, 0)) == ec::bad_tensor);
  CHECK(refusal(t(dtype::f64, ~0u, ~0u, 8)) == ec::bad_tensor);
  CHECK(refusal(t(dtype::f64, 0x80000000, 4, 0)) == ec::bad_tensor); // 2^36 bytes: no wrap-around
  CHECK(refusal(t(dtype::f64, 0x80000000, 0x40000000, 0)) == ec::bad_tensor); // 2^64 bytes
  CHECK(refusal(t(dtype::i8_rows, 0x10000000, 1, 0)) == ec::bad_tensor); // the scales alone are too large
}

TEST_CASE("a decoder counts messages, units and bytes by priority", "[messages][codec]") {
  rng r{17};
  auto tensor_frame = any_frame(r, verify{0, rows_wanted::all, any_tensor(r, dtype::f32, 100, 100)});
  tensor_frame.urgency = priority::bulk;
  auto small = any_frame(r, ping{1});
  small.urgency = priority::control;
  auto bulk = wire_of(tensor_frame, 4096);
  auto control = wire_of(small);
  frame_decoder decoder;
  put(decoder, bulk);
  put(decoder, control);
  REQUIRE((*decoder.next(clock_start))->wire_bytes == bulk.size());
  REQUIRE((*decoder.next(clock_start))->wire_bytes == control.size());
  REQUIRE_FALSE(*decoder.next(clock_start));
  CHECK(decoder.counters().frames == 2);
  CHECK(decoder.counters().units == 11);
  CHECK(decoder.counters().bytes[0] == control.size());
  CHECK(decoder.counters().bytes[1] == 0);
  CHECK(decoder.counters().bytes[2] == bulk.size());
  CHECK(decoder.counters().broken == 0);
}
