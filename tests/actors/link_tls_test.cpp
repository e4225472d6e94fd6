// Links over real loopback sockets: who gets in, who does not, and what happens when a peer goes.
#include "actors/link/asio_transport.hpp"
#include "actors/link/certificates.hpp"
#include "actors/link/hosted.hpp"
#include "actors/link/link.hpp"
#include "actors/link/tls.hpp"
#include "messages/type_ids.hpp"
#include "tests/support/catch.hpp"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <iostream>
#include <mutex>
#include <thread>

using namespace virga;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using boost::asio::ip::tcp;
namespace fs = std::filesystem;

namespace {

/// A folder with the identities of all tests, made once.
struct identities {
  identities() {
    dir = fs::temp_directory_path() / ("virga-link-" + std::to_string(::getpid()));
    node_identity all[] = {{"cloud-1", "cloud"}, {"edge-1", "home"}, {"edge-2", "home"}};
    make_link_certificates(dir, all);
    make_link_certificates(dir / "other", all);
    make_node_certificate(dir, {"edge-1", "home"}, dir / "expired", -1);
    make_node_certificate(dir, {"edge-1", "office"}, dir / "office");
  }
  ~identities() { fs::remove_all(dir); }
  tls_config of(const std::string& name, const std::string& folder = ".") const {
    return {dir / "ca.pem", dir / folder / (name + ".pem"), dir / folder / (name + ".key")};
  }
  fs::path dir;
};

const identities& ids() {
  static identities all;
  return all;
}

struct config : caf::actor_system_config {
  config() {
    set("scheduler.policy", caf::atom("sharing"));
    set("scheduler.max-threads", 2);
    add_error_category(caf::atom("virga"), render_error);
  }
};

/// What happened, readable from the test's thread.
template <class T>
class events {
public:
  void add(T x) {
    std::lock_guard hold{mutex_};
    all_.push_back(std::move(x));
    changed_.notify_all();
  }
  /// Waits until one of them is like this.
  template <class Like>
  std::optional<T> wait(Like like, std::chrono::milliseconds limit = 3000ms) {
    std::unique_lock hold{mutex_};
    std::optional<T> out;
    changed_.wait_for(hold, limit, [&] {
      auto i = std::find_if(all_.begin(), all_.end(), like);
      if (i != all_.end())
        out = *i;
      return out.has_value();
    });
    return out;
  }
  std::size_t size() {
    std::lock_guard hold{mutex_};
    return all_.size();
  }
  void clear() {
    std::lock_guard hold{mutex_};
    all_.clear();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> all_;
};

struct pipe_event {
  std::string what;
  std::uint64_t connection = 0;
  std::string text;
  std::uint64_t bytes = 0;
};

/// Something to do with a transport on its thread.
struct pipe_order {
  std::function<void(transport&)> run;
};

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(pipe_order)

namespace {

using pipe_end = pipe_events::extend_with<caf::typed_actor<caf::reacts_to<pipe_order>>>;

class end_instance : public hosted<pipe_end::base> {
public:
  end_instance(caf::actor_config& config, caf::execution_unit* host, events<pipe_event>& seen,
               std::function<std::unique_ptr<transport>(pipe_events)> make)
    : hosted(config, host), seen_{seen}, make_{std::move(make)} {}

protected:
  pipe_end::behavior_type make_behavior() override {
    pipe_ = make_(pipe_events{this});
    return {[this](pipe_up& x) { seen_.add({"up", x.connection, x.peer_name}); },
            [this](pipe_ready& x) { read(x.connection); },
            [this](pipe_down& x) { seen_.add({"down", x.connection, x.reason}); },
            [this](pipe_order& x) { x.run(*pipe_); }};
  }

  void on_exit() override { pipe_.reset(); }

private:
  void read(std::uint64_t connection) {
    std::string text(4096, '\0');
    while (auto n = pipe_->read(connection, std::as_writable_bytes(std::span{text})))
      seen_.add({"bytes", connection, text.substr(0, n), n});
  }

  events<pipe_event>& seen_;
  std::function<std::unique_ptr<transport>(pipe_events)> make_;
  std::unique_ptr<transport> pipe_;
};

struct sockets {
  sockets() {
    spdlog::set_level(spdlog::level::off);
    sys.await_actors_before_shutdown(false);  // a test's networks end before it, and with them who they host
  }

