#include "deploy/bench/link_bench.hpp"

#include "actors/link/certificates.hpp"
#include "actors/link/shaper.hpp"
#include "deploy/bench/link_pair.hpp"
#include "deploy/bench/protocol_pair.hpp"
#include "deploy/bench/raw_pair.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <thread>

#include <unistd.h>

namespace virga::deploy {

namespace {

namespace json = boost::json;
namespace fs = std::filesystem;
using say_to = std::function<void(const std::string&)>;

constexpr std::uint64_t mega = 1'000'000;
constexpr std::size_t state_bytes = 16 * 1024 * 1024;  // of a prompt: 4,096 rows of 4 KiB

/// Certificates of two nodes, gone at the end.
struct identities {
  identities() : dir{fs::temp_directory_path() / ("virga-bench-" + std::to_string(::getpid()))} {
    node_identity both[] = {{"cloud", "cloud"}, {"edge", "home"}};
    make_link_certificates(dir, both);
  }
  ~identities() {
    std::error_code ignored;
    fs::remove_all(dir, ignored);
  }
  identities(const identities&) = delete;
  identities& operator=(const identities&) = delete;
  tls_config of(const std::string& node) const { return {dir / "ca.pem", dir / (node + ".pem"), dir / (node + ".key")}; }
  fs::path dir;
};

/// A shaper with a thread of its own.
struct shaped {
  shaped(std::uint16_t port, double rtt_ms, double mbit)
    : before{std::make_unique<shaper>(io, "127.0.0.1", port, shape_of(rtt_ms, 0, mbit, mbit))}, thread{[this] { io.run(); }} {}
  ~shaped() {
    io.stop();
    thread.join();
    before.reset();
  }
  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard{io.get_executor()};
  std::unique_ptr<shaper> before;
  std::thread thread;
};

double median(std::vector<double> x) {
  std::nth_element(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2), x.end());
  return x[x.size() / 2];
}

json::object row(const char* what, double value, const char* unit, double goal, bool at_least, json::object details) {
  json::object r{{"what", what}, {"value", value}, {"unit", unit}, {"goal", goal}, {"at", at_least ? "least" : "most"},
                 {"reached", at_least ? value >= goal : value <= goal}};
  for (auto& d : details)
    r[d.key()] = d.value();
  return r;
}

// -- bulk --------------------------------------------------------------------------------------------------------------

json::object bulk_loopback(const identities& ids, int rounds) {
  auto cloud = ids.of("cloud"), edge = ids.of("edge");
  link_pair link{cloud, edge};
  link.connect(link.listen_port());
  raw_pair raw{&cloud, &edge};
  raw.connect(raw.listen_port());
  constexpr std::size_t messages = 4;
  std::vector<double> ours, theirs, ratios;
  link.send(messages, state_bytes);
  raw.copy(messages * state_bytes);
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(messages * state_bytes / link.send(messages, state_bytes) / mega);
    theirs.push_back(messages * state_bytes / raw.copy(messages * state_bytes) / mega);
    ratios.push_back(ours.back() / theirs.back());
  }
  return row("bulk over loopback / raw TLS copy", median(ratios), "ratio", 0.9, true,
             {{"link_mb_per_s", median(ours)}, {"raw_mb_per_s", median(theirs)}, {"rounds", rounds}});
}

json::object bulk_shaped(const identities& ids, int rounds) {
  link_pair link{ids.of("cloud"), ids.of("edge")};
  shaped link_line{link.listen_port(), 20, 100};
  link.connect(link_line.before->port());
  raw_pair raw{nullptr, nullptr};
  shaped raw_line{raw.listen_port(), 20, 100};
  raw.connect(raw_line.before->port());
  std::vector<double> ours, theirs;
  link.send(1, state_bytes);
  raw.copy(state_bytes);
  for (int i = 0; i < rounds; ++i) {
    ours.push_back(state_bytes / link.send(1, state_bytes) / mega);
    theirs.push_back(state_bytes / raw.copy(state_bytes) / mega);
  }
  return row("bulk over 100 Mbit/s and 20 ms / raw TCP copy", median(ours) / median(theirs), "ratio", 0.9, true,
             {{"link_mb_per_s", median(ours)}, {"raw_mb_per_s", median(theirs)}, {"rounds", rounds}});
}

json::object prompt_state(const identities& ids, bool first) {
  link_pair link{ids.of("cloud"), ids.of("edge")};
  shaped line{link.listen_port(), 50, 100};
  link.connect(line.before->port());
  std::this_thread::sleep_for(std::chrono::seconds{1});  // the link measures itself
  if (!first)
    link.send(1, state_bytes);
  auto took = link.send(1, state_bytes);
  auto least = state_bytes * 8.0 / (100.0 * mega);
  return row(first ? "16 MiB over 100 Mbit/s and 50 ms, a fresh link, time / (bytes / rate)"
                   : "16 MiB over 100 Mbit/s and 50 ms, time / (bytes / rate)",
             took / least, "ratio", 1.1, false, {{"seconds", took}, {"bytes_over_rate_s", least}});
}

