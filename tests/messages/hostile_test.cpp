// Frames that encode() would never write, with a right checksum: what a hostile peer can send.
#include "messages/crc32c.hpp"
#include "messages/type_ids.hpp"
#include "tests/messages/samples.hpp"
#include "tests/support/catch.hpp"

#include "schema/virga.capnp.h"

#include <capnp/message.h>
#include <capnp/serialize.h>

#include <algorithm>
#include <cstring>

using namespace virga;
using namespace virga::test;

static constexpr unsigned too_many = limits::list_items + 1;

/// The body of a frame that `change` made from an otherwise sound one.
template <class Change>
static byte_buffer body_of(Change change) {
  capnp::MallocMessageBuilder message(128 * 1024);
  auto root = message.initRoot<wire::Frame>();
  root.setProtocolVersion(limits::protocol_version);
  change(root);
  auto words = capnp::messageToFlatArray(message);
  auto bytes = std::as_bytes(std::span{words.begin(), words.size()});
  return {bytes.begin(), bytes.end()};
}

static caf::error error_of(std::span<const std::byte> body) {
  auto got = decode_all(unit_of(body));
  CHECK(got.messages.empty());
  return got.error;
}

template <class Change>
static ec code_for(Change change) {
  return code_of(error_of(body_of(change)));
}

static void set_zeros(wire::Tensor::Builder t, unsigned size) {
  t.initData(size);
  t.setCrc32c(crc32c(byte_buffer(size)));
}

/// A sound verify, and a sound KV slice, of one f32 row of four, for `change` to spoil.
template <class Change>
static ec code_for_tensor(Change change) {
  auto with = [&](auto make) {
    return code_for([&](wire::Frame::Builder f) {
      wire::Tensor::Builder t = make(f.getPayload());
      t.setDtype(1);
      t.setRows(1);
      t.setCols(4);
      t.setTotalBytes(16);
      set_zeros(t, 16);
      change(t);
    });
  };
  auto code = with([](auto payload) { return payload.initVerify().initRows(); });
  CHECK(code == with([](auto payload) { return payload.initKvSlice().initTensor(); }));
  return code;
}

static void put_u32(byte_buffer& body, std::size_t at, std::uint32_t value) {
  std::memcpy(body.data() + at, &value, sizeof value);
}

static void put_word(byte_buffer& body, std::size_t index, std::uint64_t value) {
  std::memcpy(body.data() + 8 + 8 * index, &value, sizeof value); // after the segment table
}

TEST_CASE("another protocol version is refused with both numbers", "[messages][hostile]") {
  auto e = error_of(body_of([](auto f) { f.setProtocolVersion(77); }));
  CHECK(e == ec::handshake_refused);
  CHECK(text_of(e).find("77") != std::string::npos);
  CHECK(text_of(e).find("speaks " + std::to_string(limits::protocol_version)) != std::string::npos);
}

TEST_CASE("numbers without a meaning are refused", "[messages][hostile]") {
  CHECK(code_for([](auto f) { f.setTarget(role_count); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.setUrgency(3); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initHello().setWire(dtype_count); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initHello().initRoles(1)[0].setKind(200); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initStatus().initRoles(2)[1].setKind(role_count); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initGenerate().setHow(strategy_count); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initOpenSession().setWire(255); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initVerify().setWant(3); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initOutcome().setError(ec_count); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initOutcome().setHow(strategy_count); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initOutcome().setFinish(3); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initFailure().setCode(ec_count); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initFailure().setCode(0); }) == ec::bad_frame);
}

