#include "actors/gateway/exchange.hpp"

#include "actors/gateway/defaults.hpp"

#include <algorithm>
#include <iterator>

namespace virga {

namespace {

double ms_between(time_point a, time_point b) { return std::chrono::duration<double, std::milli>(b - a).count(); }

failure failure_of(const outcome& o) { return {o.error, o.error_detail, o.error_text}; }

} // namespace

exchange::exchange(const api_request& r, const std::vector<session_id>& sessions, std::string request_id,
                   std::int64_t created, time_point now, std::shared_ptr<responder> client)
    : head_{r.chat, r.include_usage, r.choose.logprobs, (r.chat ? "chatcmpl-" : "cmpl-") + to_string(sessions.front()),
            model_name(r.how), created},
      how_(r.how), request_id_(std::move(request_id)), stream_(r.stream), client_(std::move(client)),
      choices_(sessions.size()), start_(now), last_sent_(now) {
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    auto& [said, report] = choices_[i].whole;
    said.index = i;
    report.result.how = r.how;
    report.request_id = request_id_;
    report.session = sessions[i];
  }
}

void exchange::on_answer(std::size_t index, answer& a, time_point now) {
  auto& c = choices_.at(index);
  if (ended_ || c.ended)
    return;
  if (auto t = std::get_if<tokens>(&a.body); t && !a.last)
    on_tokens(c, *t, now);
  else if (auto o = std::get_if<outcome>(&a.body))
    on_outcome(c, *o, now);
  else if (auto f = std::get_if<failure>(&a.body))
    fail(*f, now);
  else
    fail({ec::internal, 0, "the session answered with something that is no answer"}, now);
}

void exchange::on_tokens(choice& c, tokens& t, time_point now) {
  if (t.position < c.received)
    return;
  if (t.position > c.received)
    return fail({ec::internal, 0,
                 "tokens " + std::to_string(c.received) + " to " + std::to_string(t.position) + " were lost"}, now);
  if (c.received == 0)
    c.first_token = now;
  else if (!t.ids.empty())
    gap_ms_ = ms_between(c.last_token, now) / static_cast<double>(t.ids.size());
  c.received += static_cast<std::uint32_t>(t.ids.size());
  c.last_token = now;
  tell(c, t, now);
}

/// A piece may have no text yet, for a stop string that may begin, and still has its log-probabilities.
void exchange::tell(choice& c, tokens& t, time_point now) {
  if (!head_.logprobs)
    t.logprobs.clear();
  if (stream_) {
    if (t.text.empty() && t.logprobs.empty())
      return;
    begin_stream();
    return send(text_event(head_, {c.whole.said.index, std::move(t.text), std::move(t.logprobs), t.unverified}, c.offset), now);
  }
  auto& said = c.whole.said;
  said.text += t.text;
  std::ranges::move(t.logprobs, std::back_inserter(said.logprobs));
}

void exchange::on_outcome(choice& c, outcome& o, time_point now) {
  c.whole.report.result = std::move(o);
  close_choice(c, now);
  if (auto& result = c.whole.report.result; result.error != ec::none) {
    close(now, std::string(to_string(result.error)));
    auto e = to_api_error(failure_of(result));
    return fail_as(e, failed_json(e, c.whole.report));
  }
  if (stream_) {
    begin_stream();
    send(last_event(head_, c.whole.said.index, c.whole.report), now);
  }
  if (std::ranges::all_of(choices_, &choice::ended)) {
    close(now, std::string(to_string(c.whole.report.result.finish)));
    succeed();
  }
}

void exchange::succeed() {
  if (stream_) {
    client_->write(end_events(head_, used_tokens()));
    return client_->end_stream();
  }
  auto used = used_tokens();
  std::vector<whole_choice> all;
  for (auto& c : choices_)
    all.push_back(std::move(c.whole));
  http_reply r;
  r.headers.emplace_back("X-Request-Id", request_id_);
  r.body = completion_json(head_, all, used);
  client_->reply(std::move(r));
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
  r.headers.emplace_back("X-Request-Id", request_id_);
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
  head.headers = {{"Cache-Control", "no-cache"}, {"X-Request-Id", request_id_}};
  client_->begin_stream(std::move(head));
  for (std::size_t i = 0; i < choices_.size(); ++i)
    if (auto event = first_event(head_, i); !event.empty())
      client_->write(std::move(event));
}

void exchange::send(std::string events, time_point now) {
  last_sent_ = now;
  client_->write(std::move(events));
}

void exchange::close_choice(choice& c, time_point now) {
  c.ended = true;
  auto& report = c.whole.report;
  report.total_ms = ms_between(start_, now);
  if (c.received > 0)
    report.ttft_ms = ms_between(start_, c.first_token);
  if (c.received > 1)
    report.tbt_ms = ms_between(c.first_token, c.last_token) / (c.received - 1);
}

usage exchange::used_tokens() const {
  usage u{choices_.front().whole.report.result.prompt_tokens, 0};
  for (auto& c : choices_)
    u.completion += c.whole.report.result.completion_tokens;
  return u;
}

std::uint64_t exchange::received() const {
  std::uint64_t all = 0;
  for (auto& c : choices_)
    all += c.received;
  return all;
}

void exchange::close(time_point now, std::string result) {
  ended_ = true;
  end_ = {};
  end_.result = std::move(result);
  end_.tokens = static_cast<std::uint32_t>(received());
  end_.total_ms = ms_between(start_, now);
  const auto& first = choices_.front().whole.report.result;
  auto ms = [](std::uint64_t us) { return static_cast<double>(us) / 1000; };
  end_.places = first.places;
  end_.prompt_tokens = first.prompt_tokens;
  end_.compute_ms = ms(first.compute_us);
  end_.link_ms = ms(first.link_us);
  end_.queue_ms = ms(first.queue_us);
  double between = 0, several = 0;
  for (auto& c : choices_) {
    if (auto ttft = ms_between(start_, c.first_token); c.received > 0)
      end_.ttft_ms = end_.ttft_ms == 0 ? ttft : std::min(end_.ttft_ms, ttft);
    if (c.received > 1) {
      between += ms_between(c.first_token, c.last_token) / (c.received - 1);
      ++several;
    }
    end_.retries += std::max(c.whole.report.result.attempts, 1u) - 1;
  }
  end_.tbt_ms = several > 0 ? between / several : 0;
}

} // namespace virga
