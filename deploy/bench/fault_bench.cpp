#include "deploy/bench/fault_bench.hpp"

#include "deploy/ask.hpp"
#include "deploy/failures.hpp"
#include "deploy/launched.hpp"
#include "deploy/processes.hpp"
#include "models/world/question.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

namespace virga::deploy {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr std::size_t questions_asked = 20;
constexpr auto limit = 60s;              // of one request; beyond it nobody knows what became of it
constexpr auto pause_after_error = 100ms;  // of a client that is not served
constexpr double recovery_goal_s = 3;

struct victim {
  std::string node;
  std::string strategy;
  bool spare = false;
};

struct asked {
  enum class result { ok, fallback, error, wrong, unresolved } came = result::unresolved;
  bool retried = false;
  clock::time_point ended{};
};

std::vector<victim> victims_of(const manifest& m) {
  std::vector<victim> all;
  for (const auto& n : m.nodes)
    for (const auto& r : n.roles) {
      if (r.kind == role::generator && r.nodes.size() > 1)
        all.push_back({r.nodes.front().value, "cloud", true});
      if (r.in_turn)
        all.push_back({r.nodes.back().value, "split", false});
    }
  for (const auto& l : m.links) {
    all.push_back({l.to.value, "cloud", false});
    if (own_role(*m.find(l.from.value), role::generator))
      all.push_back({l.from.value, "edge", false});
    break;
  }
  return all;
}

std::uint16_t edge_port(const manifest& m, const run_dir& dir) {
  for (const auto& n : look_at(m, dir, 2s))
    if (n.entry->kind == node_kind::edge && n.api_port != 0)
      return n.api_port;
  throw bad_input("no edge node of " + m.file.string() + " has a `gateway`: requests need one");
}

class fault_run {
public:
  fault_run(const manifest& m, victim v, const fault_options& options, const std::function<void(const std::string&)>& say)
    : victim_(std::move(v)), options_(options), deployment_(m, say), port_(edge_port(m, deployment_.dir)) {
    models::world::world w;
    questions_ = models::world::make_questions(w, models::world::split::test, 1, models::world::demo_mixture(), questions_asked);
    for (const auto& q : questions_)
      texts_.push_back(ask(request(q.prompt)).text);
  }

  json::object row() {
    std::vector<std::thread> clients;
    for (std::uint32_t i = 0; i < options_.clients; ++i)
      clients.emplace_back([this] { client(); });
    for (auto& c : clients)
      c.join();
    return summary();
  }

private:
  question request(const std::string& prompt) const {
    question q;
    q.port = port_;
    q.strategy = victim_.strategy;
    q.messages = {{"user", prompt}};
    q.max_tokens = 48;
    q.limit = limit;
    return q;
  }

  void client() {
    for (auto i = next_++; i < options_.requests; i = next_++) {
      if (i == options_.requests / 4)
        strike();
      all_[i] = one(i % questions_.size());
      if (all_[i].came == asked::result::error)
        std::this_thread::sleep_for(pause_after_error);
    }
  }

  asked one(std::size_t index) const {
    asked a;
    const auto begun = clock::now();
    try {
      const auto answer = ask(request(questions_[index].prompt));
      a.retried = answer.attempts > 1;
      a.came = answer.strategy != victim_.strategy ? asked::result::fallback
               : answer.text != texts_[index]      ? asked::result::wrong
                                                   : asked::result::ok;
    } catch (const std::exception&) {
      a.came = clock::now() - begun < limit ? asked::result::error : asked::result::unresolved;
    }
    a.ended = clock::now();
    return a;
  }

  void strike() {
    for (const auto& p : processes_of(deployment_.dir.root))
      if (p.name == victim_.node)
        send_signal(p, SIGKILL);
    struck_ = clock::now();
  }

  json::object summary() const {
    auto count = [this](asked::result r) { return std::ranges::count(all_, r, &asked::came); };
    auto last = struck_;
    for (const auto& a : all_)
      if (a.retried || a.came != asked::result::ok)
        last = std::max(last, a.ended);
    const auto recovery_s = std::chrono::duration<double>(last - struck_).count();
    const auto ok = count(asked::result::ok), wrong = count(asked::result::wrong), unresolved = count(asked::result::unresolved);
    const bool reached = victim_.spare ? ok == options_.requests && recovery_s <= recovery_goal_s : wrong + unresolved == 0;
    return {{"victim", victim_.node},
            {"spare", victim_.spare},
            {"strategy", victim_.strategy},
            {"ok", ok},
            {"declared_fallback", count(asked::result::fallback)},
            {"error", count(asked::result::error)},
            {"wrong", wrong},
            {"unresolved", unresolved},
            {"recovery_s", recovery_s},
            {"goal", victim_.spare ? "all ok, recovery at most 3 s" : "an outcome for each, and no wrong one"},
            {"reached", reached}};
  }

  victim victim_;
  fault_options options_;
  launched deployment_;
  std::uint16_t port_;
  std::vector<models::world::question> questions_;
  std::vector<std::string> texts_;  // undisturbed
  std::vector<asked> all_ = std::vector<asked>(options_.requests);
  std::atomic<std::uint32_t> next_{0};
  clock::time_point struck_{};  // written by one client; read when all have ended
};

} // namespace

json::object bench_faults(const manifest& m, const fault_options& options, const std::function<void(const std::string&)>& say) {
  json::array rows;
  for (const auto& v : victims_of(m)) {
    if (v.node.find(options.only) == std::string::npos)
      continue;
    say("killing " + v.node + " while " + std::to_string(options.clients) + " clients ask with " + v.strategy);
    rows.push_back(fault_run(m, v, options, say).row());
  }
  if (rows.empty())
    throw bad_input(m.file.string() + " has nobody" + (options.only.empty() ? "" : " called `" + options.only + "`")
                    + " who could be killed: take a manifest with links or replicas");
  return {{"requests", options.requests}, {"clients", options.clients}, {"rows", std::move(rows)}};
}

} // namespace virga::deploy
