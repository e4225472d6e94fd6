#include "deploy/bench/link_pair.hpp"

#include "actors/stub.hpp"
#include "messages/type_ids.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <algorithm>
#include <chrono>

namespace virga::deploy {

namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint64_t bulk_session = 1, small_session = 2;

node node_that_listens(caf::actor_system& sys, std::shared_ptr<mailbox<peer_state>> to) {
  return sys.spawn([to]() -> node::behavior_type {
    return {[to](peer_atom, peer_state& p) {
              if (to && p.up)
                to->put(std::move(p));
            },
            [](stats_atom) { return node_status{}; }, [](drain_atom) {}, [](tick_atom) {}};
  });
}

/// Gives back small rows; of large ones only the word that they are there.
verifier role_that_answers(caf::actor_system& sys, std::shared_ptr<mailbox<tensor>> taken) {
  return sys.spawn([taken]() -> verifier::behavior_type {
    return {[](call<open_session>& c) { reply_to(c.reply, c.hdr, opened{}); },
            [taken](call<verify>& c) {
              if (c.body.want == rows_wanted::all)
                return reply_to(c.reply, c.hdr, verified{c.body.base, std::move(c.body.rows), {}});
              reply_to(c.reply, c.hdr, verified{c.body.base, {}, {}});
              if (c.body.base != 0)  // the last of them
                taken->put(std::move(c.body.rows));
            },
            [](call<close_session>&) {}};
  });
}

byte_buffer pattern(std::size_t bytes, std::size_t seed) {
  byte_buffer data(bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    data[i] = static_cast<std::byte>((i * 2654435761u + seed) >> 13);
  return data;
}

tensor rows_of(byte_buffer data) { return {dtype::f32, static_cast<std::uint32_t>(data.size() / 4096), 1024, std::move(data)}; }

link_options options_of(link_config c, const char* node, const char* site) {
  link_options o;
  o.config = std::move(c);
  o.own.node = node;
  o.own.site = site;
  return o;
}

} // namespace

link_config accepting_end() {
  link_config c;
  c.peer_node = "edge";
  c.peer_site = "home";
  c.dial = false;
  return c;
}

link_config dialing_end(std::uint16_t port) {
  link_config c;
  c.peer_node = c.peer_site = "cloud";
  c.host = "127.0.0.1";
  c.port = port;
  return c;
}

link_pair::config::config() {
  set("scheduler.policy", caf::atom("sharing"));
  set("scheduler.max-threads", 1);
  add_error_category(caf::atom("virga"), render_error);
}

link_pair::link_pair(const tls_config& cloud, const tls_config& edge)
  : cloud_net_{std::make_unique<network>(cloud)}, edge_net_{std::make_unique<network>(edge)} {
  port_ = cloud_net_->listen("127.0.0.1", 0);
}

link_pair::~link_pair() {
  caf::scoped_actor self{edge_sys_};
  for (auto& a : others_)
    self->send_exit(a, caf::exit_reason::user_shutdown);
  for (auto& l : {edge_, cloud_})
    if (l) {
      self->send_exit(l, caf::exit_reason::user_shutdown);
      self->wait_for(l);
    }
}

void link_pair::connect(std::uint16_t port) {
  auto role = role_that_answers(cloud_sys_, taken_);
  auto cloud_node = node_that_listens(cloud_sys_, nullptr), edge_node = node_that_listens(edge_sys_, peers_);
  auto factory = [](network& n) {
    return [&n](const link_config& c, pipe_events e) { return n.make_transport(c, std::move(e)); };
  };
  stub_options so;
  so.kind = role::verifier;
  stub_of<verifier> cloud_stub = cloud_sys_.spawn(make_stub<verifier>, so);
  caf::anon_send(cloud_stub, target_atom::value, std::uint32_t{0}, role, std::uint64_t{1});
  cloud_ = spawn_link(cloud_sys_, cloud_net_->host(cloud_sys_), options_of(accepting_end(), "cloud", "cloud"), factory(*cloud_net_),
                      cloud_node, {session_host{}, verifier{cloud_stub}});
  edge_ = spawn_link(edge_sys_, edge_net_->host(edge_sys_), options_of(dialing_end(port), "edge", "home"), factory(*edge_net_),
                     edge_node, {});
  stub_ = edge_sys_.spawn(make_stub<verifier>, so);
  caf::anon_send(stub_, target_atom::value, std::uint32_t{0}, verifier{edge_}, std::uint64_t{0});
  asker_ = edge_sys_.spawn([to = answers_]() -> sink::behavior_type {
    return {[to](answer& a) { to->put(std::move(a)); }};
  });
  for (auto& a : {caf::actor_cast<caf::actor>(role), caf::actor_cast<caf::actor>(cloud_node),
                  caf::actor_cast<caf::actor>(edge_node), caf::actor_cast<caf::actor>(cloud_stub),
                  caf::actor_cast<caf::actor>(stub_), caf::actor_cast<caf::actor>(asker_)})
    others_.push_back(a);
  peers_->take();
  for (auto session : {bulk_session, small_session}) {
    caf::anon_send(stub_, call<open_session>{next(session), {}, asker_});
    answers_->take();
  }
}

header link_pair::next(std::uint64_t session) {
  return {{0, session}, 1, ++unit_, 0, role::verifier, clock::now() + 600s};
}

double link_pair::send(std::size_t count, std::size_t bytes_each) {
  auto data = pattern(bytes_each, unit_);
  std::vector<tensor> all(count, rows_of(data));
  auto begun = clock::now();
  for (std::size_t i = 0; i < count; ++i)
    caf::anon_send(stub_, call<verify>{next(bulk_session), {i + 1 == count, rows_wanted::last, std::move(all[i])}, asker_});
  for (std::size_t i = 0; i < count; ++i)
    if (auto a = answers_->take(); !std::holds_alternative<verified>(a.body))
      throw std::runtime_error("rows were not taken: " + std::get<failure>(a.body).text);
  auto took = std::chrono::duration<double>(clock::now() - begun).count();
  if (taken_->take().data != data)
    throw std::runtime_error("the rows that came are not those that were sent");
  return took;
}

void link_pair::begin(std::size_t bytes) {
  caf::anon_send(stub_, call<verify>{next(bulk_session), {0, rows_wanted::last, rows_of(byte_buffer(bytes))}, asker_});
}

void link_pair::stop() {
  caf::anon_send(stub_, call<close_session>{next(bulk_session), {}, asker_});
  answers_->take();
  caf::anon_send(stub_, call<open_session>{next(bulk_session), {}, asker_});
  answers_->take();
}

namespace {

using asker_actor = sink::extend_with<caf::typed_actor<caf::reacts_to<begin_atom>>>;

/// A role that asks for the same row again and again.
struct asking {
  explicit asking(asker_actor::pointer) {}
  clock::time_point begun;
  std::vector<double> us;
  std::uint32_t unit = 0;
};

asker_actor::behavior_type ask_often(asker_actor::stateful_pointer<asking> self, verifier whom, header first, tensor rows,
                                     std::size_t count, std::shared_ptr<mailbox<std::vector<double>>> done) {
  auto ask = [=] {
    auto hdr = first;
    hdr.unit += ++self->state.unit;
    auto copy = rows;
    self->state.begun = clock::now();
    self->send(whom, call<verify>{hdr, {0, rows_wanted::all, std::move(copy)}, sink{self}});
  };
  return {[=](answer& a) {
            auto& st = self->state;
            st.us.push_back(std::chrono::duration<double, std::micro>(clock::now() - st.begun).count());
            auto back = std::get_if<verified>(&a.body);
            if (!back || back->rows.data != rows.data)
              st.us.assign(count, 0);  // no figure without the identity of what came back
            if (st.us.size() < count)
              return ask();
            done->put(std::move(st.us));
            self->quit();
          },
          [=](begin_atom) { ask(); }};
}

} // namespace

std::vector<double> link_pair::echo(std::size_t count, std::size_t bytes) {
  auto done = std::make_shared<mailbox<std::vector<double>>>();
  tensor rows{dtype::f32, 1, static_cast<std::uint32_t>(bytes / 4), pattern(bytes, 1)};
  auto first = next(small_session);
  unit_ += static_cast<std::uint32_t>(count);
  auto role = edge_sys_.spawn(ask_often, verifier{stub_}, first, std::move(rows), count, done);
  caf::anon_send(role, begin_atom::value);
  auto us = done->take();
  if (us.front() == 0)
    throw std::runtime_error("the row that came back is not the one that was sent");
  return us;
}

peer_state link_pair::state() {
  peer_state out;
  caf::scoped_actor self{edge_sys_};
  self->request(edge_, 5s, stats_atom::value).receive([&](peer_state& p) { out = std::move(p); }, [](caf::error&) {});
  return out;
}

} // namespace virga::deploy
