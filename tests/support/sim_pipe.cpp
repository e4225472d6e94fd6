#include "tests/support/sim_pipe.hpp"

#include <caf/actor_clock.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>
#include <caf/send.hpp>

namespace virga::testing {

namespace {

/// Something to do at a point of virtual time.
struct thunk {
  std::shared_ptr<std::function<void()>> run;
  caf::timespan wait{};
};

} // namespace

} // namespace virga::testing

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(virga::testing::thunk)

namespace virga::testing {

namespace {

using now_atom = caf::atom_constant<caf::atom("now")>;

/// Waits in virtual time on the pipe's behalf.
caf::behavior pipe_clock(caf::event_based_actor* self) {
  return {[self](const thunk& t) { self->delayed_send(self, t.wait, now_atom::value, t); },
          [](now_atom, const thunk& t) { (*t.run)(); }};
}

} // namespace

class sim_transport final : public transport {
public:
  sim_transport(std::shared_ptr<sim_pipe> pipe, sim_pipe::side side, std::uint64_t attachment)
    : pipe_(std::move(pipe)), side_(side), attachment_(attachment) {}
  ~sim_transport() override { pipe_->detach(side_, attachment_); }

  void open() override { pipe_->open(side_, attachment_); }
  void send(std::uint64_t connection, byte_buffer data) override {
    pipe_->send(side_, attachment_, connection, std::move(data));
  }
  void close(std::uint64_t connection, const std::string& reason) override {
    pipe_->close(side_, attachment_, connection, reason);
  }

private:
  std::shared_ptr<sim_pipe> pipe_;
  sim_pipe::side side_;
  std::uint64_t attachment_;
};

sim_pipe::sim_pipe(caf::actor_system& sys, std::string dialer_name, std::string acceptor_name, pipe_shape shape,
                   std::uint64_t seed)
  : sys_(sys), clock_(sys.spawn(pipe_clock)), shape_(shape), random_(seed) {
  ends_[dialer].name = std::move(dialer_name);
  ends_[acceptor].name = std::move(acceptor_name);
}

sim_pipe::~sim_pipe() { caf::anon_send_exit(clock_, caf::exit_reason::user_shutdown); }

time_point sim_pipe::now() const { return sys_.clock().now(); }

void sim_pipe::later(time_point when, std::function<void()> what) {
  auto keep = shared_from_this();
  auto run = std::make_shared<std::function<void()>>([keep, what = std::move(what)] { what(); });
  caf::anon_send(clock_, thunk{std::move(run), std::max<caf::timespan>(when - now(), caf::timespan{0})});
}

std::unique_ptr<transport> sim_pipe::attach(side s, pipe_events events) {
  auto& e = ends_[s];
  if (connected_)
    part(e.name + " was replaced", s != dialer, s != acceptor);
  e.events = std::move(events);
  e.connection = 0;
  e.waiting = false;
  return std::make_unique<sim_transport>(shared_from_this(), s, ++e.attachment);
}

void sim_pipe::open(side s, std::uint64_t attachment) {
  if (attachment != ends_[s].attachment)
    return;
  if (s == acceptor)
    ends_[s].waiting = true;
  else
    later(now() + 2 * shape_.delay, [this, attachment] { meet(attachment); });
}

/// The dialer's call has arrived.
void sim_pipe::meet(std::uint64_t dial_attachment) {
  auto &d = ends_[dialer], &a = ends_[acceptor];
  if (dial_attachment != d.attachment || !d.events || connected_)
    return;
  if (!a.events || !a.waiting || now() < stalled_until_) {
    caf::anon_send(d.events, pipe_down{++d.connection, a.name + " does not answer"});
    return;
  }
  connected_ = true;
  ++epoch_;
  for (auto* e : {&d, &a})
    e->line_free = e->last_arrival = now();
  caf::anon_send(d.events, pipe_up{++d.connection, a.name});
  caf::anon_send(a.events, pipe_up{++a.connection, d.name});
}

void sim_pipe::send(side s, std::uint64_t attachment, std::uint64_t connection, byte_buffer data) {
  auto& e = ends_[s];
  if (!connected_ || attachment != e.attachment || connection != e.connection)
    return;
  if (tap_)
    tap_(s, data);
  auto size = data.size();
  auto on_line = shape_.bytes_per_s == 0 ? caf::timespan{0}
                                         : caf::timespan{static_cast<std::int64_t>(size * 1'000'000'000 / shape_.bytes_per_s)};
  e.line_free = std::max(e.line_free, now()) + on_line;
  later(e.line_free, [this, s, connection, size, epoch = epoch_] {
    if (epoch == epoch_ && connected_)
      caf::anon_send(ends_[s].events, pipe_drained{connection, size});
  });
  auto jitter = shape_.jitter.count() == 0
                  ? caf::timespan{0}
                  : caf::timespan{static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(shape_.jitter.count()))};
  e.last_arrival = std::max(e.last_arrival, e.line_free + shape_.delay + jitter);
  auto to = s == dialer ? acceptor : dialer;
  if (repeats_ > 0) {
    --repeats_;
    carry(to, data, e.last_arrival);
  }
  carry(to, std::move(data), e.last_arrival);
}

void sim_pipe::carry(side to, byte_buffer data, time_point at) {
  auto bytes = std::make_shared<byte_buffer>(std::move(data));
  later(at, [this, to, bytes, epoch = epoch_] {
    if (epoch != epoch_ || !connected_)
      return;
    if (now() < stalled_until_)
      return carry(to, std::move(*bytes), stalled_until_);
    caf::anon_send(ends_[to].events, pipe_bytes{ends_[to].connection, std::move(*bytes)});
  });
}

void sim_pipe::close(side s, std::uint64_t attachment, std::uint64_t connection, const std::string& reason) {
  auto& e = ends_[s];
  if (attachment == e.attachment && connection == e.connection && connected_)
    part(reason, true, true);
}

void sim_pipe::detach(side s, std::uint64_t attachment) {
  auto& e = ends_[s];
  if (attachment != e.attachment)
    return;
  e.events = pipe_events{};
  e.waiting = false;
  if (connected_)
    part(e.name + " went away", s != dialer, s != acceptor);
}

void sim_pipe::part(const std::string& reason, bool tell_dialer, bool tell_acceptor) {
  connected_ = false;
  ++epoch_;
  auto &d = ends_[dialer], &a = ends_[acceptor];
  a.waiting = false;
  if (tell_dialer && d.events)
    caf::anon_send(d.events, pipe_down{d.connection, reason});
  if (tell_acceptor && a.events)
    caf::anon_send(a.events, pipe_down{a.connection, reason});
}

void sim_pipe::cut(const std::string& reason) {
  if (connected_)
    part(reason, true, true);
}

void sim_pipe::stall(caf::timespan how_long) { stalled_until_ = std::max(stalled_until_, now() + how_long); }

} // namespace virga::testing
