#include "actors/gateway/request_sampling.hpp"

#include "actors/gateway/request_fields.hpp"
#include "messages/limits.hpp"

#include <boost/json.hpp>

#include <charconv>

namespace virga {

namespace json = boost::json;

namespace {

std::vector<token_bias> read_logit_bias(const json::object& o) {
  std::vector<token_bias> out;
  auto v = find_field(o, "logit_bias");
  if (!v)
    return out;
  if (!v->is_object() || v->get_object().size() > limits::biased_tokens)
    refuse("logit_bias", "logit_bias must be an object of token ids and numbers, at most "
                           + std::to_string(limits::biased_tokens));
  for (auto& [key, value] : v->get_object()) {
    token_bias b;
    auto read = std::from_chars(key.data(), key.data() + key.size(), b.id);
    if (read.ec != std::errc{} || read.ptr != key.data() + key.size())
      refuse("logit_bias", "logit_bias names " + std::string(key.substr(0, 40)) + ", which is no token id");
    b.bias = read_double(v->get_object(), key, -100, 100).value_or(0);
    out.push_back(b);
  }
  return out;
}

void read_logprobs(const json::object& o, bool chat, sampling& s) {
  auto most = limits::top_logprobs;
  auto top = read_uint(o, chat ? "top_logprobs" : "logprobs", 0, most);
  s.logprobs = chat ? read_bool(o, "logprobs").value_or(false) : top.has_value();
  if (top && !s.logprobs)
    refuse("top_logprobs", "top_logprobs may only be given where logprobs is true");
  s.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
}

std::string read_stop_text(const json::value& v, const std::string& field) {
  if (!v.is_string())
    refuse(field, field + " must be a string");
  return std::string(v.get_string());
}

} // namespace

sampling read_sampling(const json::object& o, bool chat) {
  constexpr double least = 1e-6;
  sampling s;
  s.temperature = read_double(o, "temperature", 0, 2).value_or(0);
  auto top_k = find_field(o, "top_k");
  bool all = top_k && top_k->is_int64() && top_k->get_int64() == -1;  // as vLLM spells it
  s.top_k = all ? 0 : static_cast<std::uint32_t>(read_uint(o, "top_k", 0, UINT32_MAX).value_or(0));
  s.top_p = read_double(o, "top_p", least, 1).value_or(1);
  s.min_p = read_double(o, "min_p", 0, 1).value_or(0);
  s.repetition_penalty = read_double(o, "repetition_penalty", least, 100).value_or(1);
  s.presence_penalty = read_double(o, "presence_penalty", -2, 2).value_or(0);
  s.frequency_penalty = read_double(o, "frequency_penalty", -2, 2).value_or(0);
  s.logit_bias = read_logit_bias(o);
  read_logprobs(o, chat, s);
  return s;
}

std::vector<std::string> read_stop(const json::object& o) {
  std::vector<std::string> out;
  auto v = find_field(o, "stop");
  if (!v)
    return out;
  if (auto list = v->if_array()) {
    if (list->size() > limits::stop_strings)
      refuse("stop", "stop has " + std::to_string(list->size()) + " strings; at most " + std::to_string(limits::stop_strings)
                       + " are taken");
    for (std::size_t i = 0; i < list->size(); ++i)
      out.push_back(read_stop_text((*list)[i], "stop[" + std::to_string(i) + "]"));
  } else {
    out.push_back(read_stop_text(*v, "stop"));
  }
  for (auto& s : out)
    if (s.size() > limits::stop_bytes)
      refuse("stop", "stop has a string of " + std::to_string(s.size()) + " bytes; at most "
                       + std::to_string(limits::stop_bytes) + " are taken");
  return out;
}

} // namespace virga
