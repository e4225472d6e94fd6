#include "tests/sim/plan.hpp"

#include <cstdlib>

namespace virga::testing {

using namespace std::chrono_literals;

namespace {

constexpr caf::timespan liveness = 3s;

using action = std::function<void(deployment&)>;
using events = std::multimap<caf::timespan, action>;

caf::timespan pick_ms(std::mt19937_64& rng, std::uint64_t from, std::uint64_t to) {
  return std::chrono::milliseconds(from + rng() % (to - from));
}

template <class List>
const auto& pick(std::mt19937_64& rng, const List& list) {
  return list[rng() % list.size()];
}

client_request some_request(std::mt19937_64& rng) {
  client_request r;
  r.entry = pick(rng, deployment::edges);
  r.how = pick(rng, sim_strategies()).how;
  r.prompt.resize(3 + rng() % 6);
  for (auto& id : r.prompt)
    id = 3 + static_cast<token_id>(rng() % 12);
  r.max_tokens = 12 + static_cast<std::uint32_t>(rng() % 36);
  r.deadline = pick_ms(rng, 3'000, 12'000);
  return r;
}

/// Of a role that this request needs, somewhere on its way.
action some_crash(std::mt19937_64& rng, const client_request& r) {
  auto& s = find_strategy(r.how);
  const bool cloud = s.crosses_link && rng() % 2 == 0;
  std::vector<std::string> roles{"session host"};
  if (!cloud && s.crosses_link)
    roles.push_back("link cloud-site/cloud");
  for (auto& name : parts_of(s, shared_models(), cloud))
    roles.push_back(name);
  return [node = cloud ? "cloud" : r.entry, role = pick(rng, roles)](deployment& d) { d.crash_role(node, role); };
}

/// As it begins, or on its way; every other time what recovers is struck once more.
void plan_crash(std::mt19937_64& rng, events& out, caf::timespan asked, const client_request& r) {
  auto crash = some_crash(rng, r);
  auto at = asked + (rng() % 2 == 0 ? pick_ms(rng, 1, 5) : pick_ms(rng, 5, 200));
  out.emplace(at, crash);
  if (rng() % 2 == 0)
    out.emplace(at + pick_ms(rng, 10, 150), crash);
}

/// Of the cloud's nodes where it has several.
action some_kill(std::mt19937_64& rng, const std::string& edge) {
  if (rng() % 2 != 0)
    return [edge](deployment& d) { d.crash_node(edge); };
  return [which = rng() % 3](deployment& d) {
    d.crash_node(which == 0 || !d.has_workers() ? "cloud" : deployment::workers[which - 1]);
  };
}

action some_link_fault(std::mt19937_64& rng, const std::string& edge) {
  auto time = pick_ms(rng, 200, 2'500);
  switch (rng() % 7) {
    case 0: return [=](deployment& d) { d.cut_link(edge); };
    case 1: return [=](deployment& d) { d.stall_link(edge, time); };
    case 2: return [=](deployment& d) { d.repeat_messages(edge); };
    case 3: return [=](deployment& d) { d.reorder_messages(edge); };
    case 4: return [=](deployment& d) { d.slow_link(edge, 20'000); };
    case 5: return [=](deployment& d) { d.partition_link(edge, sim_pipe::dialer); };
    default: return [=](deployment& d) { d.partition_link(edge, sim_pipe::acceptor); };
  }
}

action some_fault(std::mt19937_64& rng) {
  auto edge = pick(rng, deployment::edges);
  return rng() % 3 == 0 ? some_kill(rng, edge) : some_link_fault(rng, edge);
}

events plan(std::mt19937_64& rng) {
  events out;
  auto requests = 4 + rng() % 8;
  for (std::uint64_t i = 0; i < requests; ++i) {
    auto r = some_request(rng);
    auto at = pick_ms(rng, 0, 800);
    out.emplace(at, [r](deployment& d) { d.ask(r); });
    if (rng() % 4 == 0)
      plan_crash(rng, out, at, r);
  }
  if (rng() % 3 == 0)
    out.emplace(pick_ms(rng, 100, 1'000), [n = 1 + rng() % requests](deployment& d) {
      if (d.seen.requests.count(n) != 0)
        d.cancel_request(n);
    });
  auto faults = 1 + rng() % 3;
  for (std::uint64_t i = 0; i < faults; ++i) {
    auto at = pick_ms(rng, 50, 1'200);
    out.emplace(at, some_fault(rng));
    if (rng() % 2 == 0)  // and what recovers is struck again
      out.emplace(at + pick_ms(rng, 50, 1'000), some_fault(rng));
  }
  return out;
}

/// Runs the plan; killed nodes come back every half second meanwhile.
void run(deployment& d, const events& what) {
  auto start = d.now();
  for (auto& [at, act] : what) {
    while (d.now() + 500ms < start + at) {
      d.run_until(d.now() + 500ms);
      d.restart_dead();
    }
    d.run_until(start + at);
    act(d);
  }
  d.run_until(d.now() + 500ms);
}

/// The faults stop: within `liveness` everything serves again, and every strategy answers at every edge.
std::vector<std::string> check_liveness(deployment& d) {
  for (auto& edge : deployment::edges)
    d.run_until(d.pipe(edge).stalled_until());
  d.heal();
  if (!d.await_ready(liveness))
    return {"not everything is served again 3 s after the last fault"};
  std::vector<std::uint64_t> asked;
  for (auto& s : sim_strategies())
    for (auto& edge : deployment::edges)
      asked.push_back(d.ask({edge, s.how, {3, 4, 5}, 12, 5s}));
  d.run_until(d.now() + 6s);
  std::vector<std::string> broken;
  for (auto number : asked)
    if (auto& r = d.seen.requests.at(number); r.error != ec::none || r.ends.empty())
      broken.push_back("after the faults " + std::string{to_string(r.how)} + " at " + r.entry + " does not answer: " + r.error_text);
  return broken;
}

} // namespace

const sim_models& shared_models() {
  static const sim_models models;
  return models;
}

verdict run_seed(std::uint64_t seed, planted_bug planted) {
  deployment d{shared_models(), seed, planted};
  verdict out;
  if (!d.await_ready())
    out.broken.push_back("the deployment did not become ready");
  run(d, plan(d.random));
  auto broken = check_liveness(d);
  d.run_until(d.now() + 10s);  // beyond every deadline
  if (auto left = d.leftovers(); !left.empty())
    broken.push_back(left);
  out.broken.insert(out.broken.end(), broken.begin(), broken.end());
  broken = d.seen.check([](const request_record& r) { return find_strategy(r.how).expected(shared_models(), r); });
  out.broken.insert(out.broken.end(), broken.begin(), broken.end());
  out.seen = std::move(d.seen);
  return out;
}

std::string sentence(std::uint64_t seed, const std::vector<std::string>& broken) {
  std::string out = "seed " + std::to_string(seed) + " (VIRGA_SIM_SEED=" + std::to_string(seed) + "):";
  for (auto& b : broken)
    out += "\n  " + b;
  return out;
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  auto* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

} // namespace virga::testing
