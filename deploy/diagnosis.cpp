#include "deploy/diagnosis.hpp"

#include "deploy/table.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <map>

namespace virga::deploy {

namespace {

namespace json = boost::json;

// From here on something is worth a sentence.
constexpr double slow_mailbox_us = 50'000;
constexpr double full_kv = 0.9;

std::string text(const json::value& v) { return v.as_string().c_str(); }
double number(const json::value& v) { return v.to_number<double>(); }
std::string whole(double x) { return fixed(x, 0); }

/// The link that a strategy's requests cross; nothing when the node has none.
const json::object* link_of(const json::value& status) {
  const auto& peers = status.at("peers").as_array();
  return peers.empty() ? nullptr : &peers.front().as_object();
}

std::string about_link(const json::value& status, const strategy_diagnosis& d) {
  const auto* link = link_of(status);
  if (!link)
    return "";
  std::string s = "the link to " + text(link->at("node")) + " has a round trip of " + fixed(number(link->at("rtt_ms")), 1) + " ms";
  for (const char* way : {"up", "down"})
    if (const auto rate = number(link->at(std::string(way) + "_bytes_per_s")); rate > 0)
      s += ", " + fixed(rate * 8 / 1e6, 1) + " Mbit/s " + way;
  if (d.strategy == "split")
    s += ", and each token is a round trip: a nearer cloud helps, or `cloud` and `edge`, which need none";
  return s;
}

std::string advice_for(const json::value& status, const strategy_diagnosis& d) {
  if (d.slowest == "link")
    return about_link(status, d);
  if (d.slowest == "queue")
    return "requests wait for their turn in an engine: more replicas, more threads, or a smaller limits.max_requests";
  if (d.slowest == "compute")
    return "the engines compute: more threads, a smaller dtype, or another machine";
  return "neither link nor engine: short answers of a small model, or a busy machine";
}

void judge(const json::value& status, strategy_diagnosis& d) {
  d.rest_ms = std::max(0.0, d.total_ms - d.compute_ms - d.link_ms - d.queue_ms);
  const std::array<std::pair<double, const char*>, 4> parts{
    {{d.compute_ms, "compute"}, {d.link_ms, "link"}, {d.queue_ms, "queue"}, {d.rest_ms, "software"}}};
  d.slowest = std::ranges::max_element(parts)->second;
  d.advice = advice_for(status, d);
}

void add_strategies(const json::value& status, const json::value& recent, diagnosis& out) {
  std::map<std::string, strategy_diagnosis> all;
  for (const auto& r : recent.at("recent").as_array()) {
    if (number(r.at("status")) != 200)
      continue;
    auto& d = all[text(r.at("strategy"))];
    ++d.requests;
    d.total_ms += number(r.at("total_ms"));
    d.compute_ms += number(r.at("compute_ms"));
    d.link_ms += number(r.at("link_ms"));
    d.queue_ms += number(r.at("queue_ms"));
  }
  for (auto& [name, d] : all) {
    d.node = text(status.at("name"));
    d.strategy = name;
    for (auto* part : {&d.total_ms, &d.compute_ms, &d.link_ms, &d.queue_ms})
      *part /= static_cast<double>(d.requests);
    judge(status, d);
    out.strategies.push_back(d);
  }
}

void add_peers(const std::string& node, const json::array& peers, diagnosis& out) {
  for (const auto& p : peers) {
    if (!p.at("up").as_bool())
      out.findings.push_back(node + " is without " + text(p.at("node")) + ": " + text(p.at("reason")));
    else if (number(p.at("link").at("connections")) > 1)
      out.findings.push_back(node + " has connected to " + text(p.at("node")) + " " + whole(number(p.at("link").at("connections")))
                             + " times: the way there breaks");
  }
}

void add_engines(const std::string& node, const json::value& status, diagnosis& out) {
  for (const auto& e : status.at("engines").as_array()) {
    const auto limit = number(e.at("kv_bytes_limit"));
    if (limit > 0 && number(e.at("kv_bytes")) > full_kv * limit)
      out.findings.push_back("engine " + text(e.at("name")) + " of " + node + " has used " + whole(100 * number(e.at("kv_bytes")) / limit)
                             + " % of its KV cache: raise kv_mb, or send less at once");
    if (number(e.at("waiting")) > number(e.at("sequences")))
      out.findings.push_back("engine " + text(e.at("name")) + " of " + node + " has " + whole(number(e.at("waiting")))
                             + " calls waiting: it gets more than it can compute");
  }
}

void add_roles(const std::string& node, const json::value& status, diagnosis& out) {
  for (const auto& r : status.at("roles").as_array()) {
    if (const auto restarts = number(r.at("restarts")); restarts > 0)
      out.findings.push_back(text(r.at("name")) + " of " + node + " has crashed " + whole(restarts) + " times: `virga logs` says why");
    if (const auto* wait = r.as_object().if_contains("mailbox_us"); wait && number(*wait) > slow_mailbox_us)
      out.findings.push_back(text(r.at("name")) + " of " + node + " took " + whole(number(*wait) / 1000)
                             + " ms to read a message: its thread has too much to do");
  }
}

} // namespace

void examine(const json::value& status, const json::value& recent, diagnosis& out) {
  const auto node = text(status.at("name"));
  if (!status.at("ready").as_bool())
    out.findings.push_back(node + " is not ready: " + text(status.at("reason")));
  add_strategies(status, recent, out);
  add_peers(node, status.at("peers").as_array(), out);
  add_peers(node, status.at("neighbours").as_array(), out);
  add_engines(node, status, out);
  add_roles(node, status, out);
  if (const auto refused = number(status.at("gateway").at("refused_full")); refused > 0)
    out.findings.push_back(node + " has refused " + whole(refused) + " requests because it had " + whole(number(status.at("gateway").at("answering_limit")))
                           + " already (limits.max_requests)");
}

} // namespace virga::deploy
