#include "actors/gateway/status_json.hpp"

#include "actors/gateway/json_text.hpp"

#include <boost/json.hpp>

namespace virga {

namespace json = boost::json;

namespace {

json::array strategies_array(const node_status& s) {
  json::array a;
  for (auto how : s.strategies)
    a.push_back(json::value(to_string(how)));
  return a;
}

json::array roles_array(const std::vector<role_report>& roles) {
  json::array a;
  for (auto& r : roles) {
    json::object role{{"name", to_utf8(r.name)},
                      {"running", r.running},
                      {"incarnation", r.incarnation},
                      {"restarts", r.restarts}};
    if (r.mailbox_us)
      role["mailbox_us"] = *r.mailbox_us;
    a.push_back(std::move(role));
  }
  return a;
}

json::object link_object(const link_counts& c) {
  return {{"connections", c.connections},
          {"refusals", c.refusals},
          {"broken_streams", c.broken_streams},
          {"duplicates", c.duplicates},
          {"out_of_order", c.out_of_order},
          {"stale_incarnations", c.stale_incarnations},
          {"stale_epochs", c.stale_epochs},
          {"foreign_sessions", c.foreign_sessions},
          {"refused_frames", c.refused_frames},
          {"late_answers", c.late_answers},
          {"lost_answers", c.lost_answers},
          {"bytes_out", c.bytes_out},
          {"bytes_in", c.bytes_in},
          {"queued_bytes", c.queued_bytes},
          {"under_way_bytes", c.under_way_bytes},
          {"window_bytes", c.window_bytes}};
}

json::object peer_object(const peer_state& p) {
  json::array roles;
  for (auto& r : p.roles)
    roles.push_back({{"role", to_string(r.kind)}, {"incarnation", r.incarnation}});
  return {{"site", to_utf8(p.site)},
          {"node", to_utf8(p.node)},
          {"up", p.up},
          {"reason", to_utf8(p.reason)},
          {"roles", std::move(roles)},
          {"bytes_up", p.quality.bytes_up},
          {"bytes_down", p.quality.bytes_down},
          {"rtt_ms", static_cast<double>(p.quality.rtt_us) / 1000},
          {"up_bytes_per_s", p.quality.up_bytes_per_s},
          {"down_bytes_per_s", p.quality.down_bytes_per_s},
          {"link", link_object(p.counts)}};
}

json::object engine_object(const engine_stats& e) {
  return {{"name", to_utf8(e.name)},
          {"steps", e.steps},     {"rows", e.rows},         {"sequences", e.sequences},
          {"waiting", e.waiting}, {"kv_bytes", e.kv_bytes}, {"kv_bytes_limit", e.kv_bytes_limit},
          {"prefix_cache",
           {{"bytes", e.prefixes.bytes},
            {"texts", e.prefixes.texts},
            {"asked_tokens", e.prefixes.asked_tokens},
            {"saved_tokens", e.prefixes.saved_tokens},
            {"hits", e.prefixes.hits},
            {"evictions", e.prefixes.evictions}}}};
}

json::object supervision_object(const supervision_report& s) {
  return {{"max_restarts", s.max_restarts}, {"within_s", s.within_s}, {"drain_s", s.drain_s}};
}

json::object counts_object(const gateway_counts& c) {
  return {{"answering", c.answering},
          {"answering_limit", c.answering_limit},
          {"requests", c.requests},
          {"tokens", c.tokens},
          {"refused_full", c.refused_full},
          {"gone", c.gone},
          {"late_answers", c.late_answers}};
}

json::object recent_object(const recent_request& r) {
  json::array places;
  for (auto& p : r.end.places)
    places.push_back({{"node", to_utf8(p.node)}, {"stages", to_utf8(p.stages)}});
  return {{"request_id", r.request_id},
          {"strategy", to_string(r.how)},
          {"ended", r.ended},
          {"status", r.end.status},
          {"result", r.end.result},
          {"prompt_tokens", r.end.prompt_tokens},
          {"tokens", r.end.tokens},
          {"total_ms", r.end.total_ms},
          {"ttft_ms", r.end.ttft_ms},
          {"tbt_ms", r.end.tbt_ms},
          {"compute_ms", r.end.compute_ms},
          {"link_ms", r.end.link_ms},
          {"queue_ms", r.end.queue_ms},
          {"attempts", r.end.retries + 1},
          {"places", std::move(places)}};
}

} // namespace

namespace {

std::optional<std::string> why_missing(const peer_state& p) {
  if (!p.up)
    return p.node + " (site " + p.site + ") cannot be reached" + (p.reason.empty() ? "" : ": " + p.reason);
  for (auto& r : p.roles)
    if (r.incarnation == 0)
      return "the " + std::string(to_string(r.kind)) + " of " + p.node + " is not running";
  return std::nullopt;
}

} // namespace

std::string status_json(const node_status& s, const gateway_counts& counts) {
  json::array peers, neighbours, engines;
  for (auto& p : s.peers)
    peers.push_back(peer_object(p));
  for (auto& n : s.neighbours)
    neighbours.push_back(peer_object(n));
  for (auto& e : s.engines)
    engines.push_back(engine_object(e));
  return json_text(json::object{{"name", to_utf8(s.name)},
                                {"site", to_utf8(s.site)},
                                {"kind", to_utf8(s.kind)},
                                {"ready", s.ready},
                                {"draining", s.draining},
                                {"reason", to_utf8(s.reason)},
                                {"strategies", strategies_array(s)},
                                {"supervision", supervision_object(s.supervision)},
                                {"roles", roles_array(s.roles)},
                                {"peers", std::move(peers)},
                                {"neighbours", std::move(neighbours)},
                                {"engines", std::move(engines)},
                                {"gateway", counts_object(counts)}});
}

std::string requests_json(const std::deque<recent_request>& recent) {
  json::array list;
  for (auto& r : recent)
    list.push_back(recent_object(r));
  return json_text(json::object{{"recent", std::move(list)}});
}

std::string ready_json(const node_status& s) {
  return json_text(json::object{
    {"ready", s.ready}, {"reason", to_utf8(s.reason)}, {"strategies", strategies_array(s)}});
}

std::optional<std::string> why_missing(const node_status& s) {
  if (s.draining)
    return "this node is shutting down";
  for (auto& p : s.peers)
    if (auto why = why_missing(p))
      return why;
  for (auto& n : s.neighbours)
    if (auto why = why_missing(n))
      return why;
  for (auto& r : s.roles)
    if (!r.running)
      return "the " + r.name + " of this node is not running";
  if (!s.ready)
    return s.reason.empty() ? "this node is not ready" : s.reason;
  return std::nullopt;
}

} // namespace virga
