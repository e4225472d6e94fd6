#include "tests/actors/link_protocol_pair.hpp"
#include "tests/support/catch.hpp"

#include "messages/type_ids.hpp"

using namespace virga;
using namespace virga::testing;
using Catch::Matchers::Contains;
using state = link_protocol::state;

namespace {

hello shared_model() { return {0, "home", "edge-1", "d1", 2, 8, 64, dtype::f32, {}}; }

/// What the cloud says to an edge that comes with this hello.
std::string refusal_of(hello edge_hello, hello cloud_hello) {
  auto e = edge_options();
  auto c = cloud_options();
  e.names.own = std::move(edge_hello);
  cloud_hello.site = "cloud";
  cloud_hello.node = "cloud-1";
  c.names.own = std::move(cloud_hello);
  link_pair p{std::move(e), std::move(c)};
  p.up();
  CHECK(p.edge.protocol.current() == state::down);
  CHECK(p.cloud.protocol.counters().refusals + p.edge.protocol.counters().refusals >= 1);
  REQUIRE_FALSE(p.cloud.downs.empty());
  return p.cloud.downs.back();
}

} // namespace

TEST_CASE("two sides say hello and are up", "[actors][link]") {
  link_pair p;
  CHECK(p.edge.opens == 1);
  p.up();
  CHECK(p.edge.protocol.is_up());
  REQUIRE(p.edge.ups.size() == 1);
  CHECK(p.edge.ups[0].site == "cloud");
  CHECK(p.edge.ups[0].roles.at(0).incarnation == 7);
  CHECK(p.cloud.ups.at(0).node == "edge-1");
}

TEST_CASE("a refused handshake names both values", "[actors][link]") {
  auto other = shared_model();
  SECTION("protocol version") {
    other.protocol = 9;
    auto text = refusal_of(other, shared_model());
    CHECK_THAT(text, Contains("protocol version 9") && Contains("this side speaks 1"));
  }
  SECTION("digest") {
    other.model_digest = "d2";
    CHECK_THAT(refusal_of(other, shared_model()), Contains("model d2") && Contains("this side has d1"));
  }
  SECTION("layers") {
    other.last_layer = 9;
    CHECK_THAT(refusal_of(other, shared_model()), Contains("layers 2-9") && Contains("this side has 2-8"));
  }
  SECTION("hidden size") {
    other.hidden = 128;
    CHECK_THAT(refusal_of(other, shared_model()), Contains("hidden size 128") && Contains("this side has 64"));
  }
  SECTION("wire dtype") {
    other.wire = dtype::bf16;
    CHECK_THAT(refusal_of(other, shared_model()), Contains("bf16") && Contains("f32"));
  }
  SECTION("site") {
    other.site = "office";
    CHECK_THAT(refusal_of(other, shared_model()), Contains("site office") && Contains("expects home"));
  }
  SECTION("node other than the certificate's") {
    other.node = "edge-2";
    CHECK_THAT(refusal_of(other, shared_model()), Contains("calls itself edge-2") || Contains("certificate is for edge-2"));
  }
}

TEST_CASE("a hello that contradicts the certificate is refused", "[actors][link]") {
  handshake h{{1, "cloud", "cloud-1", "", 0, 0, 0, dtype::f32, {}}, "home", "edge-1"};
  hello peer{1, "home", "edge-1", "", 0, 0, 0, dtype::f32, {}};
  CHECK_FALSE(refusal(h, peer, "edge-1"));
  CHECK_THAT(*refusal(h, peer, "edge-2"), Contains("calls itself edge-1") && Contains("certificate is for edge-2"));
  peer.node = "edge-2";
  CHECK_THAT(*refusal(h, peer, "edge-2"), Contains("calls itself edge-2") && Contains("manifest expects edge-1"));
}

TEST_CASE("models are compared only where both sides share one", "[actors][link]") {
  auto e = edge_options();
  e.names.own.model_digest = "d1";
  link_pair p{std::move(e)};
  p.up();
  CHECK(p.edge.protocol.is_up());
}