  /// A pipe whose events the test reads. Its transport belongs to an actor on the network's thread.
  struct end {
    events<pipe_event> seen;
    pipe_end actor;
    std::optional<pipe_event> wait(const std::string& what) {
      return seen.wait([&](auto& e) { return e.what == what; });
    }
    void tell(std::function<void(transport&)> what) { caf::anon_send(actor, pipe_order{std::move(what)}); }
    void say(const std::string& words) {
      tell([words](transport& t) {
        t.write(1, std::as_bytes(std::span{words}));
        t.flush(1);
      });
    }
  };
  std::unique_ptr<end> make_end(network& n, const link_config& c) {
    auto out = std::make_unique<end>();
    caf::actor_config config{n.host(sys)};
    auto make = [&n, c](pipe_events to) { return n.make_transport(c, std::move(to)); };
    out->actor = caf::actor_cast<pipe_end>(
      sys.spawn_class<end_instance, caf::no_spawn_options>(config, n.host(sys), out->seen, make));
    out->tell([](transport& t) { t.open(); });
    return out;
  }
  void finish(std::unique_ptr<end>& e) {
    caf::scoped_actor self{sys};
    self->send_exit(e->actor, caf::exit_reason::user_shutdown);
    self->wait_for(e->actor);
  }

  static link_config to_cloud(std::uint16_t port) {
    link_config c;
    c.peer_site = "cloud";
    c.peer_node = "cloud-1";
    c.host = "127.0.0.1";
    c.port = port;
    return c;
  }
  static link_config from_edge() {
    link_config c;
    c.peer_site = "home";
    c.peer_node = "edge-1";
    c.dial = false;
    return c;
  }

  /// Dials the cloud with this identity. @returns what the dialing side saw last
  std::string dial(const tls_config& identity) {
    network cloud{ids().of("cloud-1")};
    auto server = make_end(cloud, from_edge());
    network edge{identity};
    auto client = make_end(edge, to_cloud(cloud.listen("127.0.0.1", 0)));
    auto down = client->wait("down");
    CHECK(server->seen.size() == 0);
    // The peer may hear of it before it is counted.
    for (int i = 0; i < 200 && seen.strays + seen.unknown == 0; ++i) {
      std::this_thread::sleep_for(5ms);
      seen = cloud.counters();
    }
    finish(client);
    finish(server);
    return down ? down->text : "nothing";
  }

