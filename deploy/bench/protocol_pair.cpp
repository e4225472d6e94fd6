#include "deploy/bench/protocol_pair.hpp"

#include "actors/link/hosted.hpp"
#include "actors/link/protocol.hpp"
#include "deploy/bench/link_pair.hpp"

#include <caf/actor_cast.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace virga::deploy {

namespace {

using clock = std::chrono::steady_clock;
using end_handle = pipe_events::extend_with<caf::typed_actor<caf::reacts_to<tick_atom>, caf::reacts_to<begin_atom, std::uint64_t, std::uint64_t>>>;
using done_box = std::shared_ptr<mailbox<std::vector<double>>>;
using transport_maker = std::function<std::unique_ptr<transport>(pipe_events)>;

protocol_options options_of(bool dialing) {
  protocol_options o;
  o.names = dialing ? handshake{{0, "home", "edge", "", 0, 0, 0, dtype::f32, {}}, "cloud", "cloud"}
                    : handshake{{0, "cloud", "cloud", "", 0, 0, 0, dtype::f32, {}}, "home", "edge"};
  o.dialing = dialing;
  return o;
}

/// Sends rows back, or sends them and waits for them.
class protocol_end : public hosted<end_handle::base> {
public:
  protocol_end(caf::actor_config& config, caf::execution_unit* host, bool dialing, transport_maker make, done_box box)
    : hosted(config, host), make_{std::move(make)}, done_{std::move(box)}, protocol_{options_of(dialing)}, dialing_{dialing} {}

protected:
  end_handle::behavior_type make_behavior() override {
    pipe_ = make_(pipe_events{this});
    run(protocol_.start(clock::now()));
    return {[this](pipe_up& x) { run(protocol_.on_pipe_up(x.connection, x.peer_name, clock::now())); },
            [this](pipe_ready&) { run({}); },
            [this](pipe_down& x) { run(protocol_.on_pipe_down(x.connection, x.reason, clock::now())); },
            [this](tick_atom) { run(protocol_.on_tick(clock::now())); },
            [this](begin_atom, std::uint64_t count, std::uint64_t bytes) {
              us_.clear();
              count_ = count;
              rows_ = {dtype::f32, 1, static_cast<std::uint32_t>(bytes / 4), byte_buffer(bytes, std::byte{7})};
              ask();
            }};
  }

private:
  void run(link_actions actions) {
    act(std::move(actions));
    auto connection = protocol_.connection();
    for (bool more = connection != 0; more;) {
      more = false;
      if (auto n = pipe_->read(connection, protocol_.room()); n > 0) {
        act(protocol_.on_received(n, clock::now()));
        more = true;
      }
      if (auto bytes = protocol_.outgoing(clock::now()); !bytes.empty()) {
        auto n = pipe_->write(connection, bytes);
        act(protocol_.on_sent(n, clock::now()));
        more = more || n == bytes.size();
      }
    }
    pipe_->flush(connection);
    if (auto due = protocol_.next_tick(); due < scheduled_ || clock::now() >= scheduled_) {
      scheduled_ = due;
      this->delayed_send(this, due - clock::now(), tick_atom::value);
    }
  }
  void act(link_actions actions) {
    for (auto& a : actions)
      if (std::holds_alternative<open_pipe>(a))
        pipe_->open();
      else if (auto f = std::get_if<deliver_frame>(&a))
        got(f->message);
  }
  void got(frame& f) {
    if (auto v = std::get_if<verify>(&f.body); v && !dialing_)
      return act(protocol_.send({f.hdr, 0, {}, verified{v->base, std::move(v->rows), {}}}, clock::now()));
    if (auto v = std::get_if<verified>(&f.body); v && v->rows.data == rows_.data) {
      us_.push_back(std::chrono::duration<double, std::micro>(clock::now() - asked_).count());
      us_.size() < count_ ? ask() : done_->put(std::move(us_));
    }
  }
  void ask() {
    asked_ = clock::now();
    header hdr{{0, 1}, 1, ++unit_, 0, role::verifier, asked_ + std::chrono::seconds{60}};
    run(protocol_.send({hdr, 0, {}, verify{0, rows_wanted::all, rows_}}, asked_));
  }

  transport_maker make_;
  done_box done_;
  link_protocol protocol_;
  bool dialing_;
  std::unique_ptr<transport> pipe_;
  time_point scheduled_ = time_point::max(), asked_{};
  tensor rows_;
  std::uint64_t count_ = 0;
  std::uint32_t unit_ = 0;
  std::vector<double> us_;
};

caf::actor spawn_end(caf::actor_system& sys, network& n, link_config c, done_box done) {
  caf::actor_config config{n.host(sys)};
  auto dialing = c.dial;
  transport_maker make = [&n, c = std::move(c)](pipe_events e) { return n.make_transport(c, std::move(e)); };
  return caf::actor_cast<caf::actor>(
    sys.spawn_class<protocol_end, caf::no_spawn_options>(config, n.host(sys), dialing, std::move(make), std::move(done)));
}

} // namespace

protocol_pair::protocol_pair(const tls_config& cloud, const tls_config& edge)
  : cloud_net_{std::make_unique<network>(cloud)}, edge_net_{std::make_unique<network>(edge)} {
  auto port = cloud_net_->listen("127.0.0.1", 0);
  cloud_ = spawn_end(cloud_sys_, *cloud_net_, accepting_end(), done_);
  edge_ = spawn_end(edge_sys_, *edge_net_, dialing_end(port), done_);
  std::this_thread::sleep_for(std::chrono::milliseconds{300});  // TLS and hello
}

protocol_pair::~protocol_pair() {
  caf::scoped_actor self{edge_sys_};
  for (auto& a : {edge_, cloud_}) {
    self->send_exit(a, caf::exit_reason::user_shutdown);
    self->wait_for(a);
  }
}

std::vector<double> protocol_pair::echo(std::size_t count, std::size_t bytes) {
  caf::anon_send(caf::actor_cast<end_handle>(edge_), begin_atom::value, std::uint64_t{count}, std::uint64_t{bytes});
  return done_->take();
}

} // namespace virga::deploy
