#include "actors/gateway/exchange.hpp"

#include "actors/gateway/defaults.hpp"

namespace virga {

namespace {

double ms_between(time_point a, time_point b) { return std::chrono::duration<double, std::milli>(b - a).count(); }

answer_head make_head(const api_request& r, session_id session, std::int64_t created) {
  return {r.chat, r.include_usage, (r.chat ? "chatcmpl-" : "cmpl-") + to_string(session), model_name(r.how), created};
}

failure failure_of(const outcome& o) { return {o.error, o.error_detail, o.error_text}; }

} // namespace

exchange::exchange(const api_request& r, session_id session, std::string request_id, std::int64_t created,
                   time_point now, std::shared_ptr<responder> client)
    : head_(make_head(r, session, created)), stream_(r.stream), client_(std::move(client)), start_(now),
      last_sent_(now) {
  report_.result.how = r.how;
  report_.request_id = std::move(request_id);
  report_.session = session;
}

bool exchange::on_answer(answer& a, time_point now) {
  if (auto t = std::get_if<tokens>(&a.body); t && !a.last)
    return on_tokens(*t, now);
  if (auto o = std::get_if<outcome>(&a.body))
    on_outcome(*o, now);
  else if (auto f = std::get_if<failure>(&a.body))
    fail(*f, now);
  else
    fail({ec::internal, 0, "the session answered with something that is no answer"}, now);
  return true;
}

bool exchange::on_tokens(const tokens& t, time_point now) {
  if (t.position < received_)
    return false;
  if (t.position > received_) {
    fail({ec::internal, 0, "tokens " + std::to_string(received_) + " to " + std::to_string(t.position) + " were lost"},
         now);
    return true;
  }
  if (received_ == 0)
    first_token_ = now;
  received_ += static_cast<std::uint32_t>(t.ids.size());
  last_token_ = now;
  if (!stream_) {
    text_ += t.text;
  } else if (!t.text.empty()) {
    begin_stream();
    send(text_event(head_, t.text), now);
  }
  return false;
}

void exchange::on_outcome(outcome& o, time_point now) {
  report_.result = std::move(o);
  close(now, std::string(to_string(report_.result.finish)));
  if (report_.result.error == ec::none)
    return succeed();
  auto f = failure_of(report_.result);
  auto e = to_api_error(f);
  end_.result = to_string(f.code);
  fail_as(e, failed_json(e, report_));
}

void exchange::succeed() {
  if (!stream_) {
    http_reply r;
    r.headers.emplace_back("X-Request-Id", report_.request_id);
    r.body = completion_json(head_, text_, report_);
    return client_->reply(std::move(r));
  }
  begin_stream();
  client_->write(last_events(head_, report_));
  client_->end_stream();
}

void exchange::fail(const failure& f, time_point now) {
  close(now, std::string(to_string(f.code)));
  auto e = to_api_error(f);
  fail_as(e, error_json(e));
}

void exchange::fail_as(const api_error& e, std::string body) {
  end_.status = e.status;
  if (streaming_) {
    client_->write(error_event(e));
    return client_->end_stream();
  }
  auto r = to_reply(e);
  r.body = std::move(body);
  r.headers.emplace_back("X-Request-Id", report_.request_id);
  client_->reply(std::move(r));
}

void exchange::on_tick(time_point now) {
  if (streaming_ && now - last_sent_ >= gateway_defaults::keep_alive)
    send(std::string(keep_alive_event()), now);
}

void exchange::on_gone(time_point now) {
  close(now, std::string(to_string(ec::cancelled)));
  end_.status = 499;
}

void exchange::begin_stream() {
  if (streaming_)
    return;
  streaming_ = true;
  http_reply head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-cache"}, {"X-Request-Id", report_.request_id}};
  client_->begin_stream(std::move(head));
  if (auto event = first_event(head_); !event.empty())
    client_->write(std::move(event));
}

void exchange::send(std::string events, time_point now) {
  last_sent_ = now;
  client_->write(std::move(events));
}

void exchange::close(time_point now, std::string result) {
  report_.total_ms = ms_since_start(now);
  if (received_ > 0)
    report_.ttft_ms = ms_since_start(first_token_);
  if (received_ > 1)
    report_.tbt_ms = ms_between(first_token_, last_token_) / (received_ - 1);
  end_ = {200, std::move(result), received_, report_.total_ms, report_.ttft_ms};
}

double exchange::ms_since_start(time_point t) const { return ms_between(start_, t); }

} // namespace virga
