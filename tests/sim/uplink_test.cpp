// tests/sim/uplink_test.cpp: what `split` lets the cloud see. Hidden states can be inverted, so this proves no privacy: it
// proves that neither text nor token ids are sent.
#include "messages/codec.hpp"
#include "tests/sim/deployment.hpp"
#include "tests/support/catch.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

using namespace virga;
using namespace virga::testing;

namespace {

/// All that edge-1 sent while one request of this strategy was answered, as bytes and as frames.
struct capture {
  byte_buffer bytes;
  std::vector<frame> frames;
  request_record record;
};

capture uplink_of(const sim_models& models, strategy how, std::vector<token_id> prompt) {
  deployment d{models, 5};
  REQUIRE(d.await_ready());
  capture out;
  frame_decoder decoder;
  d.pipe("edge-1").tap([&](sim_pipe::side from, const byte_buffer& data) {
    if (from != sim_pipe::dialer)
      return;
    out.bytes.insert(out.bytes.end(), data.begin(), data.end());
    auto room = decoder.room();
    REQUIRE(room.size() >= data.size());
    std::copy(data.begin(), data.end(), room.begin());
    decoder.filled(data.size());
    for (auto next = decoder.next(d.now()); next && *next; next = decoder.next(d.now()))
      out.frames.push_back((*next)->value);
  });
  client_request r;
  r.entry = "edge-1";
  r.how = how;
  r.prompt = std::move(prompt);
  r.max_tokens = 20;
  auto number = d.ask(r);
  d.run_until(d.now() + 5s);
  d.pipe("edge-1").tap({});
  out.record = d.seen.requests.at(number);
  return out;
}

bool contains(const byte_buffer& haystack, std::string_view needle) {
  auto* bytes = reinterpret_cast<const std::byte*>(needle.data());
  return std::search(haystack.begin(), haystack.end(), bytes, bytes + needle.size()) != haystack.end();
}

/// The ids as they would stand in a list of tokens: little-endian u32, side by side.
bool contains(const byte_buffer& haystack, const std::vector<token_id>& ids) {
  return contains(haystack, {reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(token_id)});
}

template <class Body>
std::size_t count(const capture& c) {
  return static_cast<std::size_t>(std::count_if(c.frames.begin(), c.frames.end(), [](const frame& f) {
    return std::holds_alternative<Body>(f.body);
  }));
}

const std::vector<token_id> prompt{61, 67, 71, 73, 79};

} // namespace

TEST_CASE("split and hat send hidden states and control, no word and no token of the prompt or the answer", "[sim][uplink]") {
  spdlog::set_level(spdlog::level::off);
  sim_models models;
  auto how = GENERATE(strategy::split, strategy::hat);
  auto seen = uplink_of(models, how, prompt);
  auto answer = seen.record.ids();
  REQUIRE(answer == find_strategy(how).expected(models, seen.record));
  REQUIRE(answer.size() >= 4);
  auto rounds = count<verify>(seen);
  if (how == strategy::split)
    CHECK(rounds == answer.size());
  else
    CHECK(rounds <= answer.size() + 2);  // the prompt goes in three chunks
  CHECK(count<open_session>(seen) == 1);
  CHECK(count<close_session>(seen) == 1);
  auto control = count<ping>(seen) + count<pong>(seen) + count<credit>(seen) + count<status>(seen) + count<padding>(seen);
  CHECK(seen.frames.size() == rounds + 2 + control);
  CHECK_FALSE(contains(seen.bytes, sim_models::canary));
  CHECK_FALSE(contains(seen.bytes, prompt));
  CHECK_FALSE(contains(seen.bytes, {answer.begin(), answer.begin() + 4}));
  CHECK_FALSE(contains(seen.bytes, {prompt[0], prompt[1]}));
}

TEST_CASE("cloud sends the prompt, so the search for it can fail", "[sim][uplink]") {
  spdlog::set_level(spdlog::level::off);
  sim_models models;
  auto seen = uplink_of(models, strategy::cloud, prompt);
  CHECK(contains(seen.bytes, sim_models::canary));
  CHECK(contains(seen.bytes, models.tok->decode(prompt)));
}

TEST_CASE("edge sends nothing but the link's own control", "[sim][uplink]") {
  spdlog::set_level(spdlog::level::off);
  sim_models models;
  auto seen = uplink_of(models, strategy::edge, prompt);
  CHECK(seen.record.error == ec::none);
  CHECK(seen.frames.size() == count<ping>(seen) + count<pong>(seen) + count<credit>(seen) + count<status>(seen) + count<padding>(seen));
}
