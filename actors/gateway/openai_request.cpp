#include "actors/gateway/openai_request.hpp"

#include "actors/gateway/defaults.hpp"
#include "actors/gateway/request_fields.hpp"
#include "actors/gateway/request_sampling.hpp"
#include "messages/limits.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>

namespace virga {

namespace json = boost::json;

namespace {

constexpr std::string_view model_prefix = "virga/";

json::object parse_body(std::string_view body) {
  json::parse_options options;
  options.max_depth = gateway_defaults::json_depth;
  json::error_code error;
  auto v = json::parse({body.data(), body.size()}, error, {}, options);
  if (error)
    refuse("", "the body is no valid JSON: " + error.message());
  if (!v.is_object())
    refuse("", "the body must be a JSON object");
  return std::move(v.get_object());
}

const std::string_view text_of(const json::value& v, std::string_view field) {
  auto s = v.if_string();
  if (!s)
    refuse(field, std::string(field) + " must be a string");
  return {s->data(), s->size()};
}

// -- model -------------------------------------------------------------------------------------------------------------

strategy read_model(const json::object& o) {
  auto v = find_field(o, "model");
  if (!v)
    refuse("model", "model is missing; /v1/models lists those served, such as virga/split");
  auto name = text_of(*v, "model");
  auto how = strategy_of(name);
  if (!how)
    throw refused{{404, "there is no model " + std::string(name.substr(0, 100)), "model", "model_not_found", 0}};
  return *how;
}

// -- prompts -----------------------------------------------------------------------------------------------------------

std::string read_part(const json::value& v, const std::string& where) {
  auto o = v.if_object();
  if (!o)
    refuse(where, where + " must be an object such as {\"type\": \"text\", \"text\": \"...\"}");
  auto type = find_field(*o, "type");
  if (!type || text_of(*type, where + ".type") != "text")
    refuse(where + ".type", where + ".type must be \"text\": other parts are not supported yet");
  auto text = find_field(*o, "text");
  if (!text)
    refuse(where + ".text", where + ".text is missing");
  return std::string(text_of(*text, where + ".text"));
}

std::string read_content(const json::object& message, const std::string& where) {
  auto v = find_field(message, "content");
  if (!v)
    refuse(where, where + " is missing");
  auto parts = v->if_array();
  if (!parts)
    return std::string(text_of(*v, where));
  std::string content;
  for (std::size_t i = 0; i < parts->size(); ++i)
    content += read_part((*parts)[i], where + "[" + std::to_string(i) + "]");
  return content;
}

chat_message read_message(const json::value& v, const std::string& where) {
  auto o = v.if_object();
  if (!o)
    refuse(where, where + " must be an object such as {\"role\": \"user\", \"content\": \"...\"}");
  chat_message m;
  if (auto role = find_field(*o, "role"))
    m.role = text_of(*role, where + ".role");
  if (m.role == "developer")  // OpenAI's newer name
    m.role = "system";
  if (m.role != "system" && m.role != "user" && m.role != "assistant")
    refuse(where + ".role", where + ".role must be system, developer, user or assistant");
  m.content = read_content(*o, where + ".content");
  return m;
}

std::vector<chat_message> read_messages(const json::object& o) {
  auto v = find_field(o, "messages");
  auto list = v ? v->if_array() : nullptr;
  if (!list || list->empty() || list->size() > limits::chat_messages)
    refuse("messages", "messages must be an array of 1 to " + std::to_string(limits::chat_messages) + " messages");
  std::vector<chat_message> messages;
  for (std::size_t i = 0; i < list->size(); ++i)
    messages.push_back(read_message((*list)[i], "messages[" + std::to_string(i) + "]"));
  return messages;
}

std::string read_raw_prompt(const json::object& o) {
  auto v = find_field(o, "prompt");
  if (!v)
    refuse("prompt", "prompt is missing");
  auto list = v->if_array();
  if (list && (list->size() != 1 || !(*list)[0].is_string()))
    refuse("prompt", "prompt must be one string, or an array of one string");
  return std::string(text_of(list ? (*list)[0] : *v, "prompt"));
}

void check_prompt(const api_request& r) {
  auto field = r.chat ? "messages" : "prompt";
  auto bytes = r.prompt.size();
  for (auto& m : r.messages)
    bytes += m.role.size() + m.content.size();
  if (!r.chat && bytes == 0)
    refuse(field, "the prompt is empty");
  if (bytes > limits::prompt_bytes)
    refuse(field, "the prompt has " + std::to_string(bytes) + " bytes; at most " + std::to_string(limits::prompt_bytes)
                    + " are taken");
}

// -- the rest ----------------------------------------------------------------------------------------------------------

std::uint32_t read_max_tokens(const json::object& o, bool chat) {
  auto most = gateway_defaults::max_tokens;
  auto older = read_uint(o, "max_tokens", 1, most);
  auto newer = chat ? read_uint(o, "max_completion_tokens", 1, most) : std::nullopt;
  auto n = newer ? newer : older;
  return static_cast<std::uint32_t>(n.value_or(gateway_defaults::max_tokens_if_unset));
}

bool read_include_usage(const json::object& o, bool stream) {
  auto v = find_field(o, "stream_options");
  if (!v)
    return false;
  if (!v->is_object())
    refuse("stream_options", "stream_options must be an object");
  if (!stream)
    refuse("stream_options", "stream_options may only be given where stream is true");
  return read_bool(v->get_object(), "include_usage").value_or(false);
}

std::optional<std::uint32_t> read_deadline(const json::object& o) {
  auto v = find_field(o, "virga");
  if (!v)
    return std::nullopt;
  if (!v->is_object())
    refuse("virga", "virga must be an object");
  for (auto& [key, value] : v->get_object())
    if (key != "deadline_ms")
      refuse("virga." + std::string(key), "virga." + std::string(key) + " is unknown; virga.deadline_ms is known");
  auto ms = read_uint(v->get_object(), "deadline_ms", 1, std::uint64_t(1) << 53);
  if (!ms)
    return std::nullopt;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(*ms, limits::deadline_ms));
}

api_request read_request(std::string_view body, bool chat) {
  auto o = parse_body(body);
  api_request r;
  r.chat = chat;
  r.how = read_model(o);
  refuse_unsupported(o);
  if (chat)
    r.messages = read_messages(o);
  else
    r.prompt = read_raw_prompt(o);
  check_prompt(r);
  r.max_tokens = read_max_tokens(o, chat);
  r.choices = static_cast<std::uint32_t>(read_uint(o, "n", 1, gateway_defaults::choices).value_or(1));
  r.choose = read_sampling(o, chat);
  r.stop = read_stop(o);
  r.seed = read_uint(o, "seed", 0, INT64_MAX);
  r.stream = read_bool(o, "stream").value_or(false);
  r.include_usage = read_include_usage(o, r.stream);
  r.deadline_ms = read_deadline(o);
  return r;
}

std::variant<api_request, api_error> parse(std::string_view body, bool chat) {
  try {
    return read_request(body, chat);
  } catch (refused& r) {
    return std::move(r.error);
  }
}

} // namespace

std::variant<api_request, api_error> parse_chat(std::string_view body) { return parse(body, true); }
std::variant<api_request, api_error> parse_completion(std::string_view body) { return parse(body, false); }

std::optional<strategy> strategy_of(std::string_view model) {
  if (model.starts_with(model_prefix))
    model.remove_prefix(model_prefix.size());
  for (std::uint8_t i = 0; i < strategy_count; ++i)
    if (to_string(static_cast<strategy>(i)) == model)
      return static_cast<strategy>(i);
  return std::nullopt;
}

std::string model_name(strategy s) { return std::string(model_prefix) + std::string(to_string(s)); }

std::optional<std::uint32_t> parse_deadline_ms(std::string_view text) {
  std::uint64_t ms = 0;
  auto end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, ms);
  if (read.ec != std::errc{} || read.ptr != end || ms == 0)
    return std::nullopt;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(ms, limits::deadline_ms));
}

} // namespace virga