  config cfg;
  caf::actor_system sys{cfg};
  network_counters seen;
};

} // namespace

// -- certificates ------------------------------------------------------------------------------------------------------

TEST_CASE("certificates are made once, kept, and readable by their owner only", "[actors][link][tls]") {
  auto dir = ids().dir / "twice";
  auto read = [&](const char* name) {
    std::ifstream in{dir / name};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
  };
  node_identity all[] = {{"edge-1", "home"}};
  make_link_certificates(dir, all);
  auto before = read("edge-1.pem") + read("ca.pem") + read("ca.key");
  make_link_certificates(dir, all);
  CHECK(before == read("edge-1.pem") + read("ca.pem") + read("ca.key"));
  for (auto& file : fs::directory_iterator{dir})
    CHECK(file.status().permissions() == (fs::perms::owner_read | fs::perms::owner_write));
  all[0].site = "office";
  make_link_certificates(dir, all);
  CHECK(before != read("edge-1.pem") + read("ca.pem") + read("ca.key"));
}

TEST_CASE("a name that is no name makes no certificate", "[actors][link][tls]") {
  CHECK_THROWS_WITH(make_node_certificate(ids().dir, {"a,DNS:b", "home"}, ids().dir), Contains("a,DNS:b"));
  CHECK_THROWS_WITH(make_node_certificate(ids().dir, {"../x", "home"}, ids().dir), Contains("../x"));
  CHECK_THROWS_WITH(make_node_certificate(ids().dir, {"ca", "home"}, ids().dir), Contains("ca"));
  CHECK_THROWS_WITH(make_node_certificate(ids().dir / "empty", {"edge-1", "home"}, ids().dir), Contains("ca.pem"));
}

TEST_CASE("without a complete identity there is no network", "[actors][link][tls]") {
  auto good = ids().of("edge-1");
  CHECK_THROWS_WITH((network{tls_config{}}), Contains("virga certs"));
  CHECK_THROWS_WITH((network{tls_config{good.ca_file, good.cert_file, "/nowhere/edge-1.key"}}), Contains("/nowhere/edge-1.key"));
  CHECK_THROWS_WITH((network{tls_config{good.ca_file, good.cert_file, ids().of("edge-2").key_file}}), Contains("edge-2.key"));
  CHECK_THROWS_AS((network{tls_config{good.key_file, good.cert_file, good.key_file}}), bad_identity);
}

// -- who gets in -------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(sockets, "two nodes of one deployment connect and carry bytes", "[actors][link][tls]") {
  network cloud{ids().of("cloud-1")}, edge{ids().of("edge-1")};
  auto server = make_end(cloud, from_edge());
  auto client = make_end(edge, to_cloud(cloud.listen("127.0.0.1", 0)));
  REQUIRE(client->wait("up"));
  CHECK(client->wait("up")->text == "cloud-1");
  REQUIRE(server->wait("up"));
  CHECK(server->wait("up")->text == "edge-1");
  client->say("hello");
  REQUIRE(server->wait("bytes"));
  CHECK(server->wait("bytes")->text == "hello");
  server->tell([](transport& t) {
    t.write(1, std::as_bytes(std::span{"the last words", 14}));
    t.close(1, "enough");
  });
  REQUIRE(client->wait("bytes"));
  CHECK(client->wait("bytes")->text == "the last words");
  CHECK(client->wait("down"));
  CHECK(server->wait("down")->text == "enough");
  finish(client);
  finish(server);
}

TEST_CASE_METHOD(sockets, "a certificate of another CA is refused", "[actors][link][tls]") {
  SECTION("the cloud does not know it") {
    auto own = ids().of("edge-1", "other");
    CHECK_THAT(dial(own), Contains("refused this node's certificate") && Contains("unknown ca"));
    CHECK(seen.strays == 1);
  }
  SECTION("the edge does not know the cloud's") {
    auto other = ids().of("edge-1", "other");
    other.ca_file = ids().dir / "other" / "ca.pem";
    CHECK_THAT(dial(other), Contains("certificate verify failed: ") && Contains("`virga certs`"));
    CHECK(seen.strays == 1);
  }
}

TEST_CASE_METHOD(sockets, "an expired certificate is refused", "[actors][link][tls]") {
  CHECK_THAT(dial(ids().of("edge-1", "expired")), Contains("expired"));
  CHECK(seen.strays == 1);
}

TEST_CASE_METHOD(sockets, "a node that no link expects is closed, whatever its certificate", "[actors][link][tls]") {
  auto folder = GENERATE("", "office");
  dial(ids().of(std::string{folder}.empty() ? "edge-2" : "edge-1", folder));
  CHECK(seen.unknown == 1);
}

TEST_CASE_METHOD(sockets, "a dialing node wants the name of the manifest", "[actors][link][tls]") {
  network cloud{ids().of("edge-2")}, edge{ids().of("edge-1")};
  auto client = make_end(edge, to_cloud(cloud.listen("127.0.0.1", 0)));
  auto down = client->wait("down");
  REQUIRE(down);
  CHECK_THAT(down->text, Contains("certificate is for edge-2, home.site.virga") && Contains("expects cloud-1 of site cloud"));
  finish(client);
}

TEST_CASE_METHOD(sockets, "nobody there is a sentence with the address", "[actors][link][tls]") {
  network edge{ids().of("edge-1")};
  auto client = make_end(edge, to_cloud(1));
  REQUIRE(client->wait("down"));
  CHECK_THAT(client->wait("down")->text, Contains("cannot reach cloud-1 at 127.0.0.1:1: Connection refused"));
  finish(client);
}

TEST_CASE_METHOD(sockets, "strays are closed and disturb nobody", "[actors][link][tls]") {
  network cloud{ids().of("cloud-1"), 300ms}, edge{ids().of("edge-1")};
  auto port = cloud.listen("127.0.0.1", 0);
  auto server = make_end(cloud, from_edge());
  auto client = make_end(edge, to_cloud(port));
  REQUIRE(server->wait("up"));
  boost::asio::io_context io;
  auto stray = [&](const std::string& words) {
    tcp::socket s{io};
    s.connect({boost::asio::ip::address_v4::loopback(), port});
    boost::system::error_code e;
    boost::asio::write(s, boost::asio::buffer(words), e);
    char c[1024];
    while (!e)
      s.read_some(boost::asio::buffer(c), e);  // until the cloud closes
    return e;
  };
  auto begun = std::chrono::steady_clock::now();
  CHECK(stray("GET / HTTP/1.1\r\n\r\n"));
  CHECK(stray(std::string(4096, '\x16')));
  CHECK(stray(""));  // says nothing at all
  CHECK(std::chrono::steady_clock::now() - begun < 2s);
  boost::asio::ssl::context bare{boost::asio::ssl::context::tls};
  boost::asio::ssl::stream<tcp::socket> tls{io, bare};  // no certificate
  tls.next_layer().connect({boost::asio::ip::address_v4::loopback(), port});
  boost::system::error_code e;
  tls.handshake(boost::asio::ssl::stream_base::client, e);
  char c;
  if (!e)
    tls.read_some(boost::asio::buffer(&c, 1), e);
  CHECK(e);
  for (int i = 0; i < 200 && cloud.counters().strays < 4; ++i)
    std::this_thread::sleep_for(5ms);
  CHECK(cloud.counters().strays == 4);
  client->say("still here");
  CHECK(server->wait("bytes"));
  CHECK_FALSE(server->seen.wait([](auto& x) { return x.what == "down"; }, 0ms));
  finish(client);
  finish(server);
}

TEST_CASE_METHOD(sockets, "a peer that connects again takes the place of its old connection", "[actors][link][tls]") {
  network cloud{ids().of("cloud-1")}, edge{ids().of("edge-1")}, edge_again{ids().of("edge-1")};
  auto port = cloud.listen("127.0.0.1", 0);
  auto server = make_end(cloud, from_edge());
  auto first = make_end(edge, to_cloud(port));
  REQUIRE(server->wait("up"));
  auto second = make_end(edge_again, to_cloud(port));
  REQUIRE(server->seen.wait([](auto& e) { return e.what == "up" && e.connection == 2; }));
  CHECK_THAT(server->wait("down")->text, Contains("connected again"));
  CHECK(first->wait("down"));
  CHECK(cloud.counters().replaced == 1);
  finish(first);
  finish(second);
  finish(server);
}

TEST_CASE_METHOD(sockets, "who was to run on a network's thread when that ended still runs", "[actors][link]") {
  // Made on workers, woken as a link wakes its node: on the link's thread.
  auto echo = sys.spawn([]() -> caf::behavior { return {[](int x) { return x; }}; });
  caf::scoped_actor self{sys};
  for (int i = 0; i < 20; ++i) {
    {
      network n{ids().of("edge-1")};
      auto* where = n.host(sys);
      caf::actor_cast<caf::abstract_actor*>(echo)->enqueue(self->ctrl(), caf::make_message_id(), caf::make_message(i), where);
    }
    int heard = -1;
    self->receive([&](int x) { heard = x; }, caf::after(5s) >> [] {});
    REQUIRE(heard == i);
  }
  self->send_exit(echo, caf::exit_reason::user_shutdown);
}

// -- whole links -------------------------------------------------------------------------------------------------------

namespace {

struct links : sockets {
  /// Words of a link that a node never read would keep both for ever.
  ~links() {
    for (auto& n : nodes)
      stop(n);
  }
  node node_of(events<peer_state>& peers) {
    return nodes.emplace_back(sys.spawn([&peers]() -> node::behavior_type {
      return {[&peers](peer_atom, peer_state& p) { peers.add(std::move(p)); }, [](stats_atom) { return node_status{}; },
              [](drain_atom) {}, [](tick_atom) {}};
    }));
  }
  link_actor start(network& n, link_config c, const char* name, const char* site, events<peer_state>& peers,
                   offered_roles offered = {}) {
    link_options o;
    c.heartbeat = 50ms;
    c.dead_after = 250ms;
    c.backoff_min = 10ms;
    c.backoff_max = 50ms;
    o.config = std::move(c);
    o.own.node = name;
    o.own.site = site;
    auto make = [&n](const link_config& x, pipe_events e) { return n.make_transport(x, std::move(e)); };
    return spawn_link(sys, n.host(sys), o, make, node_of(peers), offered);
  }
  template <class Actor>
  void stop(const Actor& a) {
    caf::scoped_actor self{sys};
    self->send_exit(a, caf::exit_reason::kill);
    self->wait_for(a);
  }
  static bool up(const peer_state& p) { return p.up; }
  static bool down(const peer_state& p) { return !p.up; }

