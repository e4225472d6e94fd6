#include "actors/gateway/request_fields.hpp"

#include "actors/gateway/json_text.hpp"

#include <boost/json.hpp>

#include <array>

namespace virga {

namespace json = boost::json;

namespace {

/// A value as it may stand in a message.
std::string shown(const json::value& v) {
  auto text = json_text(v);
  return text.size() <= 60 ? text : text.substr(0, 60) + "...";
}

std::string range_text(double low, double high) { return json_text(low) + " to " + json_text(high); }

bool is_number(const json::value& v, double wanted) { return v.is_number() && v.to_number<double>() == wanted; }

bool is_empty(const json::value& v) {
  return (v.is_array() && v.get_array().empty()) || (v.is_object() && v.get_object().empty())
         || (v.is_string() && v.get_string().empty());
}

bool is_false(const json::value& v) { return v.is_bool() && !v.get_bool(); }

/// {"type": "text"}
bool is_text_format(const json::value& v) {
  auto o = v.if_object();
  auto type = o ? o->if_contains("type") : nullptr;
  return type && *type == "text";
}

bool is_text_list(const json::value& v) { return v == json::array{"text"}; }

bool is_no_choice(const json::value& v) { return v == "none" || v == "auto"; }

bool never(const json::value&) { return false; }

/// A field and what may stand in it because it asks for nothing.
struct unsupported_field {
  std::string_view name;
  bool (*harmless)(const json::value&);
};

constexpr std::array unsupported_fields{
  unsupported_field{"best_of", [](const json::value& v) { return is_number(v, 1); }},
  unsupported_field{"echo", is_false},
  unsupported_field{"suffix", is_empty},
  unsupported_field{"tools", is_empty},
  unsupported_field{"tool_choice", is_no_choice},
  unsupported_field{"functions", is_empty},
  unsupported_field{"function_call", is_no_choice},
  unsupported_field{"response_format", is_text_format},
  unsupported_field{"modalities", is_text_list},
  unsupported_field{"audio", never},
  unsupported_field{"prediction", never},
  unsupported_field{"web_search_options", never},
};

} // namespace

void refuse(std::string_view field, std::string message) {
  throw refused{bad_field(std::string(field), std::move(message))};
}

const json::value* find_field(const json::object& o, std::string_view field) {
  auto v = o.if_contains(field);
  return v && !v->is_null() ? v : nullptr;
}

std::optional<bool> read_bool(const json::object& o, std::string_view field) {
  auto v = find_field(o, field);
  if (!v)
    return std::nullopt;
  if (!v->is_bool())
    refuse(field, std::string(field) + " must be true or false, not " + shown(*v));
  return v->get_bool();
}

std::optional<std::uint64_t> read_uint(const json::object& o, std::string_view field, std::uint64_t low,
                                       std::uint64_t high) {
  auto v = find_field(o, field);
  if (!v)
    return std::nullopt;
  std::optional<std::uint64_t> n;
  if (auto i = v->if_int64(); i && *i >= 0)
    n = static_cast<std::uint64_t>(*i);
  else if (auto u = v->if_uint64())
    n = *u;
  if (!n || *n < low || *n > high)
    refuse(field, std::string(field) + " must be a whole number from " + std::to_string(low) + " to "
                    + std::to_string(high) + ", not " + shown(*v));
  return n;
}

std::optional<double> read_double(const json::object& o, std::string_view field, double low, double high) {
  auto v = find_field(o, field);
  if (!v)
    return std::nullopt;
  auto fits = v->is_number() && v->to_number<double>() >= low && v->to_number<double>() <= high;
  if (!fits)
    refuse(field, std::string(field) + " must be a number from " + range_text(low, high) + ", not " + shown(*v));
  return v->to_number<double>();
}

void refuse_unsupported(const json::object& o) {
  for (auto& field : unsupported_fields) {
    auto v = find_field(o, field.name);
    if (v && !field.harmless(*v)) {
      api_error e = bad_field(std::string(field.name), std::string(field.name) + " is not supported yet; leave it out");
      e.code = to_string(ec::unsupported);
      throw refused{std::move(e)};
    }
  }
}

} // namespace virga
