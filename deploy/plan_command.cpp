#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/http_client.hpp"
#include "deploy/pace_meter.hpp"
#include "deploy/plan.hpp"
#include "deploy/table.hpp"
#include "models/memory.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <iostream>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct options {
  std::string manifest, prompt = "describe taylor bennett : town job pet ?";
  bool measure = false, as_json = false;
};

// -- what each node holds ----------------------------------------------------------------------------------------------

json::array node_rows(const manifest& m, model_parts& parts) {
  json::array rows;
  for (const auto& n : m.nodes)
    for (const auto& e : n.engines) {
      problems found;
      const auto part = parts.of(e, found);
      if (!part)
        continue;
      models::shard_options o;
      o.compute = part->compute;
      o.stages = part->stages;
      o.kv_bytes = e.kv_mb * 1024 * 1024;
      const auto need = models::need_of(*part->folder, o, engine_config{}.batch_rows);
      rows.push_back({{"node", n.name.value}, {"engine", e.name.value}, {"holds", part->text()},
                      {"weights_bytes", need.weights}, {"kv_bytes", need.kv}, {"step_bytes", need.step}, {"bytes", need.total()}});
    }
  return rows;
}

// -- what crosses links, and how long it takes -------------------------------------------------------------------------

struct seen {
  std::vector<double> ttft_ms, tbt_ms, prompt_tokens;
};

/// Of the edge's last requests, when it runs.
std::map<std::string, seen> requests_of(std::uint16_t api_port) {
  std::map<std::string, seen> all;
  http_request r;
  r.port = api_port;
  r.path = "/requests";
  const auto reply = http_call(r, std::chrono::seconds(2));
  if (reply.status != 200)
    return all;  // it asks for a key
  const auto recent = json::parse(reply.body);
  for (const auto& q : recent.at("recent").as_array()) {
    if (q.at("status").to_number<int>() != 200 || q.at("tokens").to_number<int>() < 2)
      continue;
    auto& s = all[q.at("strategy").as_string().c_str()];
    s.ttft_ms.push_back(q.at("ttft_ms").to_number<double>());
    s.tbt_ms.push_back(q.at("tbt_ms").to_number<double>());
    s.prompt_tokens.push_back(q.at("prompt_tokens").to_number<double>());
  }
  return all;
}

json::object strategy_row(const asked_edge& e, strategy how, const std::optional<paces>& all) {
  const auto& size = e.sizes.at(how);
  const auto bytes = crossing_of(how, size);
  json::object row{{"edge", e.node->name.value},     {"strategy", to_string(how)},     {"prompt_tokens", size.prompt_tokens},
                   {"prompt_up", bytes.prompt_up},   {"prompt_down", bytes.prompt_down}, {"token_up", bytes.token_up},
                   {"token_down", bytes.token_down}, {"round_trips_per_token", bytes.waits ? 1 : 0}};
  if (all && all->contains(e.node->name.value) && all->at(e.node->name.value).contains(how)) {
    const auto f = forecast_of(how, all->at(e.node->name.value).at(how), bytes, e.link ? quality_of(*e.link) : link_quality{},
                               size);
    row["ttft_ms"] = f.ttft_ms;
    row["tbt_ms"] = f.tbt_ms;
  }
  return row;
}

/// Beside it what the last requests took, each forecast for a prompt of their median length.
void add_measured(json::object& row, const asked_edge& e, strategy how, const std::optional<paces>& all, const seen& s) {
  row["requests"] = s.ttft_ms.size();
  row["measured_ttft_ms"] = median(s.ttft_ms);
  row["measured_tbt_ms"] = median(s.tbt_ms);
  if (!row.contains("ttft_ms"))
    return;
  auto size = e.sizes.at(how);
  size.prompt_tokens = static_cast<std::uint32_t>(median(s.prompt_tokens));
  const auto f = forecast_of(how, all->at(e.node->name.value).at(how), crossing_of(how, size),
                             e.link ? quality_of(*e.link) : link_quality{}, size);
  row["measured_prompt_tokens"] = size.prompt_tokens;
  row["forecast_for_them_ttft_ms"] = f.ttft_ms;
}