  std::vector<node> nodes;
};

} // namespace

TEST_CASE_METHOD(links, "a killed peer is noticed at once, and the link comes back with it", "[actors][link][tls]") {
  events<peer_state> edge_peers, cloud_peers;
  network edge{ids().of("edge-1")};
  auto cloud = std::make_unique<network>(ids().of("cloud-1"));
  auto port = cloud->listen("127.0.0.1", 0);
  auto c = start(*cloud, from_edge(), "cloud-1", "cloud", cloud_peers);
  auto e = start(edge, to_cloud(port), "edge-1", "home", edge_peers);
  REQUIRE(edge_peers.wait(up));
  REQUIRE(cloud_peers.wait(up));
  edge_peers.clear();
  auto begun = std::chrono::steady_clock::now();
  stop(c);
  cloud.reset();
  REQUIRE(edge_peers.wait(down));
  CHECK(std::chrono::steady_clock::now() - begun < 200ms);
  cloud = std::make_unique<network>(ids().of("cloud-1"));
  c = start(*cloud, from_edge(), "cloud-1", "cloud", cloud_peers);
  cloud->listen("127.0.0.1", port);
  CHECK(edge_peers.wait(up));
  stop(e);
  stop(c);
}

TEST_CASE_METHOD(links, "a frozen peer is noticed after dead_after", "[actors][link][tls]") {
  events<peer_state> edge_peers;
  network edge{ids().of("edge-1")}, cloud{ids().of("cloud-1")};
  auto mute = make_end(cloud, from_edge());  // TLS, and then never a word
  auto begun = std::chrono::steady_clock::now();
  auto e = start(edge, to_cloud(cloud.listen("127.0.0.1", 0)), "edge-1", "home", edge_peers);
  auto news = edge_peers.wait(down);
  REQUIRE(news);
  CHECK_THAT(news->reason, Contains("cloud-1 sent nothing for 250 ms"));
  CHECK(std::chrono::steady_clock::now() - begun < 1s);
  stop(e);
  finish(mute);
}

TEST_CASE_METHOD(links, "the shaper gives a link its round trip", "[actors][link][tls]") {
  events<peer_state> edge_peers, cloud_peers;
  network edge{ids().of("edge-1")}, cloud{ids().of("cloud-1")};
  auto config = to_cloud(cloud.listen("127.0.0.1", 0));
  config.shape = shape_of(20, 0, 0, 0);
  auto c = start(cloud, from_edge(), "cloud-1", "cloud", cloud_peers);
  auto e = start(edge, config, "edge-1", "home", edge_peers);
  REQUIRE(edge_peers.wait(up));
  caf::scoped_actor self{sys};
  std::uint64_t rtt = 0;
  for (int i = 0; i < 50 && rtt == 0; ++i) {
    std::this_thread::sleep_for(10ms);
    self->request(e, 1s, stats_atom::value).receive([&](peer_state& p) { rtt = p.quality.rtt_us; }, [](caf::error&) {});
  }
  CHECK(rtt >= 20'000);
  CHECK(rtt < 60'000);  // a busy machine adds some
  stop(e);
  stop(c);
}

TEST_CASE_METHOD(links, "round trips over loopback", "[.bench][link]") {
  events<peer_state> edge_peers, cloud_peers;
  network edge{ids().of("edge-1")}, cloud{ids().of("cloud-1")};
  auto echo = sys.spawn([]() -> verifier::behavior_type {
    return {[](call<open_session>& x) { caf::anon_send(x.reply, answer{x.hdr, opened{}, true, {}}); },
            [](call<verify>& x) { caf::anon_send(x.reply, answer{x.hdr, verified{0, std::move(x.body.rows), {}}, true, {}}); },
            [](call<close_session>&) {}};
  });
  auto c = start(cloud, from_edge(), "cloud-1", "cloud", cloud_peers, {session_host{}, echo});
  auto e = start(edge, to_cloud(cloud.listen("127.0.0.1", 0)), "edge-1", "home", edge_peers);
  REQUIRE(edge_peers.wait(up));
  events<answer> answers;
  auto listener = sys.spawn([&]() -> sink::behavior_type { return {[&](answer& a) { answers.add(std::move(a)); }}; });
  header hdr{{1, 1}, 1, 0, 0, role::verifier, std::chrono::steady_clock::now() + 60s};
  caf::anon_send(e, call<open_session>{hdr, {}, listener});
  REQUIRE(answers.wait([](auto&) { return true; }));
  for (std::uint32_t rows : {1u, 16u, 1024u, 16384u}) {
    std::vector<double> us;
    for (int i = 0; i < (rows > 16 ? 20 : 2000); ++i) {
      ++hdr.unit;
      answers.clear();
      byte_buffer data(rows * 1024u);
      auto begun = std::chrono::steady_clock::now();
      caf::anon_send(e, call<verify>{hdr, {0, rows_wanted::all, {dtype::f32, rows, 256, std::move(data)}}, listener});
      REQUIRE(answers.wait([](auto&) { return true; }, 20s));
      us.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count());
    }
    std::sort(us.begin(), us.end());
    std::cout << rows << " KiB there and back: median " << us[us.size() / 2] << " us, 99 % " << us[us.size() * 99 / 100] << " us\n";
  }
  stop(e);
  stop(c);
}
