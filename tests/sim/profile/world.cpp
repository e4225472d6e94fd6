#include "tests/sim/profile/world.hpp"

#include "actors/node/node_state.hpp"
#include "tests/support/toy_tokenizer.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

namespace virga::testing {

namespace {

constexpr auto bring_up_limit = 120s, answer_limit = 3600s;
constexpr std::uint32_t longest_prompt = 4'000;

struct seed_tokenizer final : toy_tokenizer {
  std::vector<token_id> encode(std::string_view text, const models::encode_options&) const override {
    std::istringstream in{std::string{text}};
    std::uint64_t seed = 0;
    std::uint32_t length = 0;
    in >> seed >> length;
    return prompt_of(seed, length);
  }
  std::string text_of(token_id id, bool first) const override { return (first ? "" : " ") + std::to_string(id); }
  std::uint32_t vocab_size() const override { return cost_shard::vocab; }
};

double evenly(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

double log_normal(std::mt19937_64& random, double mean, double sigma) {
  auto normal = std::sqrt(-2 * std::log(1 - evenly(random))) * std::cos(2 * 3.14159265358979324 * evenly(random));
  return mean * std::exp(sigma * normal - sigma * sigma / 2);
}

std::uint32_t prompt_length(std::mt19937_64& random, const std::vector<prompt_part>& parts) {
  auto which = evenly(random);
  auto part = parts.begin();
  while (part + 1 != parts.end() && which >= part->share)
    which -= part++->share;
  auto length = std::lround(log_normal(random, part->mean, part->sigma));
  return static_cast<std::uint32_t>(std::clamp<long>(length, 8, longest_prompt));
}

} // namespace

std::vector<token_id> prompt_of(std::uint64_t seed, std::uint32_t length) {
  std::vector<token_id> out(length);
  for (std::uint32_t i = 0; i < length; ++i)
    out[i] = static_cast<token_id>(mixed(seed, i) % cost_shard::vocab);
  return out;
}

world::world(world_options o)
  : options(std::move(o)),
    random_(options.seed),
    busy_(options.devices),
    tok_(std::make_shared<seed_tokenizer>()) {
  middleman_ = sys.spawn(sim_middleman, ports_);
  listener_ = sys.spawn([this]() -> sink::behavior_type { return {[this](answer& a) { hear(a); }}; });
  for (std::uint32_t i = 0; i < options.devices; ++i) {
    auto up = wifi_up_least + (wifi_up_most - wifi_up_least) * evenly(random_);
    shapes_.emplace_back(up, up + wifi_down_more);
  }
  if (options.bed)
    cores_ = std::make_shared<std::vector<time_point>>(options.bed->cores);
  else
    plan_requests();
}

world::~world() {
  for (auto& [name, n] : nodes_)
    caf::anon_send_exit(n, caf::exit_reason::kill);
  nodes_.clear();
  doors_.clear();
  run();
}

/// The same for every method: Poisson.
void world::plan_requests() {
  for (double at = 0;;) {
    at += -std::log(1 - evenly(random_)) / options.rate();
    if (at >= options.warm_s + options.measured_s)
      return;
    auto& r = requests.emplace_back();
    r.at_s = at;
    r.prompt_tokens = prompt_length(random_, options.profile.prompts);
  }
}

// -- life -------------------------------------------------------------------------------------------------------------

void world::start(node_config config) {
  config.seed = random_() | 1;
  auto name = config.name;
  node_parts parts;
  parts.make_transport = [this, name](const link_config& l, pipe_events events) {
    return l.dial ? pipes_.at(name)->attach(sim_pipe::dialer, std::move(events))
                  : pipes_.at(l.peer_node)->attach(sim_pipe::acceptor, std::move(events));
  };
  parts.middleman = [this](caf::actor_system&) { return middleman_; };
  nodes_[name] = sys.spawn(make_node, std::move(config), std::move(parts));
}

/// Until each node that the question concerns is up.
void world::await(const std::function<bool(const std::string& name, const node_status&)>& up) {
  auto until = now() + bring_up_limit;
  for (auto& [name, n] : nodes_)
    for (;;) {
      auto s = sim::ask<node_status>(n, stats_atom::value);
      if (s && up(name, *s))
        break;
      if (now() > until)
        throw std::runtime_error(name + " is not up: " + (s ? s->reason : "no answer"));
      advance(100ms);
    }
}

void world::bring_up() {
  for (std::uint32_t i = 0; i < options.devices; ++i) {
    pipe_shape shape;
    auto rtt_s = options.bed ? options.bed->rtt_s : wifi_rtt_s;
    shape.delay = std::chrono::microseconds(static_cast<std::int64_t>(rtt_s / 2 * 1e6));
    shape.bytes_per_s = options.bed ? 0 : static_cast<std::uint64_t>(shapes_[i].first);
    shape.down_bytes_per_s = options.bed ? 0 : static_cast<std::uint64_t>(shapes_[i].second);
    pipes_[device_name(i)] =
      std::make_shared<sim_pipe>(sys, device_name(i), cloud_name(i % options.clouds), shape, random_());
  }
  for (std::uint32_t c = 0; c < options.clouds; ++c) {
    for (std::uint32_t p = 0; p < pipeline_stages && !options.bed; ++p)
      start(stage_config(c, p));
    start(cloud_config(c));
  }
  await([](auto&, auto& s) { return s.ready && std::ranges::all_of(s.neighbours, &peer_state::up); });
  for (std::uint32_t i = 0; i < options.devices; ++i)
    start(device_config(i));
  await([](auto&, auto& s) { return s.kind != "edge" || !s.strategies.empty(); });
  for (std::uint32_t i = 0; i < options.devices; ++i)
    doors_[i] = sim::ask<node_stubs>(nodes_.at(device_name(i)), roles_atom::value)->sessions;
}

void world::run_all() {
  bring_up();
  options.bed ? ask_in_blocks() : ask_in_time();
  if (!advance_until([this] { return open_ == 0; }, answer_limit))
    throw std::runtime_error(std::to_string(open_) + " requests have no answer after an hour of virtual time");
}

void world::ask_in_time() {
  auto began = now();
  auto at = [&](double s) { return began + std::chrono::nanoseconds(static_cast<std::int64_t>(s * 1e9)); };
  bool warm = false;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    if (!warm && requests[i].at_s >= options.warm_s) {
      warm = true;
      advance(at(options.warm_s) - now());
      for (auto& m : stages)
        m->reset();
    }
    advance(at(requests[i].at_s) - now());
    ask(i, pick_device());
  }
  advance(std::max<caf::timespan>(at(options.warm_s + options.measured_s) - now(), 0s));
  window_s = options.measured_s;
  for (auto& m : stages)
    m = std::make_shared<step_meter>(*m);  // what comes later does not count
}

/// The first block warms up.
void world::ask_in_blocks() {
  for (std::uint32_t block = 0; block <= options.blocks; ++block) {
    for (std::uint32_t d = 0; d < options.devices; ++d) {
      auto& r = requests.emplace_back();
      r.at_s = block == 0 ? -1 : options.warm_s;
      r.prompt_tokens = options.prompt_tokens;
      ask(requests.size() - 1, d);
    }
    if (!advance_until([this] { return open_ == 0; }, answer_limit))
      return;
  }
  window_s = 1;
}

// -- clients ----------------------------------------------------------------------------------------------------------

/// At a device with the fewest requests open: its user waits for an answer before asking on. Of several, the next in
/// turn.
std::uint32_t world::pick_device() {
  for (std::uint32_t i = 1; i <= options.devices; ++i)
    if (auto d = (last_device_ + i) % options.devices; busy_[d] == *std::ranges::min_element(busy_))
      return last_device_ = d;
  return 0;
}

void world::ask(std::size_t number, std::uint32_t device) {
  auto& r = requests[number];
  r.device = device;
  ++busy_[r.device];
  r.sent = now();
  ++open_;
  generate g;
  g.how = options.drafts() ? strategy::hat : strategy::split;
  g.request_id = std::to_string(number);
  g.prompt = std::to_string(mixed(options.seed, number)) + " " + std::to_string(r.prompt_tokens);
  g.max_tokens = options.answer_tokens;
  header hdr{{number + 1, options.seed}, 0, 0, 0, role::session_host, now() + answer_limit};
  caf::anon_send(doors_.at(r.device), call<generate>{hdr, std::move(g), listener_});
}

void world::hear(answer& a) {
  auto& r = requests.at(a.hdr.session.hi - 1);
  if (auto* piece = std::get_if<tokens>(&a.body)) {
    r.last = now();
    if (r.got.empty())
      r.first = now();
    r.got.insert(r.got.end(), piece->ids.begin(), piece->ids.end());
  }
  if (!a.last)
    return;
  r.ended = true;
  --open_;
  --busy_[r.device];
  if (auto* end = std::get_if<outcome>(&a.body))
    r.end = std::move(*end);
  else
    r.end.error = ec::internal;
}

} // namespace virga::testing
