#include "actors/gateway/logprobs_json.hpp"

#include "actors/gateway/json_text.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <cmath>

namespace virga {

namespace json = boost::json;

namespace {

constexpr double least_logprob = -9999;

double sayable(double logprob) { return std::isfinite(logprob) ? logprob : least_logprob; }

json::array bytes_of(const std::string& text) {
  json::array a;
  for (unsigned char c : text)
    a.push_back(c);
  return a;
}

json::object scored_object(const scored_token& t) {
  return {{"token", to_utf8(t.text)}, {"logprob", sayable(t.logprob)}, {"bytes", bytes_of(t.text)}};
}

/// Of valid UTF-8.
std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

json::object top_object(const token_logprobs& t) {
  json::object o;
  auto tell = [&o](const scored_token& s) {
    if (auto key = to_utf8(s.text); !o.contains(key))  // two tokens may have one text: the likelier one counts
      o[key] = sayable(s.logprob);
  };
  std::ranges::for_each(t.top, tell);
  tell(t.chosen);
  return o;
}

} // namespace

json::value chat_logprobs_json(const std::vector<token_logprobs>& of) {
  json::array content;
  for (auto& t : of) {
    auto one = scored_object(t.chosen);
    json::array top;
    for (auto& s : t.top)
      top.push_back(scored_object(s));
    one["top_logprobs"] = std::move(top);
    content.push_back(std::move(one));
  }
  return json::object{{"content", std::move(content)}, {"refusal", nullptr}};
}

json::value completion_logprobs_json(const std::vector<token_logprobs>& of, std::size_t& offset) {
  json::array texts, logprobs, tops, offsets;
  for (auto& t : of) {
    auto text = to_utf8(t.chosen.text);
    offsets.push_back(offset);
    offset += characters(text);
    texts.push_back(json::value(std::move(text)));
    logprobs.push_back(sayable(t.chosen.logprob));
    tops.push_back(top_object(t));
  }
  return json::object{{"tokens", std::move(texts)},
                      {"token_logprobs", std::move(logprobs)},
                      {"top_logprobs", std::move(tops)},
                      {"text_offset", std::move(offsets)}};
}

} // namespace virga
