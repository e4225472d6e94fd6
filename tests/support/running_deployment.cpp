#include "tests/support/running_deployment.hpp"

#include "deploy/http_client.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <memory>
#include <thread>

namespace virga::testing {

namespace {

using namespace std::chrono_literals;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

/// The shipped demo manifest under another name, on other ports.
std::string demo_manifest(const std::string& name, std::uint16_t link_port) {
  const std::filesystem::path source{VIRGA_SOURCE_DIR};
  auto text = deploy::read_whole(source / "deploy/manifests/demo.yaml");
  text = replaced(text, "deployment: demo", "deployment: " + name);
  text = replaced(text, "../../models", (source / "models").string());
  text = replaced(text, "listen: {port: 7070}", "listen: {port: " + std::to_string(link_port) + "}");
  for (auto* port : {"8080", "8081", "8090"})
    text = replaced(text, "gateway: {port: " + std::string{port} + "}", "gateway: {port: 0}");
  return text;
}

} // namespace

running_deployment::running_deployment(const std::string& name, std::uint16_t link_port, const std::vector<change>& changes) {
  auto text = demo_manifest(name, link_port);
  for (auto& [from, to] : changes) {
    if (text.find(from) == std::string::npos)
      throw std::runtime_error("the demo's manifest has no \"" + from + "\"");
    text = replaced(text, from, to);
  }
  scratch_.write("manifest.yaml", text);
  ::setenv("XDG_RUNTIME_DIR", scratch_.path.c_str(), 1);
  ::setenv("XDG_STATE_HOME", scratch_.path.c_str(), 1);
  dir_ = deploy::run_dir_of(name);
  models::world::world w;
  for (auto& q : models::world::make_questions(w, models::world::split::test, 7, models::world::demo_mixture(), 200))
    if (std::count(q.answer.begin(), q.answer.end(), ' ') >= 60)
      long_.push_back(q);
  std::string printed;
  if (command("up " + manifest().string(), &printed) != 0)
    throw std::runtime_error(printed);
}

running_deployment::~running_deployment() {
  // A stopped process cannot end: wake all of them first.
  for (auto& p : deploy::processes_of(dir_.root))
    deploy::send_signal(p, SIGCONT);
  command("down " + manifest().string());
}

int running_deployment::command(const std::string& arguments, std::string* printed) const {
  auto line = std::string{VIRGA_COMMAND} + " " + arguments + " 2>&1";
  auto* pipe = ::popen(line.c_str(), "r");
  std::array<char, 4096> buffer;
  std::string all;
  while (auto n = std::fread(buffer.data(), 1, buffer.size(), pipe))
    all.append(buffer.data(), n);
  if (printed != nullptr)
    *printed = all;
  return WEXITSTATUS(::pclose(pipe));
}

void running_deployment::chaos(const std::string& what) const {
  std::string printed;
  if (command("chaos edge-1 --manifest " + manifest().string() + " " + what, &printed) != 0)
    throw std::runtime_error("chaos " + what + ": " + printed);
}

std::uint16_t running_deployment::api_port(const std::string& node) const {
  return static_cast<std::uint16_t>(std::stoul(deploy::read_whole(dir_.node(node) / "api.port")));
}

deploy::reply running_deployment::ask(const std::string& node, const std::string& strategy, const std::string& prompt,
                                      const std::function<void(std::string_view)>& on_text) const {
  deploy::question q;
  q.port = api_port(node);
  q.strategy = strategy;
  q.messages = {{"user", prompt}};
  q.limit = 20s;
  return deploy::ask(q, on_text);
}

deploy::process running_deployment::process_of(const std::string& node) const {
  for (auto& p : deploy::processes_of(dir_.root))
    if (p.command == "node" && p.name == node)
      return p;
  throw std::runtime_error("no process of " + node);
}

void running_deployment::signal(const std::string& node, int number) const {
  deploy::send_signal(process_of(node), number);
}

/// Asks this node alone: a frozen neighbour would hold up a look at all of them.
bool running_deployment::await(const std::string& node, const std::string& strategy, bool served,
                               std::chrono::milliseconds limit) const {
  deploy::http_request ready;
  ready.path = "/health/ready";
  for (auto until = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < until;) {
    try {
      ready.port = static_cast<std::uint16_t>(std::stoul(deploy::read_whole(dir_.node(node) / "admin.port")));
      auto body = deploy::http_call(ready, 500ms).body;
      if ((body.find('"' + strategy + '"') != std::string::npos) == served)
        return true;
    } catch (const std::exception&) {
      // not there now
    }
    std::this_thread::sleep_for(20ms);
  }
  return false;
}

} // namespace virga::testing
