#include "actors/gateway/http_connection.hpp"

#include "actors/gateway/defaults.hpp"
#include "actors/gateway/http_text.hpp"

#include <spdlog/spdlog.h>

namespace virga {

namespace defaults = gateway_defaults;

http_connection::http_connection(http_handler& handler, std::string client)
    : handler_(handler), client_(std::move(client)), since_(steady_clock::now()) {}

// -- reading -----------------------------------------------------------------------------------------------------------

void http_connection::on_open() {
  first_byte_ = true;  // a connection must begin to talk at once
  want_read();
}

void http_connection::want_read() {
  bool full = state_ != state::lingering && ahead_.size() >= defaults::ahead_bytes;
  if (reading_ || is_closed() || full)
    return;
  reading_ = true;
  do_read();
}

void http_connection::on_bytes(std::string_view bytes) {
  reading_ = false;
  if (is_closed())
    return;
  if (state_ == state::lingering) {
    dropped_ += bytes.size();
    return dropped_ > defaults::linger_bytes ? close() : want_read();
  }
  ahead_ += bytes;
  if (state_ == state::reading)
    parse();
  want_read();
}

void http_connection::parse() {
  if (ahead_.empty())
    return;
  if (!first_byte_) {
    first_byte_ = true;
    since_ = steady_clock::now();
  }
  switch (reader_.read(ahead_)) {
    case request_reader::state::complete: return dispatch();
    case request_reader::state::wrong: return refuse(reader_.error());
    case request_reader::state::need_more: break;
  }
  if (reader_.wants_continue() && !continued_) {
    continued_ = true;
    send("HTTP/1.1 100 Continue\r\n\r\n");
  }
}

void http_connection::dispatch() {
  auto r = reader_.take();
  keep_alive_ &= r.keep_alive;
  chunked_ = r.chunked;
  r.what.client = client_;
  state_ = state::answering;
  try {
    handler_.on_request(std::move(r.what), std::static_pointer_cast<responder>(shared_from_this()));
  } catch (const std::exception& e) {
    spdlog::error("a request of {} failed in the gateway: {}", client_, e.what());
    reply(to_reply(to_api_error({ec::internal, 0, "the gateway failed"})));
  }
}

void http_connection::refuse(const api_error& e) {
  state_ = state::answering;
  keep_alive_ = false;
  refused_ = true;
  reply(to_reply(e));
}

// -- answering ---------------------------------------------------------------------------------------------------------

void http_connection::reply(http_reply r) {
  if (state_ != state::answering)
    return;
  send(reply_text(r, keep_alive_));
  answered();
}

void http_connection::begin_stream(http_reply head) {
  if (state_ != state::answering)
    return;
  state_ = state::streaming;
  keep_alive_ &= chunked_;
  send(stream_head_text(head, keep_alive_, chunked_));
}

void http_connection::write(std::string piece) {
  if (state_ != state::streaming)
    return;
  send(chunked_ ? chunk_text(piece) : std::move(piece));
  if (unsent_.size() + sending_.size() > defaults::unsent_bytes) {
    spdlog::warn("cutting {}: it reads too slowly, {} bytes of its stream wait", client_, unsent_.size());
    on_broken();
  }
}

void http_connection::end_stream() {
  if (state_ != state::streaming)
    return;
  if (chunked_)
    send(std::string(last_chunk));
  answered();
}

/// The answer is complete: once it is written comes the next request, or the end.
void http_connection::answered() {
  gone_ = nullptr;
  state_ = state::flushing;
  if (!writing_)
    on_written();
}

void http_connection::next_request() {
  state_ = state::reading;
  first_byte_ = continued_ = false;
  since_ = steady_clock::now();
  parse();
  want_read();
}

// -- writing -----------------------------------------------------------------------------------------------------------

void http_connection::send(std::string bytes) {
  unsent_ += bytes;
  if (!writing_)
    begin_write();
}

void http_connection::begin_write() {
  if (unsent_.empty())
    return;
  writing_ = true;
  write_since_ = steady_clock::now();
  sending_ = std::exchange(unsent_, {});
  do_write(sending_);
}

void http_connection::on_written() {
  writing_ = false;
  sending_.clear();
  if (is_closed())
    return;
  begin_write();
  if (writing_ || state_ != state::flushing)
    return;
  if (keep_alive_)
    next_request();
  else
    refused_ ? linger() : close();
}

// -- ending ------------------------------------------------------------------------------------------------------------

/// Closing with unread bytes would reset the connection, and the client might never read why it was refused.
void http_connection::linger() {
  state_ = state::lingering;
  since_ = steady_clock::now();
  ahead_.clear();
  do_end_writing();
  want_read();
}

void http_connection::on_end() {
  if (state_ != state::flushing)
    return on_broken();
  keep_alive_ = false;  // it has asked its last question and may still want to read the answer
}

void http_connection::on_broken() {
  auto gone = std::exchange(gone_, nullptr);
  close();
  if (gone)
    do_later(std::move(gone));
}

void http_connection::close() {
  if (is_closed())
    return;
  state_ = state::closed;
  gone_ = nullptr;
  do_close();
}

void http_connection::on_drain() {
  keep_alive_ = false;
  if ((state_ == state::reading && !writing_) || state_ == state::lingering)
    close();
}

void http_connection::on_tick(time_point now) {
  if (writing_ && now - write_since_ >= defaults::write_time)
    return on_broken();
  if (state_ == state::lingering && now - since_ >= defaults::linger_time)
    return close();
  if (state_ != state::reading)
    return;
  auto longest = !first_byte_ ? defaults::idle_time
                 : reader_.has_headers() ? defaults::request_time
                                         : defaults::header_time;
  if (now - since_ < longest)
    return;
  if (!reader_.has_begun())
    return close();
  refuse({408, "the request did not come to its end in time", "", "request_timeout", 0});
}

} // namespace virga
