// A node as a process: real threads, signals and exit codes, so this test runs on the wall clock.
#include "actors/node/run_node.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/toy_shard.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <spdlog/spdlog.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <thread>

using namespace virga;
using namespace virga::testing;
using namespace std::chrono_literals;

namespace {

node_config config_with(std::function<std::unique_ptr<models::shard>()> make) {
  node_config c;
  c.name = "edge-1";
  c.site = "home";
  engine_config e;
  e.name = "small";
  e.make = std::move(make);
  c.engines = {e};
  role_config r;
  r.serves = strategy::edge;
  r.engine = "small";
  r.view.context = 256;
  c.roles = {r};
  c.gateways.resize(1);
  return c;
}

/// run_node in a child, so that signals and the exit code are its own. `started` is told once the node runs.
struct child_process {
  explicit child_process(const node_config& config) {
    std::array<int, 2> err{}, ready{};
    REQUIRE(::pipe(err.data()) == 0);
    REQUIRE(::pipe(ready.data()) == 0);
    pid = ::fork();
    if (pid == 0) {
      spdlog::set_level(spdlog::level::off);
      ::dup2(err[1], STDERR_FILENO);
      for (int fd : {err[0], err[1], ready[0]})
        ::close(fd);
      node_parts parts;
      parts.start_gateway = [&](caf::actor_system& sys, const gateway_config&, const node_stubs&, const node&) {
        REQUIRE(::write(ready[1], "r", 1) == 1);
        return sys.spawn([]() -> caf::behavior { return {[](int) {}}; });
      };
      std::_Exit(run_node(config, [&] { return parts; }));
    }
    ::close(err[1]);
    ::close(ready[1]);
    char c;
    started = ::read(ready[0], &c, 1) == 1;
    ::close(ready[0]);
    errors = err[0];
  }
  ~child_process() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(errors);
  }

  void tell(int signal) const { ::kill(pid, signal); }

  /// The exit code, or nothing when the process does not end in time.
  std::optional<int> wait(std::chrono::milliseconds limit) const {
    for (const auto until = steady_clock::now() + limit; steady_clock::now() < until; std::this_thread::sleep_for(5ms)) {
      int status = 0;
      if (::waitpid(pid, &status, WNOHANG) == pid)
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    return std::nullopt;
  }
  std::string complaints() const {
    std::string out(4096, '\0');
    const auto n = ::read(errors, out.data(), out.size());
    out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return out;
  }

  pid_t pid = 0;
  int errors = -1;
  bool started = false;
};

std::unique_ptr<models::shard> toy() { return std::make_unique<toy_shard>(toy_options{}); }

} // namespace

TEST_CASE("SIGTERM and SIGINT end an idle node with code 0", "[actors][run_node]") {
  const auto signal = GENERATE(SIGTERM, SIGINT);
  child_process p{config_with(toy)};
  REQUIRE(p.started);
  p.tell(signal);
  CHECK(p.wait(5s) == 0);
  CHECK(p.complaints().empty());
}

TEST_CASE("a node that cannot load its model exits with 1 and the sentence", "[actors][run_node]") {
  child_process p{config_with([]() -> std::unique_ptr<models::shard> { throw models::bad_model("config.json: gone"); })};
  CHECK(p.wait(5s) == 1);
  CHECK(p.complaints() == "node edge-1: engine small: config.json: gone\n");
}

TEST_CASE("a second signal ends a node within two seconds even when an engine is stuck", "[actors][run_node]") {
  child_process p{config_with([] {
    std::this_thread::sleep_for(60s);
    return toy();
  })};
  REQUIRE(p.started);
  p.tell(SIGTERM);
  CHECK_FALSE(p.wait(200ms));
  const auto told = steady_clock::now();
  p.tell(SIGINT);
  CHECK(p.wait(10s) == 1);
  CHECK(steady_clock::now() - told < 3s);
  CHECK(p.complaints() == "node edge-1 did not end in time and was cut off\n");
}

TEST_CASE("parts that cannot be made are a sentence and code 1", "[actors][run_node]") {
  std::fflush(stderr);
  const auto pid = ::fork();
  if (pid == 0) {
    ::close(STDERR_FILENO);
    std::_Exit(run_node(config_with(toy), []() -> node_parts { throw std::runtime_error("no certificate"); }));
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CHECK(WEXITSTATUS(status) == 1);
}
