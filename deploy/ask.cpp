#include "deploy/ask.hpp"

#include "deploy/failures.hpp"
#include "deploy/http_client.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace virga::deploy {
namespace {

namespace json = boost::json;
using clock = std::chrono::steady_clock;

double ms_since(clock::time_point start) {
  return std::chrono::duration<double, std::milli>(clock::now() - start).count();
}

json::object sampling_fields(const sampling& s) {
  json::object biases;
  for (auto& b : s.logit_bias)
    biases[std::to_string(b.id)] = b.bias;
  return {{"temperature", s.temperature}, {"seed", s.seed}, {"top_k", s.top_k}, {"top_p", s.top_p}, {"min_p", s.min_p},
          {"repetition_penalty", s.repetition_penalty}, {"presence_penalty", s.presence_penalty},
          {"frequency_penalty", s.frequency_penalty}, {"logit_bias", std::move(biases)}};
}

std::string request_body(const question& q) {
  auto body = sampling_fields(q.choose);
  json::array messages;
  for (auto& m : q.messages)
    messages.push_back({{"role", m.role}, {"content", m.content}});
  body["model"] = "virga/" + q.strategy;
  body["messages"] = std::move(messages);
  body["max_tokens"] = q.max_tokens;
  body["stop"] = json::array(q.stop.begin(), q.stop.end());
  body["stream"] = true;
  body["stream_options"] = {{"include_usage", true}};
  return json::serialize(body);
}

/// The sentence in {"error": {"message": ...}}, or the body itself.
std::string message_of(const json::value& v) {
  if (const auto* o = v.if_object())
    if (const auto* e = o->if_contains("error"))
      return e->is_object() && e->get_object().contains("message") ? std::string(e->at("message").as_string().c_str())
                                                                   : json::serialize(*e);
  return json::serialize(v);
}

std::string error_text(const http_reply& r) {
  json::error_code error;
  auto v = json::parse(r.body, error);
  return "the gateway answers " + std::to_string(r.status) + ": " + (error ? r.body.substr(0, 500) : message_of(v));
}

/// Builds the reply from the stream's events.
class collector {
public:
  collector(clock::time_point start, const std::function<void(std::string_view)>& on_text) : start_(start), on_text_(on_text) {}

  void event(std::string_view data) {
    if (data == "[DONE]") {
      done_ = true;
      return;
    }
    auto v = json::parse({data.data(), data.size()});
    auto& o = v.as_object();
    if (o.contains("error"))
      throw failed(message_of(v));
    for (const auto& c : o.at("choices").as_array())
      choice(c.as_object());
    if (const auto* usage = o.if_contains("usage"); usage && usage->is_object())
      reply_.tokens = usage->at("completion_tokens").to_number<std::uint64_t>();
    if (const auto* report = o.if_contains("virga"))
      take_report(report->as_object());
  }

  reply finish() {
    if (!done_)
      throw failed("the answer broke off in the middle");
    reply_.client_total_ms = ms_since(start_);
    if (reply_.tokens > 1)
      reply_.client_tbt_ms = (last_ms_ - reply_.client_ttft_ms) / static_cast<double>(reply_.tokens - 1);
    return std::move(reply_);
  }

private:
  void choice(const json::object& c) {
    if (const auto* content = c.at("delta").as_object().if_contains("content"); content && content->is_string())
      text({content->get_string().data(), content->get_string().size()});
    if (c.at("finish_reason").is_string())
      reply_.finish = c.at("finish_reason").get_string().c_str();
  }

  void text(std::string_view piece) {
    if (piece.empty())
      return;
    last_ms_ = ms_since(start_);
    if (reply_.text.empty())
      reply_.client_ttft_ms = last_ms_;
    reply_.text += piece;
    if (on_text_)
      on_text_(piece);
  }

  void take_drafts(const json::array& rounds, const json::object& times) {
    reply_.cloud_ms = times.at("cloud").to_number<double>();
    reply_.draft_ms = times.at("draft").to_number<double>();
    reply_.verdict_ms = times.at("verdict").to_number<double>();
    for (const auto& r : rounds) {
      auto part = [&](std::size_t i) { return r.as_array().at(i).to_number<std::uint16_t>(); };
      reply_.drafts.push_back({part(0), part(1), static_cast<draft_source>(part(2))});
    }
  }

  void take_report(const json::object& v) {
    auto count = [&](const char* key) { return v.at(key).to_number<std::uint64_t>(); };
    const auto& times = v.at("time_ms").as_object();
    reply_.strategy = v.at("strategy").as_string().c_str();
    reply_.attempts = count("attempts");
    reply_.round_trips = count("round_trips");
    reply_.bytes_up = count("bytes_up");
    reply_.bytes_down = count("bytes_down");
    reply_.compute_ms = times.at("compute").to_number<double>();
    reply_.link_ms = times.at("link").to_number<double>();
    reply_.queue_ms = times.at("queue").to_number<double>();
    reply_.total_ms = times.at("total").to_number<double>();
    if (auto* drafts = v.if_contains("drafts"))
      take_drafts(drafts->as_array(), times);
    if (auto* n = v.if_contains("unverified_tokens"))
      reply_.unverified_tokens = n->to_number<std::uint64_t>();
    for (const auto& p : v.at("places").as_array())
      reply_.places.push_back(std::string(p.at("node").as_string().c_str()) + ": " + p.at("stages").as_string().c_str());
  }

  clock::time_point start_;
  const std::function<void(std::string_view)>& on_text_;
  reply reply_;
  double last_ms_ = 0;
  bool done_ = false;
};

} // namespace

void event_reader::push(std::string_view piece) {
  constexpr std::size_t max_line = 1024 * 1024;
  line_ += piece;
  for (auto end = line_.find('\n'); end != std::string::npos; end = line_.find('\n')) {
    auto line = std::string_view(line_).substr(0, end);
    if (line.starts_with("data: "))
      on_data_(line.substr(6, line.ends_with('\r') ? line.size() - 7 : std::string_view::npos));
    line_.erase(0, end + 1);
  }
  if (line_.size() > max_line)
    throw failed("the gateway sends a line of more than 1 MiB: is it a virga gateway?");
}

reply ask(const question& q, const std::function<void(std::string_view)>& on_text) {
  http_request r;
  r.host = q.host;
  r.port = q.port;
  r.path = "/v1/chat/completions";
  r.api_key = q.api_key;
  r.body = request_body(q);
  collector answer(clock::now(), on_text);
  event_reader events([&](std::string_view data) { answer.event(data); });
  auto result = http_call(r, q.limit, [&](std::string_view piece) { events.push(piece); });
  if (result.status != 200)
    throw failed(error_text(result));
  try {
    return answer.finish();
  } catch (const boost::system::system_error& e) {
    throw failed(std::string("the gateway's answer is not as expected: ") + e.what());
  }
}

} // namespace virga::deploy