json::array strategy_rows(const manifest& m, const std::vector<asked_edge>& edges, const std::optional<paces>& all) {
  json::array rows;
  const auto running = look_at(m, run_dir_of(m.deployment), std::chrono::seconds(2));
  for (const auto& e : edges) {
    const auto at = std::ranges::find(running, e.node, &node_view::entry);
    const auto measured = at == running.end() || at->api_port == 0 ? std::map<std::string, seen>{} : requests_of(at->api_port);
    for (const auto& [how, size] : e.sizes) {
      auto row = strategy_row(e, how, all);
      if (auto s = measured.find(std::string(to_string(how))); s != measured.end())
        add_measured(row, e, how, all, s->second);
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

// -- for people --------------------------------------------------------------------------------------------------------

std::string cell(const json::object& row, const char* key, int digits = 1) {
  const auto* v = row.if_contains(key);
  return v ? fixed(v->to_number<double>(), digits) : "-";
}

void print_nodes(const json::array& rows) {
  std::vector<std::vector<std::string>> table{{"node", "engine", "holds", "weights", "KV at most", "a step", "together"}};
  auto bytes = [](const json::value& v) { return models::bytes_text(v.to_number<std::uint64_t>()); };
  for (const auto& r : rows)
    table.push_back({r.at("node").as_string().c_str(), r.at("engine").as_string().c_str(), r.at("holds").as_string().c_str(),
                     bytes(r.at("weights_bytes")), bytes(r.at("kv_bytes")), bytes(r.at("step_bytes")), bytes(r.at("bytes"))});
  print_table(std::cout, table);
}

void print_links(const manifest& m) {
  for (const auto& l : m.links) {
    const auto q = quality_of(l);
    auto rate = [](double mbit) { return mbit == 0 ? std::string("any rate") : fixed(mbit, 1) + " Mbit/s"; };
    std::cout << "link " << l.from.value << " - " << l.to.value << " adds " << fixed(q.rtt_ms, 1) << " ms of round trip"
              << (q.jitter_ms == 0 ? "" : " and up to " + fixed(q.jitter_ms, 1) + " ms of jitter each way") << "; " << rate(q.up_mbit)
              << " up, " << rate(q.down_mbit) << " down\n";
  }
}

void print_strategies(const json::array& rows) {
  std::vector<std::vector<std::string>> table{{"edge", "strategy", "prompt", "bytes up", "down", "token: up", "down", "round trips",
                                               "TTFT ms", "TBT ms", "measured: requests", "TTFT ms (forecast)", "TBT ms"}};
  for (const auto& v : rows) {
    const auto& r = v.as_object();
    auto measured = cell(r, "measured_ttft_ms");
    if (r.contains("forecast_for_them_ttft_ms"))
      measured += " (" + cell(r, "forecast_for_them_ttft_ms") + ")";
    table.push_back({r.at("edge").as_string().c_str(), r.at("strategy").as_string().c_str(), cell(r, "prompt_tokens", 0), cell(r, "prompt_up", 0),
                     cell(r, "prompt_down", 0), cell(r, "token_up", 0), cell(r, "token_down", 0), cell(r, "round_trips_per_token", 0),
                     cell(r, "ttft_ms"), cell(r, "tbt_ms", 2), cell(r, "requests", 0), measured, cell(r, "measured_tbt_ms", 2)});
  }
  print_table(std::cout, table);
}

void print(const manifest& m, const json::object& plan, bool has_paces) {
  print_nodes(plan.at("nodes").as_array());
  std::cout << "\n";
  print_links(m);
  std::cout << "\n";
  print_strategies(plan.at("strategies").as_array());
  if (!has_paces)
    std::cout << "\nTimes need constants of this machine: `virga plan " << m.file.string() << " --measure` starts the nodes for half a "
              << "minute, with links that add nothing, and keeps them.\n";
}

// ----------------------------------------------------------------------------------------------------------------------

paces measure_here(const manifest& m, model_parts& parts, const options& o) {
  auto say = [&](const std::string& line) { std::cerr << "[plan] " << line << std::endl; };
  const auto bare = with_bare_links(m, log_dir(m.deployment) / "plan.yaml");
  const launched deployment(bare, say);
  return measure_paces(running_edges(bare, deployment.dir, parts, o.prompt), o.prompt, say);
}

void plan(const options& o) {
  const auto m = load_checked(o.manifest);
  model_parts parts;
  if (o.measure)
    save_paces(m, parts, measure_here(m, parts, o));
  const auto all = load_paces(m, parts);
  const auto edges = edges_of(m, parts, o.prompt);
  const json::object result{{"nodes", node_rows(m, parts)}, {"strategies", strategy_rows(m, edges, all)}};
  o.as_json ? void(std::cout << json::serialize(result) << "\n") : print(m, result, all.has_value());
}

} // namespace

void add_plan_command(CLI::App& app) {
  auto* command = app.add_subcommand("plan", "What would run and how fast: bytes per node, what crosses each link, TTFT and TBT");
  auto o = std::make_shared<options>();
  command->add_option("manifest", o->manifest, "The manifest")->required();
  command->add_option("--prompt", o->prompt, "Of the request that is planned")->capture_default_str();
  command->add_flag("--measure", o->measure, "Start the nodes for a while and measure the constants of this machine");
  command->add_flag("--json", o->as_json, "For programs");
  command->callback([o] { plan(*o); });
}

} // namespace virga::deploy
