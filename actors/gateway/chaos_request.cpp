#include "actors/gateway/chaos_request.hpp"

#include "actors/gateway/defaults.hpp"
#include "actors/gateway/json_text.hpp"
#include "actors/gateway/request_fields.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>

namespace virga {

namespace json = boost::json;

namespace {

constexpr double most_ms = 3'600'000;
constexpr double most_mbit = 100'000;

constexpr std::array<std::string_view, 6> link_fields{"peer", "up", "down", "stall_ms", "cut", "reset"};
constexpr std::array<std::string_view, 7> flow_fields{"latency_ms",  "jitter_ms",      "mbit",       "flips_per_mb",
                                                      "slice_bytes", "slice_delay_ms", "partitioned"};

template <class Fields>
void refuse_unknown(const json::object& o, const Fields& known) {
  for (auto& [key, value] : o)
    if (std::ranges::find(known, std::string_view(key)) == known.end()) {
      std::string list;
      for (auto k : known)
        list += (list.empty() ? "" : ", ") + std::string(k);
      refuse(key, std::string(key).substr(0, 40) + " is unknown; known are " + list);
    }
}

flow_change read_flow(const json::object& whole, std::string_view name) {
  flow_change c;
  auto v = find_field(whole, name);
  if (!v)
    return c;
  if (!v->is_object())
    refuse(name, std::string(name) + " must be an object");
  auto& o = v->get_object();
  refuse_unknown(o, flow_fields);
  c.latency_ms = read_double(o, "latency_ms", 0, most_ms);
  c.jitter_ms = read_double(o, "jitter_ms", 0, most_ms);
  c.mbit = read_double(o, "mbit", 0, most_mbit);
  c.flips_per_mb = read_double(o, "flips_per_mb", 0, 1e6);
  c.slice_delay_ms = read_double(o, "slice_delay_ms", 0, most_ms);
  if (auto n = read_uint(o, "slice_bytes", 0, UINT32_MAX))
    c.slice_bytes = static_cast<std::uint32_t>(*n);
  c.partitioned = read_bool(o, "partitioned");
  return c;
}

chaos_request read_chaos(std::string_view body) {
  json::parse_options options;
  options.max_depth = gateway_defaults::json_depth;
  json::error_code error;
  auto v = json::parse({body.data(), body.size()}, error, {}, options);
  if (error || !v.is_object())
    refuse("", "the body must be a JSON object");
  auto& o = v.get_object();
  refuse_unknown(o, link_fields);
  chaos_request r;
  auto peer = find_field(o, "peer");
  if (!peer || !peer->is_string())
    refuse("peer", "peer must name the node at the other end of the link");
  r.peer = std::string(peer->get_string());
  r.what = {read_flow(o, "up"), read_flow(o, "down")};
  r.what.stall_ms = read_double(o, "stall_ms", 0, most_ms).value_or(0);
  r.what.cut = read_bool(o, "cut").value_or(false);
  r.what.reset = read_bool(o, "reset").value_or(false);
  return r;
}

json::object flow_object(const flow_shape& f) {
  auto ms = [](std::chrono::nanoseconds t) { return std::chrono::duration<double, std::milli>(t).count(); };
  return {{"latency_ms", ms(f.latency)},
          {"jitter_ms", ms(f.jitter)},
          {"mbit", static_cast<double>(f.bytes_per_s) / 125'000},
          {"flips_per_mb", f.flips_per_mb},
          {"slice_bytes", f.slice_bytes},
          {"slice_delay_ms", ms(f.slice_delay)},
          {"partitioned", f.partitioned}};
}

} // namespace

std::variant<chaos_request, api_error> parse_chaos(std::string_view body) {
  try {
    return read_chaos(body);
  } catch (refused& r) {
    return std::move(r.error);
  }
}

std::string shape_json(const link_shape& s) {
  return json_text(json::object{{"up", flow_object(s.up)}, {"down", flow_object(s.down)}});
}

} // namespace virga