TEST_CASE("both logs say why, and the refused edge waits the longest time", "[actors][link]") {
  auto e = edge_options();
  e.names.own.site = "office";
  link_pair p{std::move(e)};
  p.up();
  CHECK_THAT(p.cloud.downs.back(), Contains("refused: edge-1 says it is of site office"));
  CHECK_THAT(p.edge.downs.back(), Contains("cloud-1 refused: edge-1 says it is of site office"));
  CHECK(p.edge.protocol.next_tick() == p.now + 1s);
  CHECK(p.cloud.protocol.current() == state::dialing);
}

TEST_CASE("back-off doubles from 100 ms to 1 s with jitter from the seed", "[actors][link]") {
  auto waits = [](std::uint64_t seed) {
    auto e = edge_options();
    e.seed = seed;
    link_pair p{std::move(e)};
    std::vector<std::chrono::nanoseconds> out;
    for (std::uint64_t n = 1; n <= 12; ++n) {
      p.edge.take(p.edge.protocol.on_pipe_down(n, "connection refused", p.now));
      out.push_back(p.edge.protocol.next_tick() - p.now);
      p.now = p.edge.protocol.next_tick();
      p.edge.take(p.edge.protocol.on_tick(p.now));
    }
    return out;
  };
  auto a = waits(1);
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i] >= 100ms);
    CHECK(a[i] <= std::min<std::chrono::nanoseconds>(1s, 100ms * (2 << i)));
  }
  CHECK(*std::max_element(a.begin(), a.end()) > 500ms);
  CHECK(a == waits(1));
  CHECK(a != waits(2));
}

TEST_CASE("a silent peer is dead after dead_after, a talking one is not", "[actors][link]") {
  link_pair p;
  p.up();
  p.pass(20s);
  CHECK(p.edge.protocol.is_up());
  auto cut_at = p.now;
  while (p.edge.protocol.is_up()) {  // bytes vanish from here on
    p.now = p.edge.protocol.next_tick();
    p.edge.take(p.edge.protocol.on_tick(p.now));
    while (!p.edge.next(p.now).empty()) {
    }
  }
  CHECK(p.now - cut_at <= 2500ms);
  CHECK(p.now - cut_at >= 2000ms);
  CHECK_THAT(p.edge.downs.back(), Contains("cloud-1 sent nothing for 2500 ms"));
  CHECK(p.edge.closes.size() == 1);
}

TEST_CASE("a connection without a hello is closed", "[actors][link]") {
  link_pair p;
  p.cloud.take(p.cloud.protocol.on_pipe_up(1, "edge-1", p.now));
  CHECK(p.cloud.protocol.next_tick() <= p.now + 5s);
  p.now += 5s;
  p.cloud.take(p.cloud.protocol.on_tick(p.now));
  CHECK(p.cloud.closes.size() == 1);
  CHECK(p.cloud.protocol.current() == state::dialing);
}