TEST_CASE("texts and lists beyond their limits are refused", "[messages][hostile]") {
  std::string t(limits::text_bytes + 1, 'x');
  CHECK(code_for([&](auto f) { f.getPayload().initHello().setSite(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initHello().setNode(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initHello().setModelDigest(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initGenerate().setRequestId(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initOpenSession().setModelDigest(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initTokens().setText(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initOutcome().setErrorText(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initOutcome().initPlaces(1)[0].setNode(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initOutcome().initPlaces(1)[0].setStages(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initFailure().setText(t.c_str()); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initHello().initRoles(too_many); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initStatus().initRoles(too_many); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initOutcome().initPlaces(too_many); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initTokens().initIds(limits::tokens_per_frame + 1); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initGenerate().initAnswered(limits::answered_tokens + 1); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initTokens().initLogprobs(1); }) == ec::bad_frame);
  CHECK(code_for([](auto f) {
          auto one = f.getPayload().initTokens();
          one.initIds(1);
          one.initLogprobs(1)[0].initTop(limits::top_logprobs + 1);
        }) == ec::bad_frame);
  CHECK(code_for([&](auto f) {
          auto one = f.getPayload().initTokens();
          one.initIds(1);
          one.initLogprobs(1)[0].initChosen().initText(limits::text_bytes + 1);
        }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initPadding(limits::slice_bytes + 1); }) == ec::bad_frame);
  CHECK(code_for([](auto f) { f.getPayload().initSketch().initPoints(too_many); }) == ec::bad_frame);
  CHECK(code_for([&](auto f) { f.getPayload().initSketch().initPoints(1)[0].setText(t.c_str()); }) == ec::bad_frame);
}

TEST_CASE("a tensor that contradicts itself is refused", "[messages][hostile]") {
  using builder = wire::Tensor::Builder;
  auto got = decode_all(unit_of(body_of([](auto f) { f.getPayload().initVerify(); }))); // an empty one is sound
  CHECK(got.messages.size() == 1);
  CHECK(code_for_tensor([](builder t) { t.setDtype(dtype_count); }) == ec::bad_frame);
  CHECK(code_for_tensor([](builder t) { t.setDtype(0); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { t.setRows(2); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { t.setCols(0); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { t.setRows(0); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { t.setTotalBytes(20); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { t.setByteOffset(4); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { t.setByteOffset(~std::uint64_t{0}); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { t.setByteOffset(~std::uint64_t{0} - 15); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { t.setCrc32c(t.getCrc32c() ^ 1); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { set_zeros(t, 0); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { set_zeros(t, 24); }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) {
    t.setRows(~0u), t.setCols(~0u), t.setTotalBytes(~std::uint64_t{0});
  }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { // rows * cols * 8 wraps around to 0
    t.setDtype(0), t.setRows(0x80000000), t.setCols(0x40000000), t.setTotalBytes(0), set_zeros(t, 0);
  }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { // 2^62 bytes in int8 rows
    t.setDtype(4), t.setRows(0x80000000), t.setCols(0x80000000), t.setTotalBytes(16);
  }) == ec::bad_tensor);
  CHECK(code_for_tensor([](builder t) { // right, but more than a slice may carry
    constexpr unsigned size = limits::slice_bytes + 4;
    t.setCols(size / 4), t.setTotalBytes(size), set_zeros(t, size);
  }) == ec::bad_tensor);
}

TEST_CASE("a slice inside a larger tensor is only a beginning", "[messages][hostile]") {
  CHECK(code_for_tensor([](auto t) { t.setRows(2), t.setTotalBytes(32); }) == ec::none); // waits for the second row
  CHECK(code_for_tensor([](auto t) { t.setRows(2), t.setTotalBytes(32), t.setByteOffset(16); }) == ec::bad_frame);
}

TEST_CASE("messages that cannot be taken are refused without ending the connection", "[messages][hostile]") {
  std::string prompt(limits::prompt_bytes + 1, 'x');
  auto refused = [](const byte_buffer& body) {
    rng r{51};
    auto wire = unit_of(body);
    auto good = wire_of(any_frame(r, ping{1}));
    wire.insert(wire.end(), good.begin(), good.end());
    auto got = decode_all(wire);
    REQUIRE_FALSE(got.error);
    REQUIRE(got.messages.size() == 2);
    REQUIRE(got.messages[0].refused);
    CHECK(got.messages[0].value.sequence == 9);
    CHECK(std::holds_alternative<hello>(got.messages[0].value.body));
    CHECK_FALSE(got.messages[1].refused);
    return got.messages[0].refused->code;
  };
  CHECK(refused(body_of([&](auto f) { f.setSequence(9), f.getPayload().initGenerate().setPrompt(prompt.c_str()); }))
        == ec::bad_request);
  CHECK(refused(body_of([](auto f) {
          f.setSequence(9), f.getPayload().initGenerate().setTopLogprobs(limits::top_logprobs + 1);
        })) == ec::bad_request);
}

TEST_CASE("a deadline beyond its limit is cut to it", "[messages][hostile]") {
  auto got = decode_all(unit_of(body_of([](auto f) { f.setDeadlineMs(~0u); })));
  REQUIRE(got.messages.size() == 1);
  CHECK(got.messages[0].value.hdr.deadline == clock_start + std::chrono::milliseconds{limits::deadline_ms});
}

TEST_CASE("an unknown payload is refused", "[messages][hostile]") {
  // The union's number is the first u16 that differs between two frames of different fixed kinds.
  auto body = body_of([](auto f) { f.getPayload().setCancel(); });
  auto other = body_of([](auto f) { f.getPayload().setCloseSession(); });
  auto at = static_cast<std::size_t>(std::mismatch(body.begin(), body.end(), other.begin()).first - body.begin());
  for (unsigned number : {18u, 255u}) {
    body[at] = static_cast<std::byte>(number);
    CHECK(error_of(body) == ec::bad_frame);
  }
}

TEST_CASE("only one segment of the body's own size is taken", "[messages][hostile]") {
  const auto good = body_of([](auto f) { f.getPayload().initPing().setStamp(3); });
  for (std::uint32_t segments : {1u, 2u, 511u, 0x7fffffffu, 0xfffffffeu, 0xffffffffu}) {
    auto body = good;
    put_u32(body, 0, segments);
    CHECK(error_of(body) == ec::bad_frame);
  }
  for (std::uint32_t words : {0u, 1u, 0x1fffffffu, 0x20000000u, 0xffffffffu}) {
    auto body = good;
    put_u32(body, 4, words);
    CHECK(error_of(body) == ec::bad_frame);
  }
  CHECK(error_of(byte_buffer(8)) == ec::bad_frame); // no words at all
  CHECK(error_of(byte_buffer(16)) == ec::bad_frame); // a segment of no words and a word too many
}

TEST_CASE("pointers into nowhere, loops and huge lists are refused", "[messages][hostile]") {
  const auto good = body_of([](auto f) { f.getPayload().initStatus().initRoles(1); });
  auto words = good.size() / 8 - 1;
  // Word 0 points to the frame: low two bits kind, 30 bits offset, u16 data words, u16 pointers.
  auto size_of_frame = *reinterpret_cast<const std::uint64_t*>(good.data() + 8) >> 32;
  auto pointer_at = (size_of_frame & 0xffff) + 1; // of the payload
  auto struct_at = [](std::int32_t offset, std::uint64_t data, std::uint64_t pointers) {
    return (static_cast<std::uint32_t>(offset) << 2) | data << 32 | pointers << 48;
  };
  auto list_of = [](std::int32_t offset, std::uint64_t element, std::uint64_t count) {
    return 1u | (static_cast<std::uint32_t>(offset) << 2) | element << 32 | count << 35;
  };
  std::vector<std::uint64_t> evil{
    struct_at(1 << 20, 0, 1), struct_at(-(1 << 20), 0, 1), struct_at(0, 0xffff, 0xffff), // outside
    2, 2 | (std::uint64_t{7} << 32), 6, // far pointers, to this segment and to segments that are not there
    3, 3 | (std::uint64_t{1} << 32),    // capabilities
    list_of(0, 7, 1), list_of(0, 2, 5)};  // a list where a struct must be
  for (auto pointer : evil) {
    auto body = good;
    put_word(body, pointer_at, pointer);
    CAPTURE(pointer);
    CHECK(error_of(body) == ec::bad_frame);
  }
  for (std::uint64_t count : {1000u, 0x1fffffffu})
    for (std::uint64_t element = 0; element < 8; ++element) {
      auto body = good;
      put_word(body, words - 4, list_of(0, element, count)); // the pointer of Status to its list
      CAPTURE(element, count);
      CHECK(error_of(body) == ec::bad_frame);
    }
  auto loop = good;
  put_word(loop, words - 4, struct_at(-1, 0, 1)); // points to itself
  CHECK(error_of(loop) == ec::bad_frame);
}

TEST_CASE("a list of structs of no size is refused", "[messages][hostile]") {
  auto body = body_of([](auto f) { f.getPayload().initStatus().initRoles(1); });
  auto words = body.size() / 8 - 1;
  put_word(body, words - 4, 1u | std::uint64_t{7} << 32);          // a list of structs, no words long
  put_word(body, words - 3, std::uint64_t{0x1fffffff} << 2);       // 2^29 - 1 of them
  CHECK(error_of(body) == ec::bad_frame);
}

TEST_CASE("texts that share their bytes are bounded like others", "[messages][hostile]") {
  // 128 pointers to one text: 5 KiB on the wire become 512 KiB, and no limit allows more.
  const std::string shared(limits::text_bytes, 'x');
  auto body = body_of([&](auto f) { f.getPayload().initOutcome().initPlaces(limits::list_items)[0].setNode(shared); });
  const auto text_at = body.size() / 8 - 1 - (limits::text_bytes / 8 + 1);
  const auto first_pointer = text_at - 2 * limits::list_items;
  for (auto at = first_pointer; at < text_at; ++at)
    put_word(body, at, 1u | (text_at - at - 1) << 2 | std::uint64_t{2} << 32 | (limits::text_bytes + 1) << 35);
  auto got = decode_all(unit_of(body));
  REQUIRE(got.messages.size() == 1);
  auto& places = std::get<outcome>(got.messages[0].value.body).places;
  REQUIRE(places.size() == limits::list_items);
  for (auto& p : places)
    REQUIRE((p.node == shared && p.stages == shared));
}

TEST_CASE("a body with any bit flipped and a right checksum never does harm", "[messages][hostile]") {
  rng r{52};
  auto frames = one_of_each(r);
  frames.push_back(any_frame(r, verify{0, rows_wanted::all, any_tensor(r, dtype::f32, 3, 1024)}));  // two segments
  for (auto& f : frames) {
    auto wire = wire_of(f);
    auto body = byte_buffer(wire.begin() + wire_prefix_bytes, wire.end());
    for (std::size_t bit = 0; bit < 8 * std::min<std::size_t>(body.size(), 2048); ++bit) {
      auto mask = std::byte{1} << (bit % 8);
      body[bit / 8] ^= mask;
      auto got = decode_slice(body, crc32c(body), clock_start);
      body[bit / 8] ^= mask;
      if (!got)
        REQUIRE(code_of(got.error()) != ec::internal);
      else if (!got->refused && got->data.size() == got->total && got->total == 0)
        REQUIRE(encode(got->part, clock_start)); // what is taken is within every limit
    }
  }
}

TEST_CASE("garbage never does harm", "[messages][hostile]") {
  rng r{53};
  rng sample{54};
  auto frames = one_of_each(sample);
  for (int i = 0; i < 3000; ++i) {
    auto noise = any_bytes(r, 8 * (1 + pick(r, 60)));
    decode_all(noise);
    put_u32(noise, 0, 0);
    put_u32(noise, 4, static_cast<std::uint32_t>(noise.size() / 8 - 1));
    decode_slice(noise, crc32c(noise), clock_start);
    auto wire = wire_of(frames[pick(r, frames.size())]);
    for (int k = 0; k < 4; ++k)
      put_word(wire, 1 + pick(r, wire.size() / 8 - 2), pick(r, 2) != 0 ? r() : r() & 0xff00000003);
    auto got = decode_slice(std::span{wire}.subspan(wire_prefix_bytes), 0, clock_start);
    if (!got)
      REQUIRE(code_of(got.error()) != ec::internal);
  }
}

TEST_CASE("a body that is not aligned is refused", "[messages][hostile]") {
  auto body = body_of([](auto f) { f.getPayload().setCancel(); });
  body.insert(body.begin(), std::byte{0});
  CHECK(decode_slice(std::span{body}.subspan(1), 0, clock_start).error() == ec::bad_frame);
}
