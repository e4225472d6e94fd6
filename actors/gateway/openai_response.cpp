#include "actors/gateway/openai_response.hpp"

#include "actors/gateway/json_text.hpp"
#include "actors/gateway/logprobs_json.hpp"
#include "actors/gateway/openai_request.hpp"

#include <boost/json.hpp>

#include <cmath>

namespace virga {

namespace json = boost::json;

namespace {

/// Microseconds are enough for anyone.
double rounded(double ms) { return std::round(ms * 1000) / 1000; }

double to_ms(std::uint64_t us) { return static_cast<double>(us) / 1000; }

std::string event(const json::value& v) { return "data: " + json_text(v) + "\n\n"; }

json::value finish_value(finish_reason f) { return f == finish_reason::length ? "length" : "stop"; }

json::object usage_object(const usage& u) {
  return {{"prompt_tokens", u.prompt}, {"completion_tokens", u.completion}, {"total_tokens", u.prompt + u.completion}};
}

json::value logprobs_value(const answer_head& h, const choice_text& c, std::size_t& offset) {
  if (!h.logprobs)
    return nullptr;
  return h.chat ? chat_logprobs_json(c.logprobs) : completion_logprobs_json(c.logprobs, offset);
}

json::array places_array(const std::vector<place>& places) {
  json::array a;
  for (auto& p : places)
    a.push_back(json::object{{"node", to_utf8(p.node)}, {"stages", to_utf8(p.stages)}});
  return a;
}

/// [drafted, accepted, source] of each round.
json::array drafts_array(const std::vector<draft_round>& rounds) {
  json::array a;
  for (auto& r : rounds)
    a.push_back(json::array{r.drafted, r.accepted, static_cast<int>(r.source)});
  return a;
}

json::object virga_object(const virga_report& r) {
  auto& o = r.result;
  json::object times{{"total", rounded(r.total_ms)},
                     {"ttft", rounded(r.ttft_ms)},
                     {"compute", to_ms(o.compute_us)},
                     {"link", to_ms(o.link_us)},
                     {"queue", to_ms(o.queue_us)}};
  if (!o.drafts.empty()) {
    times["cloud"] = to_ms(o.cloud_us);
    times["draft"] = to_ms(o.draft_us);
    times["verdict"] = to_ms(o.verdict_us);
  }
  json::object out{{"strategy", to_string(o.how)},
          {"places", places_array(o.places)},
          {"attempts", o.attempts},
          {"round_trips", o.round_trips},
          {"bytes_up", o.bytes_up},
          {"bytes_down", o.bytes_down},
          {"time_ms", std::move(times)},
          {"tbt_ms", rounded(r.tbt_ms)},
          {"request_id", r.request_id},
          {"session", to_string(r.session)}};
  if (!o.drafts.empty())
    out["drafts"] = drafts_array(o.drafts);
  if (o.unverified_tokens > 0)
    out["unverified_tokens"] = o.unverified_tokens;
  return out;
}

json::object head_object(const answer_head& h, std::string_view kind) {
  return {{"id", h.id}, {"object", kind}, {"created", h.created}, {"model", h.model}};
}

/// One chunk of a stream; `delta` is the message's part of a chat, the text otherwise.
json::object chunk_object(const answer_head& h, std::size_t index, json::value delta, json::value logprobs,
                          json::value finish) {
  auto chunk = head_object(h, h.chat ? "chat.completion.chunk" : "text_completion");
  json::object choice{{"index", index}, {h.chat ? "delta" : "text", std::move(delta)}};
  choice["logprobs"] = std::move(logprobs);
  choice["finish_reason"] = std::move(finish);
  chunk["choices"] = json::array{std::move(choice)};
  if (h.include_usage)
    chunk["usage"] = nullptr;
  return chunk;
}

json::object choice_object(const answer_head& h, const whole_choice& c) {
  json::object choice{{"index", c.said.index}};
  if (h.chat)
    choice["message"] = json::object{{"role", "assistant"}, {"content", to_utf8(c.said.text)}, {"refusal", nullptr}};
  else
    choice["text"] = to_utf8(c.said.text);
  std::size_t offset = 0;
  choice["logprobs"] = logprobs_value(h, c.said, offset);
  choice["finish_reason"] = finish_value(c.report.result.finish);
  return choice;
}

json::object model_object(strategy s, std::int64_t created) {
  return {{"id", model_name(s)}, {"object", "model"}, {"created", created}, {"owned_by", "virga"}};
}

} // namespace

std::string completion_json(const answer_head& h, const std::vector<whole_choice>& choices, const usage& u) {
  auto whole = head_object(h, h.chat ? "chat.completion" : "text_completion");
  json::array list;
  for (auto& c : choices) {
    list.push_back(choice_object(h, c));
    if (choices.size() > 1)
      list.back().get_object()["virga"] = virga_object(c.report);
  }
  whole["choices"] = std::move(list);
  whole["usage"] = usage_object(u);
  if (choices.size() == 1)
    whole["virga"] = virga_object(choices.front().report);
  return json_text(whole);
}

std::string first_event(const answer_head& h, std::size_t index) {
  if (!h.chat)
    return {};
  return event(chunk_object(h, index, json::object{{"role", "assistant"}, {"content", ""}}, nullptr, nullptr));
}

std::string text_event(const answer_head& h, const choice_text& piece, std::size_t& offset) {
  auto text = to_utf8(piece.text);
  json::value delta = h.chat ? json::value(json::object{{"content", text}}) : json::value(text);
  auto chunk = chunk_object(h, piece.index, std::move(delta), logprobs_value(h, piece, offset), nullptr);
  if (piece.unverified)
    chunk["choices"].get_array()[0].get_object()["virga"] = json::object{{"unverified", true}};
  return event(chunk);
}

std::string last_event(const answer_head& h, std::size_t index, const virga_report& r) {
  json::value delta = h.chat ? json::value(json::object{}) : json::value("");
  auto last = chunk_object(h, index, std::move(delta), nullptr, finish_value(r.result.finish));
  last["virga"] = virga_object(r);
  return event(last);
}

std::string end_events(const answer_head& h, const usage& u) {
  std::string events;
  if (h.include_usage) {
    auto chunk = head_object(h, h.chat ? "chat.completion.chunk" : "text_completion");
    chunk["choices"] = json::array{};
    chunk["usage"] = usage_object(u);
    events = event(chunk);
  }
  return events + "data: [DONE]\n\n";
}

std::string error_event(const api_error& e) { return "data: " + error_json(e) + "\n\n"; }

std::string_view keep_alive_event() { return ": keep-alive\n\n"; }

std::string failed_json(const api_error& e, const virga_report& r) {
  auto body = json::parse(error_json(e)).get_object();
  body["virga"] = virga_object(r);
  return json_text(body);
}

std::string models_json(const std::vector<strategy>& served, std::int64_t created) {
  json::array data;
  for (auto s : served)
    data.push_back(model_object(s, created));
  return json_text(json::object{{"object", "list"}, {"data", std::move(data)}});
}

std::string model_json(strategy s, std::int64_t created) { return json_text(model_object(s, created)); }

} // namespace virga
