#include "deploy/manifest.hpp"

#include "deploy/failures.hpp"
#include "deploy/manifest_role.hpp"
#include "models/make_shard.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace virga::deploy {
namespace {

constexpr std::size_t max_file_bytes = 1024 * 1024;  // more is no manifest; refused before it is parsed
constexpr std::size_t max_values = 20'000;           // keys and values; the demo has about 100
constexpr std::size_t max_nodes = 256;
constexpr std::size_t max_entries = 64;              // engines or roles of one node

using std::chrono::milliseconds;

std::string describe(const std::filesystem::path& file, problems& found) {
  std::stable_sort(found.begin(), found.end(), [](const problem& a, const problem& b) {
    return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
  });
  std::string all;
  for (const auto& p : found)
    all += (all.empty() ? "" : "\n") + file.string() + ":" + std::to_string(p.at.line) + ":"
           + std::to_string(p.at.column) + ": " + p.text;
  return all;
}

/// Reads the sections of one manifest; every function reads one mapping.
struct reader {
  manifest& m;
  problems& found;

  void path(marked<std::string>& p) const {
    if (p)
      p.value = (m.base / p.value).lexically_normal().string();
  }

  void use_device(engine_entry& e, const marked<std::string>& device) const {
    e.device = device.value;
    if (auto wrong = models::device_complaint(e.device); !wrong.empty())
      found.push_back({device.at, wrong});
    else if (e.device != "cpu" && e.reference)
      found.push_back({device.at, "`shard: reference` computes on the processor: leave `device: " + e.device + "` out, or take `shard: torch`"});
    else if (e.device != "cpu" && (e.compute == dtype::int8 || e.compute == dtype::int4))
      found.push_back({device.at, "a GPU computes in bf16, f32 or f64: take `dtype: bf16` in the place of " + std::string(to_string(*e.compute))
                                    + ", or leave `device: " + e.device + "` out"});
  }

  engine_entry engine(const YAML::Node& yaml) const {
    yaml_map y(yaml, "engine", found);
    engine_entry e;
    e.name = y.name("name");
    e.model = y.marked_text("model");
    path(e.model);
    e.stages = y.marked_text("stages", false);
    e.adapter = y.marked_text("adapter", false);
    path(e.adapter);
    constexpr std::array dtypes{dtype::f64, dtype::f32, dtype::bf16, dtype::int8, dtype::int4};
    if (auto i = y.choice("dtype", dtypes.size(), {"f64", "f32", "bf16", "int8", "int4"}); i < dtypes.size())
      e.compute = dtypes[i];
    e.compute_at = y.at("dtype");
    e.reference = y.choice("shard", 0, {"torch", "reference"}) == 1;
    if (e.reference && e.compute && e.compute != dtype::f64 && e.compute != dtype::f32)
      found.push_back({y.at(), "`shard: reference` computes in f64 and f32 only: leave `dtype: " + std::string(to_string(*e.compute))
                                 + "` out, or take `shard: torch`"});
    constexpr std::array kinds{dtype::f32, dtype::bf16, dtype::i8_rows};
    if (auto kind = y.choice("kv_dtype", kinds.size(), {"f32", "bf16", "int8"}); kind < kinds.size())
      e.kv = kinds[kind];
    if (e.kv && (e.compute == dtype::f64 || e.reference) && *e.kv != e.compute.value_or(dtype::f32))
      found.push_back(
        {y.at("kv_dtype"),
         "`kv_dtype` is for `shard: torch` and rows in f32: leave it out beside `dtype: f64` and `shard: reference`"});
    if (auto device = y.marked_text("device", false))
      use_device(e, device);
    e.kv_mb = y.whole("kv_mb", 256, {1, 1 << 20});
    e.prefix_cache = y.choice("prefix_cache", 0, {"shared", "none"}) == 0;
    y.finish();
    return e;
  }

  listen_entry listen(yaml_map y) const {
    listen_entry l{"127.0.0.1", static_cast<std::uint16_t>(y.whole("port", std::nullopt, {1, 65535})), y.at()};
    if (auto host = y.marked_text("host", false))
      l.host = host.value;
    y.finish();
    return l;
  }

  gateway_entry gateway(yaml_map y) const {
    gateway_entry g;
    g.at = y.at();
    auto host = y.marked_text("host", false);
    g.host = host ? host.value : "127.0.0.1";
    g.port = static_cast<std::uint16_t>(y.whole("port", 0, {0, 65535}));
    g.api_keys_file = y.marked_text("api_keys_file", false);
    path(g.api_keys_file);
    y.finish();
    return g;
  }

  node_entry node(const YAML::Node& yaml) const {
    auto before = found.size();
    yaml_map y(yaml, "node", found);
    node_entry n;
    n.name = y.name("name");
    n.site = y.has("site") ? y.name("site") : n.name;
    y.marked_text("site", false);
    auto machine = y.marked_text("machine", false);
    n.machine = machine ? machine.value : "local";
    n.kind = y.choice("kind", std::nullopt, {"cloud", "edge"}) == 0 ? node_kind::cloud : node_kind::edge;
    n.threads = y.whole("threads", 1, {1, 256});
    if (auto l = y.map("listen", "listen"))
      n.listen = listen(*l);
    if (auto l = y.map("site_listen", "site_listen"))
      n.site_listen = listen(*l);
    if (auto g = y.map("gateway", "gateway"))
      n.gateway = gateway(*g);
    y.list("engines", false, max_entries, [&](const YAML::Node& e) { n.engines.push_back(engine(e)); });
    y.list("roles", true, max_entries, [&](const YAML::Node& r) { n.roles.push_back(read_role(r, n.kind, found)); });
    y.finish();
    n.sound = found.size() == before;
    return n;
  }