TEST_CASE("the round trip is that of ping and pong", "[actors][link]") {
  link_pair p;
  p.up();
  p.edge.take(p.edge.protocol.on_tick(p.now));
  p.send(p.edge);
  p.now += 30ms;
  p.settle();
  CHECK(p.edge.protocol.meter().quality().rtt_us == 30'000);
}

TEST_CASE("a copy is dropped, a message out of turn ends the connection", "[actors][link]") {
  link_pair p;
  p.up();
  p.edge.take(p.edge.protocol.send(tokens_frame(1, 0), p.now));
  p.edge.take(p.edge.protocol.send(tokens_frame(1, 1), p.now));
  p.send(p.edge);
  auto first = p.edge.outbox[0];
  p.settle();
  p.cloud.receive(first, p.now);
  CHECK(p.cloud.got.size() == 2);
  CHECK(p.cloud.protocol.counters().duplicates == 1);
  CHECK(p.cloud.protocol.is_up());
  auto stray = tokens_frame(1, 2);
  stray.sequence = 500;
  p.cloud.receive(encode(stray, p.now)->front(), p.now);
  CHECK(p.cloud.got.size() == 2);
  CHECK(p.cloud.protocol.counters().out_of_order == 1);
  CHECK_FALSE(p.cloud.protocol.is_up());
  CHECK_THAT(p.cloud.downs.back(), Contains("edge-1 sent message 500 out of turn"));
}

TEST_CASE("a request for an instance that is gone is answered with the one that runs", "[actors][link]") {
  link_pair p;
  p.up();
  auto f = verify_frame(1, 1);
  f.hdr.incarnation = 6;
  p.edge.take(p.edge.protocol.send(f, p.now));
  f.hdr.incarnation = 7;
  p.edge.take(p.edge.protocol.send(f, p.now));
  p.settle();
  CHECK(p.cloud.got.size() == 1);
  CHECK(p.cloud.protocol.counters().stale_incarnation == 1);
  REQUIRE(p.edge.got.size() == 1);
  auto& why = std::get<failure>(p.edge.got[0].body);
  CHECK(why.code == ec::stale_incarnation);
  CHECK(why.detail == 7);
}

TEST_CASE("changed roles reach the peer", "[actors][link]") {
  link_pair p;
  p.cloud.take(p.cloud.protocol.roles_changed({{role::verifier, 8}}, p.now));
  p.up();
  CHECK(p.edge.ups.at(0).roles.at(0).incarnation == 8);
  p.cloud.take(p.cloud.protocol.roles_changed({{role::verifier, 9}}, p.now));
  p.settle();
  CHECK(p.edge.roles.at(0).at(0).incarnation == 9);
}

TEST_CASE("roles that change while the hellos are on their way reach the peer", "[actors][link]") {
  link_pair p;
  p.connect();
  p.send(p.cloud);  // its hello
  p.cloud.take(p.cloud.protocol.roles_changed({{role::verifier, 8}}, p.now));
  p.settle();
  CHECK(p.edge.ups.at(0).roles.at(0).incarnation == 7);
  REQUIRE(p.edge.roles.size() == 1);
  CHECK(p.edge.roles[0].at(0).incarnation == 8);
}

TEST_CASE("bytes that are no frames end the connection with a sentence", "[actors][link]") {
  link_pair p;
  p.up();
  byte_buffer junk(64, std::byte{0x47});
  p.cloud.receive(junk, p.now);
  CHECK_THAT(p.cloud.downs.back(), Contains("bytes from edge-1 are no frames"));
  CHECK(p.cloud.protocol.counters().broken_streams == 1);
}

TEST_CASE("while the peer is down a request comes back at once", "[actors][link]") {
  link_pair p;
  p.edge.take(p.edge.protocol.send(tokens_frame(1, 0), p.now));
  REQUIRE(p.edge.back.size() == 1);
  CHECK(p.edge.back[0].why.code == ec::peer_unreachable);
}

TEST_CASE("a prompt larger than the window stalls at it and goes on with credit", "[actors][link]") {
  link_pair p;
  p.up();
  p.edge.take(p.edge.protocol.send(verify_frame(1, 4096), p.now));  // 16 MiB
  std::size_t sent = 0;
  while (auto size = p.send(p.edge))  // the cloud gets nothing yet
    sent += size;
  CHECK(sent <= p.edge.protocol.window().window());
  CHECK(sent > p.edge.protocol.window().window() / 2);
  p.settle();
  REQUIRE(p.cloud.got.size() == 1);
  CHECK(std::get<verify>(p.cloud.got[0].body).rows.data.size() == 16u << 20);
}

TEST_CASE("urgent messages leave before the rest of a large one", "[actors][link]") {
  link_pair p;
  p.up();
  p.edge.take(p.edge.protocol.send(verify_frame(1, 1024), p.now));
  p.send(p.edge);
  p.edge.take(p.edge.protocol.send(verify_frame(2, 1), p.now));
  p.settle();
  REQUIRE(p.cloud.got.size() == 2);
  CHECK(p.cloud.got[0].hdr.session.lo == 2);
}

TEST_CASE("what is incomplete when its session is cancelled never arrives, and costs no more", "[actors][link]") {
  link_pair p;
  p.up();
  p.edge.take(p.edge.protocol.send(verify_frame(1, 1024), p.now));
  p.send(p.edge);
  p.edge.take(p.edge.protocol.send({head(1), 0, {}, close_session{}}, p.now));
  p.settle();
  REQUIRE(p.cloud.got.size() == 1);
  CHECK(std::holds_alternative<close_session>(p.cloud.got[0].body));
  REQUIRE(p.edge.back.size() == 1);
  CHECK(p.edge.back[0].why.code == ec::cancelled);
  p.edge.take(p.edge.protocol.send(verify_frame(2, 1024), p.now));
  p.settle();
  CHECK(p.cloud.got.size() == 2);
  CHECK(p.edge.protocol.queued_bytes() == 0);
}

TEST_CASE("a unit that has begun to leave when its session is cancelled leaves whole", "[actors][link]") {
  link_pair p;
  p.up();
  for (int i = 0; i < 40; ++i) {  // the link finds out that it is fast
    p.edge.take(p.edge.protocol.send(verify_frame(2, 1024), p.now));
    p.settle();
  }
  auto before = p.cloud.got.size();
  p.edge.take(p.edge.protocol.send(verify_frame(1, 1024), p.now));
  auto unit = p.edge.next(p.now);
  auto leave = [&](std::size_t bytes) {
    auto more = p.edge.protocol.outgoing(p.now);
    REQUIRE(more.size() >= bytes);
    unit.insert(unit.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(bytes));
    p.edge.take(p.edge.protocol.on_sent(bytes, p.now));
  };
  leave(p.edge.protocol.outgoing(p.now).size());
  REQUIRE(p.edge.protocol.outgoing(p.now).size() > 8192);  // the data, where they are in the tensor
  leave(1000);
  p.edge.take(p.edge.protocol.send({head(1), 0, {}, close_session{}}, p.now));
  p.edge.back.clear();  // and with it the tensor
  leave(p.edge.protocol.outgoing(p.now).size());
  p.cloud.receive(unit, p.now);
  p.settle();
  REQUIRE(p.cloud.got.size() == before + 1);
  CHECK(std::holds_alternative<close_session>(p.cloud.got.back().body));
  CHECK(p.cloud.protocol.counters().broken_streams == 0);
}

TEST_CASE("a sketch and keys and values cross a link like everything else", "[actors][link]") {
  link_pair p;
  p.up();
  p.edge.take(p.edge.protocol.send({head(1), 0, {}, sketch{2, {{"first", 30}, {"second", 40}}}}, p.now));
  p.edge.take(p.edge.protocol.send({head(1), 0, {}, kv_slice{0, 3, 128, {dtype::f32, 100, 512, byte_buffer(204'800)}}}, p.now));
  p.settle();
  REQUIRE(p.cloud.got.size() == 2);
  CHECK(std::get<sketch>(p.cloud.got[0].body).points.at(1).text == "second");
  CHECK(std::get<kv_slice>(p.cloud.got[1].body).rows.rows == 100);
}

TEST_CASE("while the pipe takes nothing the link waits for it, not for its pace", "[actors][link]") {
  link_pair p;
  p.up();
  p.edge.take(p.edge.protocol.send(verify_frame(1, 1024), p.now));
  while (p.send(p.edge) > 0) {
  }
  p.settle();
  p.edge.take(p.edge.protocol.send(verify_frame(2, 1024), p.now));
  p.pass(1s);
  p.edge.take(p.edge.protocol.send(verify_frame(3, 1024), p.now));
  REQUIRE_FALSE(p.edge.protocol.outgoing(p.now).empty());
  p.edge.take(p.edge.protocol.on_sent(10, p.now));  // the rest of the unit stays
  CHECK(p.edge.protocol.next_tick() >= p.now + 400ms);
}

TEST_CASE("a newer connection takes the place of the old one", "[actors][link]") {
  link_pair p;
  p.up();
  auto old = p.connection;
  p.up();
  CHECK(p.edge.protocol.is_up());
  CHECK_THAT(p.cloud.downs.at(0), Contains("newer connection"));
  p.cloud.take(p.cloud.protocol.on_pipe_down(old, "late news", p.now));
  CHECK(p.cloud.protocol.is_up());
}
