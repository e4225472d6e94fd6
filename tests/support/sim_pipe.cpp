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

constexpr auto reorder_time = std::chrono::milliseconds(20);
constexpr auto unsent_time = std::chrono::milliseconds(1);  // what the pipe takes before the line is free

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
  std::size_t write(std::uint64_t connection, std::span<const std::byte> bytes) override {
    return pipe_->write(side_, attachment_, connection, bytes);
  }
  void flush(std::uint64_t) override {}
  std::size_t read(std::uint64_t connection, std::span<std::byte> room) override {
    return pipe_->read(side_, attachment_, connection, room);
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
  e.deserted = false;
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
  if (std::exchange(a.deserted, false) && a.events)
    caf::anon_send(a.events, pipe_down{a.connection, d.name + " connected again"});
  if (!a.events || !a.waiting || now() < stalled_until_ || d.silent || a.silent) {
    caf::anon_send(d.events, pipe_down{++d.connection, a.name + " does not answer"});
    return;
  }
  connected_ = true;
  ++epoch_;
  for (auto* e : {&d, &a}) {
    e->line_free = e->last_arrival = now();
    e->inbox.clear();
    e->held.clear();
    e->read = 0;
  }
  caf::anon_send(d.events, pipe_up{++d.connection, a.name});
  caf::anon_send(a.events, pipe_up{++a.connection, d.name});
}

/// Takes all or nothing: nothing while what it took before has not left.
std::size_t sim_pipe::write(side s, std::uint64_t attachment, std::uint64_t connection, std::span<const std::byte> bytes) {
  auto& e = ends_[s];
  if (!connected_ || attachment != e.attachment || connection != e.connection || bytes.empty())
    return 0;
  if (e.line_free > now() + unsent_time) {
    if (!std::exchange(e.full, true))
      later(e.line_free - unsent_time, [this, s, connection, epoch = epoch_] {
        ends_[s].full = false;
        if (epoch == epoch_ && connected_)
          caf::anon_send(ends_[s].events, pipe_ready{connection});
      });
    return 0;
  }
  byte_buffer data{bytes.begin(), bytes.end()};
  if (tap_)
    tap_(s, data);
  auto rate = s == acceptor && shape_.down_bytes_per_s > 0 ? shape_.down_bytes_per_s : shape_.bytes_per_s;
  auto on_line = rate == 0 ? caf::timespan{0} : caf::timespan{static_cast<std::int64_t>(bytes.size() * 1'000'000'000 / rate)};
  e.line_free = std::max(e.line_free, now()) + on_line;
  auto jitter = shape_.jitter.count() == 0
                  ? caf::timespan{0}
                  : caf::timespan{static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(shape_.jitter.count()))};
  e.last_arrival = std::max(e.last_arrival, e.line_free + shape_.delay + jitter);
  auto to = s == dialer ? acceptor : dialer;
  if (reorders_ > 0 && --reorders_ % 2 == 0) {
    carry(to, std::move(data), e.last_arrival + reorder_time);
    return bytes.size();
  }
  if (repeats_ > 0) {
    --repeats_;
    carry(to, data, e.last_arrival);
  }
  carry(to, std::move(data), e.last_arrival);
  return bytes.size();
}

std::size_t sim_pipe::read(side s, std::uint64_t attachment, std::uint64_t connection, std::span<std::byte> room) {
  auto& e = ends_[s];
  if (attachment != e.attachment || connection != e.connection || e.inbox.empty())
    return 0;
  auto& first = e.inbox.front();
  auto size = std::min(room.size(), first.size() - e.read);
  std::copy_n(first.begin() + static_cast<std::ptrdiff_t>(e.read), size, room.begin());
  e.read += size;
  if (e.read == first.size()) {
    e.inbox.pop_front();
    e.read = 0;
  }
  return size;
}

void sim_pipe::carry(side to, byte_buffer data, time_point at) {
  auto bytes = std::make_shared<byte_buffer>(std::move(data));
  later(at, [this, to, bytes, epoch = epoch_] {
    if (epoch != epoch_ || !connected_)
      return;
    ends_[to].held.push_back(std::move(*bytes));
    release(to);
  });
}

/// What was held passes, in its order, unless something still holds it.
void sim_pipe::release(side to) {
  if (now() < stalled_until_ || ends_[to == dialer ? acceptor : dialer].silent)
    return;
  for (auto& data : std::exchange(ends_[to].held, {}))
    arrive(to, std::move(data));
}

void sim_pipe::arrive(side to, byte_buffer data) {
  ends_[to].inbox.push_back(std::move(data));
  caf::anon_send(ends_[to].events, pipe_ready{ends_[to].connection});
}

void sim_pipe::partition(side from, bool on) {
  ends_[from].silent = on;
  release(from == dialer ? acceptor : dialer);
}

void sim_pipe::heal() {
  partition(dialer, false);
  partition(acceptor, false);
  repeats_ = reorders_ = 0;
}

void sim_pipe::close(side s, std::uint64_t attachment, std::uint64_t connection, const std::string& reason) {
  auto& e = ends_[s];
  if (attachment != e.attachment || connection != e.connection)
    return;
  if (std::exchange(e.deserted, false)) {  // it has noticed by itself
    caf::anon_send(e.events, pipe_down{e.connection, reason});
    return;
  }
  if (!connected_)
    return;
  // The other end hears of it unless this one cannot be heard; it then finds out by itself.
  ends_[s == dialer ? acceptor : dialer].deserted = e.silent;
  part(reason, s == dialer || !e.silent, s == acceptor || !e.silent);
}

void sim_pipe::detach(side s, std::uint64_t attachment) {
  auto& e = ends_[s];
  if (attachment != e.attachment)
    return;
  e.events = pipe_events{};
  e.deserted = false;
  e.waiting = false;
  if (connected_)
    part(e.name + " went away", s != dialer, s != acceptor);
}

void sim_pipe::part(const std::string& reason, bool tell_dialer, bool tell_acceptor) {
  connected_ = false;
  ++epoch_;
  auto &d = ends_[dialer], &a = ends_[acceptor];
  a.waiting = false;
  d.held.clear();
  a.held.clear();
  if (tell_dialer && d.events)
    caf::anon_send(d.events, pipe_down{d.connection, reason});
  if (tell_acceptor && a.events)
    caf::anon_send(a.events, pipe_down{a.connection, reason});
}

void sim_pipe::cut(const std::string& reason) {
  if (connected_)
    part(reason, true, true);
}

void sim_pipe::stall(caf::timespan how_long) {
  stalled_until_ = std::max(stalled_until_, now() + how_long);
  later(stalled_until_, [this] {
    release(dialer);
    release(acceptor);
  });
}

} // namespace virga::testing
