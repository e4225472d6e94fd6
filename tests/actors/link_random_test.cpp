// A thousand random histories of two link protocols: what arrives on one connection is what was sent on it, in order per
// (session, role), nothing twice; a cut loses only what was under way.
#include "messages/crc32c.hpp"
#include "tests/actors/link_protocol_pair.hpp"
#include "tests/support/catch.hpp"

#include <map>
#include <random>

using namespace virga;
using namespace virga::testing;

namespace {

struct history {
  explicit history(std::uint64_t seed) : random{seed} {}

  std::uint64_t pick(std::uint64_t n) { return random() % n; }

  void send(side& from, std::uint64_t direction) {
    auto session = 2 * pick(3) + direction;
    auto unit = ++last_unit[session];
    if (pick(4) == 0)
      from.take(from.protocol.send(verify_frame(session, static_cast<std::uint32_t>(1 + pick(60)), unit), p.now));
    else
      from.take(from.protocol.send({head(session, unit), 0, {}, opened{unit, 0}}, p.now));
    p.send(from);
  }
  void reconnect() {
    p.cut();
    p.edge.back.clear();
    p.edge.outbox.clear();
    p.cloud.outbox.clear();
    last_seen.clear();
    p.connect();
  }
  void duplicate() {
    auto& box = pick(2) ? p.edge.outbox : p.cloud.outbox;
    auto whole = [](auto& unit) { return decode_slice(std::span{unit}.subspan(wire_prefix_bytes), crc32c(std::span{unit}.subspan(wire_prefix_bytes)), {})->total == 0; };
    if (!box.empty() && whole(box.front()) && duplicates.insert(p.connection).second)
      box.push_front(box.front());
  }
  void step() {
    switch (auto what = pick(100); what) {
      case 0: return reconnect();
      case 1: return duplicate();
      default:
        if (what < 30)
          pick(2) ? send(p.edge, 0) : send(p.cloud, 1);
        else
          pick(2) ? p.carry(p.edge, p.cloud) : p.carry(p.cloud, p.edge);
    }
    p.now += std::chrono::microseconds(pick(1000));
  }
  /// Units of one session rise by one; only a cut may leave some out.
  bool check(side& at, bool whole) {
    for (auto& f : at.got) {
      auto& seen = last_seen[f.hdr.session.lo];
      if (f.hdr.unit <= seen || (whole && seen != 0 && f.hdr.unit != seen + 1))
        return false;
      seen = f.hdr.unit;
      ++delivered;
    }
    at.got.clear();
    return true;
  }

  std::mt19937_64 random;
  link_pair p;
  std::map<std::uint64_t, std::uint32_t> last_unit, last_seen;
  std::set<std::uint64_t> duplicates;
  std::uint64_t delivered = 0;
};

} // namespace

TEST_CASE("a thousand random histories lose, double and reorder nothing", "[actors][link]") {
  std::uint64_t delivered = 0, duplicates = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    history h{seed};
    h.p.up();
    for (int i = 0; i < 100; ++i) {
      h.step();
      INFO("seed " << seed << ", step " << i);
      REQUIRE(h.check(h.p.edge, true));
      REQUIRE(h.check(h.p.cloud, true));
    }
    h.p.settle();
    for (int i = 0; i < 600 && h.p.edge.protocol.queued_bytes() + h.p.cloud.protocol.queued_bytes() > 0; ++i)
      h.p.pass(100ms);  // what waits for its pace
    INFO("seed " << seed << " at the end");
    REQUIRE(h.check(h.p.edge, true));
    REQUIRE(h.check(h.p.cloud, true));
    for (auto& [session, unit] : h.last_unit)
      if (h.last_seen.count(session) > 0)
        REQUIRE(h.last_seen[session] == unit);
    REQUIRE(h.p.edge.protocol.queued_bytes() + h.p.cloud.protocol.queued_bytes() == 0);
    delivered += h.delivered;
    duplicates += h.p.edge.protocol.counters().duplicates + h.p.cloud.protocol.counters().duplicates;
  }
  CHECK(delivered > 20'000);
  CHECK(duplicates > 100);
}
