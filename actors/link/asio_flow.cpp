#include "actors/link/asio_flow.hpp"

#include "actors/link/defaults.hpp"

#include <boost/asio/write.hpp>

#include <algorithm>
#include <utility>

namespace virga {

namespace asio = boost::asio;
using error_code = boost::system::error_code;
using std::chrono::nanoseconds;

flow::flow(tcp::socket& from, tcp::socket& to, std::shared_ptr<const flow_state> state, std::shared_ptr<void> owner,
           std::uint64_t seed)
  : from_{from}, to_{to}, state_{std::move(state)}, owner_{std::move(owner)}, read_timer_{from.get_executor()},
    write_timer_{from.get_executor()}, random_{seed} {}

void flow::abort() {
  error_code ignored;
  for (auto* s : {&from_, &to_}) {
    s->set_option(asio::socket_base::linger{true, 0}, ignored);  // a reset, as a broken path is noticed
    s->close(ignored);
  }
  read_timer_.cancel();
  write_timer_.cancel();
}

void flow::look() {
  read_timer_.cancel();
  write_timer_.cancel();
  if (!writing_)
    write();
}

// -- in ----------------------------------------------------------------------------------------------------------------

void flow::read() {
  auto rate = state_->shape.bytes_per_s;
  auto usual = rate * static_cast<std::uint64_t>(link_defaults::shaper_piece_time.count()) / 1'000'000;
  buffer_.resize(rate == 0 ? link_defaults::read_bytes : std::clamp<std::uint64_t>(usual, 512, link_defaults::read_bytes));
  from_.async_read_some(asio::buffer(buffer_), [self = shared_from_this()](error_code e, std::size_t n) {
    if (e && e != asio::error::eof)
      return self->abort();
    self->take(n);
  });
}

nanoseconds flow::latency() {
  auto& s = state_->shape;
  auto more = s.jitter.count() > 0 ? nanoseconds{static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(s.jitter.count()))}
                                   : nanoseconds{};
  return s.latency + more;
}

/// A piece occupies the line for its size over the rate, then travels. Order is kept, whatever the jitter.
void flow::take(std::size_t n) {
  auto rate = state_->shape.bytes_per_s;
  free_at_ = std::max(free_at_, steady_clock::now());
  if (rate != 0)
    free_at_ += nanoseconds{static_cast<std::int64_t>(n * 1'000'000'000 / rate)};
  last_due_ = std::max(last_due_, free_at_ + latency());
  under_way_.push_back({last_due_, {buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(n)}});
  flip_bits(under_way_.back().data);
  bytes_ += n;
  if (under_way_.size() == 1)
    write();
  if (n != 0)
    read_when_free();
}

void flow::flip_bits(byte_buffer& data) {
  auto& s = state_->shape;
  if (s.flips_per_mb <= 0 || data.empty())
    return;
  std::poisson_distribution<int> how_many{s.flips_per_mb * static_cast<double>(data.size()) / 1e6};
  for (auto left = how_many(random_); left > 0; --left)
    data[random_() % data.size()] ^= std::byte{1} << (random_() % 8);
}

/// The next piece is read a little before the line is free: a late timer must not make the line idle.
void flow::read_when_free() {
  if (bytes_ >= link_defaults::shaper_buffer_bytes) {
    stopped_ = true;
    return;
  }
  auto when = free_at_ - link_defaults::shaper_ahead_time;
  if (state_->shape.bytes_per_s == 0 || when <= steady_clock::now())
    return read();
  read_timer_.expires_at(when);
  read_timer_.async_wait([self = shared_from_this()](error_code) {
    if (self->from_.is_open())
      self->read_when_free();
  });
}

// -- out ---------------------------------------------------------------------------------------------------------------

void flow::write() {
  if (under_way_.empty() || writing_ || state_->shape.partitioned)
    return;  // look() goes on
  auto when = std::max(under_way_.front().due, state_->stalled_until);
  if (when <= steady_clock::now())
    return write_due();
  write_timer_.expires_at(when);
  write_timer_.async_wait([self = shared_from_this()](error_code e) {
    if (!e)
      self->write();
  });
}

void flow::write_due() {
  auto& data = under_way_.front().data;
  if (data.empty()) {
    error_code ignored;
    to_.shutdown(tcp::socket::shutdown_send, ignored);
    return;
  }
  auto slice = state_->shape.slice_bytes;
  auto size = data.size() - front_written_;
  size = slice == 0 ? size : std::min<std::size_t>(size, slice);
  writing_ = true;
  asio::async_write(to_, asio::buffer(data.data() + front_written_, size), [self = shared_from_this()](error_code e, std::size_t n) {
    if (e)
      return self->abort();
    self->written(n);
  });
}

void flow::written(std::size_t n) {
  writing_ = false;
  bytes_ -= n;
  front_written_ += n;
  if (front_written_ == under_way_.front().data.size()) {
    under_way_.pop_front();
    front_written_ = 0;
  } else {
    under_way_.front().due = steady_clock::now() + state_->shape.slice_delay;
  }
  if (std::exchange(stopped_, false))
    read_when_free();
  write();
}

} // namespace virga