// -- small messages ----------------------------------------------------------------------------------------------------

json::array echoes(const identities& ids, int rounds) {
  auto cloud = ids.of("cloud"), edge = ids.of("edge");
  link_pair roles{cloud, edge};
  roles.connect(roles.listen_port());
  protocol_pair link{cloud, edge};
  raw_pair raw{&cloud, &edge};
  raw.connect(raw.listen_port());
  constexpr std::size_t count = 300, bytes = 4096;  // a row of hidden size 1,024
  std::vector<double> of_roles, of_link, of_raw;
  for (int i = 0; i < rounds; ++i) {
    of_raw.push_back(median(raw.echo(count, bytes)));
    of_link.push_back(median(link.echo(count, bytes)));
    of_roles.push_back(median(roles.echo(count, bytes)));
  }
  auto r = median(of_raw), l = median(of_link), o = median(of_roles);
  json::object us{{"raw_us", r}, {"link_us", l}, {"roles_us", o}, {"rounds", rounds}, {"round_trips_each", count}};
  return {row("round trip of 4 KiB, link / raw TLS echo", l / r, "ratio", 2, false, us),
          row("round trip of 4 KiB, role to role / raw TLS echo", o / r, "ratio", 6, false, us)};
}

/// How much longer a small message takes while 16 MiB go the same way.
json::object upload_delay(const identities& ids, double mbit, double rtt_ms, double seconds) {
  link_pair link{ids.of("cloud"), ids.of("edge")};
  shaped line{link.listen_port(), rtt_ms, mbit};
  link.connect(line.before->port());
  constexpr std::size_t bytes = 1024;
  std::this_thread::sleep_for(std::chrono::seconds{1});  // the link measures itself
  auto idle = median(link.echo(20, bytes));
  std::vector<double> during;
  link.begin(state_bytes);
  auto begun = std::chrono::steady_clock::now();
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count() < seconds) {
    during.push_back(link.echo(1, bytes).front());
    std::this_thread::sleep_for(std::chrono::milliseconds{3});
  }
  link.stop();
  auto rate = mbit * 125'000;
  auto slice_us = std::clamp(rate * 0.01, 4096.0, 262'144.0) / rate * 1e6;
  std::sort(during.begin(), during.end());
  auto at = [&](double p) { return (during[static_cast<std::size_t>(p * static_cast<double>(during.size() - 1))] - idle) / slice_us; };
  auto what = "delay behind 16 MiB at " + std::to_string(static_cast<int>(mbit)) + " Mbit/s, 99 % / one slice";
  return row(what.c_str(), at(0.99), "slices", 1, false,
             {{"slice_ms", slice_us / 1000}, {"idle_ms", idle / 1000}, {"half_slices", at(0.5)}, {"worst_slices", at(1)},
              {"round_trips", during.size()}});
}

// -- nothing to do -----------------------------------------------------------------------------------------------------

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

json::object idle(const identities& ids, double seconds) {
  link_pair link{ids.of("cloud"), ids.of("edge")};
  link.connect(link.listen_port());
  auto before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::duration<double>{seconds});
  auto percent = (cpu_seconds() - before) / seconds * 100 / 2;
  return row("processor time of one idle end of a link", percent, "% of a core", 1, false, {{"seconds", seconds}});
}

} // namespace

json::object bench_link(bool quick, const std::string& only, const say_to& say) {
  spdlog::set_level(spdlog::level::off);
  identities ids;
  auto rounds = quick ? 3 : 9;
  json::array rows;
  auto run = [&](const std::string& name, auto measure) {
    if (name.find(only) == std::string::npos)
      return;
    say(name);
    json::value result = measure();
    if (result.is_array())
      std::copy(result.as_array().begin(), result.as_array().end(), std::back_inserter(rows));
    else
      rows.push_back(std::move(result));
  };
  run("echo", [&] { return echoes(ids, rounds); });
  run("bulk-loopback", [&] { return bulk_loopback(ids, 4 * rounds); });
  run("bulk-shaped", [&] { return bulk_shaped(ids, quick ? 1 : 5); });
  run("prompt-fresh", [&] { return prompt_state(ids, true); });
  run("prompt", [&] { return prompt_state(ids, false); });
  for (auto mbit : {1, 10, 100})
    run("delay-" + std::to_string(mbit), [&] { return upload_delay(ids, mbit, 20, mbit > 50 ? 1.2 : quick ? 5 : 12); });
  run("idle", [&] { return idle(ids, quick ? 3 : 10); });
  return {{"benchmark", "link"}, {"rows", std::move(rows)}};
}

} // namespace virga::deploy