  link_entry link(const YAML::Node& yaml) const {
    yaml_map y(yaml, "link", found);
    link_entry l;
    l.at = y.at();
    l.from = y.name("from");
    l.to = y.name("to");
    auto& s = l.settings;
    s.host = y.marked_text("host", false).value;
    auto rtt = y.number("rtt_ms", 0, {0, 10'000}), jitter = y.number("jitter_ms", 0, {0, 10'000});
    auto up = y.number("up_mbit", 0, {0, 100'000}), down = y.number("down_mbit", 0, {0, 100'000});
    s.shape = shape_of(rtt, jitter, up, down);
    s.shaped = y.choice("shaper", 0, {"auto", "on"}) == 1;
    s.heartbeat = milliseconds(y.whole("heartbeat_ms", 500, {10, 60'000}));
    s.dead_after = milliseconds(y.whole("dead_after_ms", 2500, {20, 600'000}));
    s.backoff_min = milliseconds(y.whole("backoff_min_ms", 100, {1, 60'000}));
    s.backoff_max = milliseconds(y.whole("backoff_max_ms", 1000, {1, 600'000}));
    if (s.dead_after < 2 * s.heartbeat)
      y.fail(y.at("dead_after_ms"), "`dead_after_ms` is " + std::to_string(s.dead_after.count() / 1'000'000)
               + " and `heartbeat_ms` is " + std::to_string(s.heartbeat.count() / 1'000'000)
               + ": wait for at least two heartbeats");
    if (s.backoff_max < s.backoff_min)
      y.fail(y.at("backoff_max_ms"), "`backoff_max_ms` is less than `backoff_min_ms`: exchange them");
    y.finish();
    return l;
  }

  void supervise(yaml_map y) const {
    m.restarts.max_restarts = static_cast<std::uint32_t>(y.whole("max_restarts", 3, {0, 1000}));
    m.restarts.within = std::chrono::seconds(y.whole("within_s", 30, {1, 86'400}));
    m.drain_s = y.whole("drain_s", 10, {0, 3600});
    y.finish();
  }

  void limits(yaml_map y) const {
    m.limits.max_sessions = y.whole("max_sessions", 256, {1, 100'000});
    m.limits.max_requests = y.whole("max_requests", 64, {1, 10'000});
    m.limits.deadline_s = y.whole("deadline_s", 60, {1, 3600});
    m.limits.patience_ms = y.whole("patience_ms", 1500, {0, 600'000});
    y.finish();
  }

  void security(std::optional<yaml_map> y) const {
    m.certs.value = "auto";
    if (!y)
      return;
    m.certs = y->marked_text("certs");
    if (m.certs.value != "auto")
      path(m.certs);
    y->finish();
  }

  void all(const YAML::Node& yaml) const {
    yaml_map y(yaml, "the manifest", found);
    y.whole("virga", std::nullopt, {1, 1});
    m.deployment = y.name("deployment").value;
    security(y.map("security", "security"));
    if (auto s = y.map("supervision", "supervision"))
      supervise(*s);
    if (auto l = y.map("limits", "limits"))
      limits(*l);
    y.list("nodes", true, max_nodes, [&](const YAML::Node& n) { m.nodes.push_back(node(n)); });
    y.list("links", false, max_nodes, [&](const YAML::Node& l) { m.links.push_back(link(l)); });
    y.finish();
  }
};

std::string read_file(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error))
    throw bad_input(file.string() + " is no file: give a manifest, e.g. deploy/manifests/demo.yaml");
  std::ifstream in(file, std::ios::binary);
  std::string text(max_file_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (!in && !in.eof()))
    throw bad_input(file.string() + " cannot be read: check its permissions");
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_file_bytes)
    throw bad_input(file.string() + " is larger than 1 MiB, the most a manifest may have: is it the right file?");
  return text;
}

} // namespace

bad_manifest::bad_manifest(const std::filesystem::path& file, problems found)
  : std::runtime_error(describe(file, found)), count(found.size()) {}

const node_entry* manifest::find(const std::string& name) const {
  auto i = std::find_if(nodes.begin(), nodes.end(), [&](const node_entry& n) { return n.name.value == name; });
  return i == nodes.end() ? nullptr : &*i;
}

std::vector<std::string> manifest::dials(const node_entry& node) const {
  std::vector<std::string> all;
  for (const auto& r : node.roles)
    for (const auto& n : r.nodes)
      if (std::find(all.begin(), all.end(), n.value) == all.end())
        all.push_back(n.value);
  return all;
}

std::vector<std::string> manifest::dialed_by(const node_entry& node) const {
  std::vector<std::string> all;
  for (const auto& n : nodes) {
    auto there = dials(n);
    if (std::find(there.begin(), there.end(), node.name.value) != there.end())
      all.push_back(n.name.value);
  }
  return all;
}

const role_entry* own_role(const node_entry& node, role kind) {
  auto i = std::find_if(node.roles.begin(), node.roles.end(),
                        [&](const role_entry& r) { return r.kind == kind && r.nodes.empty(); });
  return i == node.roles.end() ? nullptr : &*i;
}

manifest load_manifest(const std::filesystem::path& file, const std::filesystem::path& base) {
  manifest m;
  m.text = read_file(file);
  m.file = std::filesystem::absolute(file).lexically_normal();
  m.base = base.empty() ? m.file.parent_path() : std::filesystem::absolute(base).lexically_normal();
  problems found;
  if (auto yaml = parse_yaml(m.text, max_values, found)) {
    reader{m, found}.all(*yaml);
    check_manifest(m, found);
  }
  if (!found.empty())
    throw bad_manifest(file, std::move(found));
  return m;
}

} // namespace virga::deploy
