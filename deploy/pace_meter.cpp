#include "deploy/pace_meter.hpp"

#include "deploy/ask.hpp"
#include "deploy/failures.hpp"
#include "deploy/http_client.hpp"
#include "models/chat_template.hpp"
#include "models/tokenizer.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <thread>

namespace virga::deploy {
namespace {

namespace json = boost::json;

constexpr std::uint32_t measured_requests = 15;  // of each kind; the median counts
constexpr std::chrono::milliseconds pause{100};  // before each
constexpr double forbidden = -100;               // logit bias: OpenAI's least, no token survives it

std::filesystem::path paces_file(const manifest& m) { return log_dir(m.deployment) / "paces.json"; }

const engine_entry* engine_of(const node_entry& n, const role_entry& r) {
  auto i = std::ranges::find(n.engines, r.engine.value, [](const engine_entry& e) { return e.name.value; });
  return i == n.engines.end() ? nullptr : &*i;
}

/// The engine behind a role of this node, its own or one on another node that does the role in its place.
const engine_entry* engine_behind(const manifest& m, const node_entry& n, role kind) {
  for (const auto& r : n.roles) {
    if (r.kind != kind)
      continue;
    const auto* at = r.nodes.empty() ? &n : m.find(r.nodes.front().value);
    const auto* own = at ? own_role(*at, kind) : nullptr;
    return own ? engine_of(*at, *own) : nullptr;
  }
  return nullptr;
}

/// As a session of this model counts it.
std::uint32_t prompt_tokens(const models::hf::model_folder& folder, const std::string& prompt) {
  const auto tok = models::load_tokenizer(folder.dir());
  const std::vector<chat_message> messages{{"user", prompt}};
  const auto chat = models::load_chat_template(folder.dir())->render(messages);
  return static_cast<std::uint32_t>(tok->encode(chat.text, {false, true, chat.user_text}).size());
}

void add_strategy(asked_edge& edge, strategy how, const engine_entry* e, model_parts& parts, const std::string& prompt) {
  problems found;
  const auto part = e ? parts.of(*e, found) : std::nullopt;
  if (!part)
    return;
  edge.sizes[how] = {prompt, prompt_tokens(*part->folder, prompt), part->folder->config().hidden_size,
                     part->compute == dtype::f64 ? dtype::f64 : dtype::f32};
  edge.stops[how] = part->folder->generation().eos;
}

std::string models_of(const manifest& m, model_parts& parts) {
  std::string key;
  for (const auto& n : m.nodes)
    for (const auto& e : n.engines) {
      problems found;
      const auto part = parts.of(e, found);
      key += n.name.value + "/" + e.name.value + " " + (part ? part->folder->digest() + " " + models::describe(part->stages) : "?")
             + " " + std::string(part ? to_string(part->compute) : "?") + "\n";
    }
  return key;
}

std::string repeated(const std::string& prompt, int times) {
  std::string all = prompt;
  for (int i = 1; i < times; ++i)
    all += " " + prompt;
  return all;
}

} // namespace

double median(std::vector<double> all) {
  if (all.empty())
    return 0;
  std::ranges::sort(all);
  const auto half = all.size() / 2;
  return all.size() % 2 == 1 ? all[half] : (all[half - 1] + all[half]) / 2;
}

std::vector<asked_edge> edges_of(const manifest& m, model_parts& parts, const std::string& prompt) {
  std::vector<asked_edge> all;
  for (const auto& n : m.nodes) {
    if (n.kind != node_kind::edge || !n.gateway)
      continue;
    asked_edge e;
    e.node = &n;
    for (const auto& l : m.links)
      if (l.from.value == n.name.value)
        e.link = &l;
    add_strategy(e, strategy::edge, engine_behind(m, n, role::generator), parts, prompt);
    if (const auto* cloud = e.link ? m.find(e.link->to.value) : nullptr) {
      add_strategy(e, strategy::cloud, engine_behind(m, *cloud, role::generator), parts, prompt);
      auto splits = [](const role_entry& r) { return r.kind == role::drafter && r.serves == strategy::split; };
      if (engine_behind(m, *cloud, role::verifier) && std::ranges::any_of(n.roles, splits))
        add_strategy(e, strategy::split, engine_behind(m, n, role::drafter), parts, prompt);
    }
    all.push_back(std::move(e));
  }
  return all;
}

std::vector<asked_edge> running_edges(const manifest& m, const run_dir& dir, model_parts& parts, const std::string& prompt) {
  auto all = edges_of(m, parts, prompt);
  for (const auto& n : look_at(m, dir, std::chrono::seconds(2)))
    for (auto& e : all)
      if (n.entry == e.node)
        e.port = n.api_port;
  return all;
}

link_quality quality_of(const link_entry& link) {
  const auto& s = link.settings.shape;
  auto ms = [](std::chrono::nanoseconds t) { return static_cast<double>(t.count()) / 1e6; };
  auto mbit = [](std::uint64_t bytes_per_s) { return static_cast<double>(bytes_per_s) / 125'000; };
  return {ms(s.up.latency + s.down.latency), ms(s.up.jitter), mbit(s.up.bytes_per_s), mbit(s.down.bytes_per_s)};
}

void measure(const asked_edge& edge, strategy how, const std::string& prompt, std::uint32_t requests, samples& to) {
  question q;
  q.port = edge.port;
  q.strategy = to_string(how);
  q.messages = {{"user", prompt}};
  q.max_tokens = edge.sizes.at(how).answer_tokens;
  for (auto id : edge.stops.at(how))
    q.choose.logit_bias.push_back({id, forbidden});
  ask(q);  // what is slow only once is not asked about
  for (std::uint32_t i = 0; i < requests; ++i) {
    std::this_thread::sleep_for(pause);
    const auto r = ask(q);
    to.ttft_ms.push_back(r.client_ttft_ms);
    to.tbt_ms.push_back(r.client_tbt_ms);
  }
}

void pace_samples::measure(const asked_edge& edge, strategy how, const std::string& prompt, std::uint32_t requests) {
  deploy::measure(edge, how, prompt, requests, near);
  deploy::measure(edge, how, repeated(prompt, 4), requests, far);
}

pace pace_samples::result(const request_size& size) const {
  const auto at_near = near.medians(), at_far = far.medians();
  const auto more = size.prompt_tokens * 3.0;  // the template's own tokens do not repeat: a little less in truth
  const auto slope = std::max(0.0, (at_far.ttft_ms - at_near.ttft_ms) / more);
  return {at_near.ttft_ms - slope * size.prompt_tokens, slope, at_near.tbt_ms};
}

paces measure_paces(const std::vector<asked_edge>& edges, const std::string& prompt,
                    const std::function<void(const std::string&)>& say) {
  paces all;
  for (const auto& e : edges)
    for (auto& [how, size] : e.sizes) {
      say("measuring " + std::string(to_string(how)) + " at " + e.node->name.value);
      pace_samples taken;
      taken.measure(e, how, prompt, measured_requests);
      all[e.node->name.value][how] = taken.result(size);
    }
  return all;
}

manifest with_bare_links(const manifest& m, const std::filesystem::path& file) {
  auto yaml = YAML::Load(m.text);
  for (auto link : yaml["links"]) {
    for (const char* key : {"rtt_ms", "jitter_ms", "up_mbit", "down_mbit"})
      link.remove(key);
    link["shaper"] = "on";
  }
  write_whole(file, YAML::Dump(yaml) + "\n");
  return load_manifest(file, m.base);
}

double measured_rtt_ms(const manifest& m, const run_dir& dir) {
  double sum = 0, count = 0;
  for (const auto& n : look_at(m, dir, std::chrono::seconds(2))) {
    if (n.entry->kind != node_kind::edge || n.status.empty())
      continue;
    const auto status = json::parse(n.status);
    for (const auto& p : status.at("peers").as_array()) {
      sum += p.at("rtt_ms").to_number<double>();
      ++count;
    }
  }
  return count == 0 ? 0 : sum / count;
}

void shape_link(const manifest& m, const run_dir& dir, const link_entry& link, const link_quality& added) {
  http_request r;
  for (const auto& n : look_at(m, dir, std::chrono::seconds(2)))
    if (n.entry->name.value == link.from.value)
      r.port = n.admin_port;
  r.path = "/chaos";
  auto flow = [&](double mbit) {
    return json::object{{"latency_ms", added.rtt_ms / 2}, {"jitter_ms", added.jitter_ms}, {"mbit", mbit}};
  };
  r.body = json::serialize(json::object{{"peer", link.to.value}, {"up", flow(added.up_mbit)}, {"down", flow(added.down_mbit)}});
  if (auto reply = http_call(r, std::chrono::seconds(5)); reply.status != 200)
    throw failed("the link of " + link.from.value + " cannot be shaped: " + reply.body);
}

void save_paces(const manifest& m, model_parts& parts, const paces& all) {
  json::object edges;
  for (const auto& [node_name, of] : all) {
    json::object strategies;
    for (const auto& [how, p] : of)
      strategies[to_string(how)] = {{"first_ms", p.first_ms}, {"prompt_token_ms", p.prompt_token_ms}, {"token_ms", p.token_ms}};
    edges[node_name] = std::move(strategies);
  }
  write_whole(paces_file(m), json::serialize(json::object{{"models", models_of(m, parts)}, {"edges", std::move(edges)}}) + "\n");
}

std::optional<paces> load_paces(const manifest& m, model_parts& parts) {
  json::error_code error;
  const auto saved = json::parse(read_whole(paces_file(m)), error);
  if (error || saved.at("models").as_string() != models_of(m, parts))
    return std::nullopt;
  paces all;
  for (const auto& [node_name, of] : saved.at("edges").as_object())
    for (const auto how : {strategy::cloud, strategy::edge, strategy::split})
      if (const auto* p = of.as_object().if_contains(to_string(how)))
        all[node_name][how] = {p->at("first_ms").to_number<double>(), p->at("prompt_token_ms").to_number<double>(),
                               p->at("token_ms").to_number<double>()};
  return all;
}

} // namespace virga::deploy
