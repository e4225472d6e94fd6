#include "deploy/ask.hpp"
#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/lifecycle.hpp"
#include "deploy/sampling_options.hpp"
#include "deploy/table.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <iostream>

#include <unistd.h>

namespace virga::deploy {
namespace {

struct options {
  std::string manifest, strategy, message, node, system;
  std::uint32_t max_tokens = 256;
  sampling_options sampling;
};

bool offers(const node_view& n, const std::string& strategy) {
  return std::find(n.strategies.begin(), n.strategies.end(), strategy) != n.strategies.end();
}

/// The first node with an API that serves what is asked; an edge node where there is one.
const node_view& choose_node(const std::vector<node_view>& nodes, const options& o) {
  const node_view* best = nullptr;
  for (const auto& n : nodes)
    if (n.api_port != 0 && (o.node.empty() || n.entry->name.value == o.node) && (o.strategy.empty() || offers(n, o.strategy)))
      if (!best || (best->entry->kind == node_kind::cloud && n.entry->kind == node_kind::edge))
        best = &n;
  if (!best)
    throw failed("no node with an API serves " + (o.strategy.empty() ? "anything" : "`" + o.strategy + "`")
                 + (o.node.empty() ? "" : " on " + o.node) + " now: see `virga status`");
  return *best;
}

/// With the cloud's help where that is there.
std::string usual_strategy(const node_view& n) {
  for (const char* s : {"hat", "split", "cloud", "edge"})
    if (offers(n, s))
      return s;
  throw failed(n.entry->name.value + " serves nothing now: " + n.reason);
}

std::string dimmed(const std::string& text) { return ::isatty(1) ? "\033[2m" + text + "\033[0m" : text; }

std::string summary(const reply& r) {
  std::string text = "[" + r.strategy;
  for (const auto& p : r.places)
    text += " | " + p;
  return text + " | " + std::to_string(r.tokens) + " tokens, " + fixed(r.client_total_ms, 0) + " ms, first after "
         + fixed(r.client_ttft_ms, 0) + " ms | " + std::to_string(r.bytes_up) + " bytes up, " + std::to_string(r.bytes_down)
         + " down, " + std::to_string(r.round_trips) + " round trips" + (r.attempts > 1 ? ", survived a fault" : "") + "]";
}

/// Asks what q's last message asks. @returns the text
std::string answer(const question& q) {
  auto r = ask(q, [](std::string_view piece) { std::cout << piece << std::flush; });
  std::cout << "\n" << dimmed(summary(r)) << std::endl;
  return r.text;
}

/// One line of a conversation; what fails is not part of it.
void take_turn(question& q, const std::string& line) {
  q.messages.push_back({"user", line});
  try {
    auto text = answer(q);
    q.messages.push_back({"assistant", std::move(text)});
  } catch (...) {
    q.messages.pop_back();
    throw;
  }
}

void converse(question q) {
  const auto beginning = q.messages;
  std::cerr << "The whole conversation is sent with each line, as far as the model's chat template uses it.\n"
               "/reset begins a new one; Ctrl-D ends.\n";
  for (std::string line; std::cerr << "> " << std::flush, std::getline(std::cin, line);) {
    if (line.find_first_not_of(" \t") == std::string::npos)
      continue;
    if (line == "/reset") {
      q.messages = beginning;
      continue;
    }
    try {
      take_turn(q, line);
    } catch (const failed& e) {
      std::cerr << "virga: " << e.what() << "\n";
    }
  }
  std::cerr << "\n";
}

void chat(const options& o) {
  auto dir = find_running(o.manifest);
  auto m = running_manifest(dir);
  auto nodes = look_at(m, dir, std::chrono::seconds(2));
  const auto& node = choose_node(nodes, o);
  question q;
  q.host = node.entry->gateway->host == "0.0.0.0" ? "127.0.0.1" : node.entry->gateway->host;
  q.port = node.api_port;
  q.strategy = o.strategy.empty() ? usual_strategy(node) : o.strategy;
  q.max_tokens = o.max_tokens;
  q.choose = o.sampling.checked(UINT32_MAX);
  q.stop = o.sampling.stop;
  if (!o.system.empty())
    q.messages.push_back({"system", o.system});
  if (const char* key = std::getenv("VIRGA_API_KEY"))
    q.api_key = key;
  if (o.message.empty())
    return converse(std::move(q));
  q.messages.push_back({"user", o.message});
  answer(q);
}

} // namespace

void add_chat_command(CLI::App& app) {
  auto* command = app.add_subcommand("chat", "Ask the running deployment; without --message line by line");
  auto o = std::make_shared<options>();
  command->add_option("manifest", o->manifest, "Its manifest; not needed when only one deployment runs");
  command->add_option("--strategy", o->strategy, "cloud, edge, split or hat; default: hat where it is served");
  command->add_option("--message", o->message, "Ask this and end");
  command->add_option("--node", o->node, "Ask this node's gateway; default: an edge node that serves the strategy");
  command->add_option("--max-tokens", o->max_tokens, "Tokens of an answer at most")->check(CLI::Range(1u, 1'000'000u));
  command->add_option("--system", o->system, "The system message, for models whose template has one");
  add_sampling_options(*command, o->sampling);
  command->footer("VIRGA_API_KEY is sent as the API key when set.");
  command->callback([o] { chat(*o); });
}

} // namespace virga::deploy
