#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/lifecycle.hpp"
#include "deploy/log_reader.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <thread>

namespace virga::deploy {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

constexpr std::uint64_t most_bytes = 8 * 1024 * 1024;  // of one node's log
constexpr auto look_every = std::chrono::milliseconds(200);

struct options {
  std::vector<std::string> nodes;
  std::string manifest, deployment, text;
  std::size_t lines = 50;
  bool follow = false;
};

std::filesystem::path folder_of(const options& o) {
  if (o.deployment.empty())
    return log_dir(find_running(o.manifest).deployment());
  auto folder = log_dir(o.deployment);
  if (std::filesystem::is_empty(folder) && std::filesystem::remove(folder))
    throw bad_input("there are no logs of a deployment " + o.deployment + " in " + folder.string());
  return folder;
}

std::vector<log_file> files_of(const options& o) {
  std::vector<std::filesystem::path> found;
  for (const auto& f : std::filesystem::directory_iterator(folder_of(o)))
    if (f.path().extension() == ".log")
      found.push_back(f.path());
  std::ranges::sort(found);
  auto named = [&](const std::string& node) { return std::ranges::count(o.nodes, node) > 0; };
  for (const auto& n : o.nodes)
    if (std::ranges::none_of(found, [&](const auto& f) { return f.stem() == n; })) {
      std::string list;
      for (const auto& f : found)
        list += " " + f.stem().string();
      throw bad_input("there is no log of " + n + "; there are" + list);
    }
  std::vector<log_file> files;
  for (const auto& f : found)
    if (o.nodes.empty() || named(f.stem().string()))
      files.emplace_back(f, most_bytes);
  return files;
}

std::vector<log_entry> next_of(std::vector<log_file>& files, const std::string& text) {
  std::vector<std::vector<log_entry>> news;
  for (auto& f : files) {
    news.push_back(f.read());
    std::erase_if(news.back(), [&](const log_entry& e) { return e.text.find(text) == e.text.npos; });
  }
  return merged(std::move(news));
}

void logs(const options& o) {
  auto files = files_of(o);
  std::size_t widest = 0;
  for (const auto& f : files)
    widest = std::max(widest, f.node().size());
  auto print = [widest](const log_entry& e) {
    std::cout << e.node << std::string(widest - e.node.size() + 2, ' ') << e.text << "\n";
  };
  auto entries = next_of(files, o.text);
  entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(std::min(o.lines, entries.size())));
  std::ranges::for_each(entries, print);
  std::cout << std::flush;
  for (int s : {SIGINT, SIGTERM})
    std::signal(s, [](int) { asked_to_stop = 1; });
  while (o.follow && asked_to_stop == 0 && std::cout) {
    std::this_thread::sleep_for(look_every);
    std::ranges::for_each(next_of(files, o.text), print);
    std::cout << std::flush;
  }
}

} // namespace

void add_logs_command(CLI::App& app) {
  auto* command = app.add_subcommand("logs", "What the nodes of a deployment have written, in the order of time");
  auto o = std::make_shared<options>();
  command->add_option("nodes", o->nodes, "Only these (`keeper` is one); default: all");
  command->add_option("--manifest", o->manifest, "Its manifest; not needed when only one deployment runs");
  command->add_option("--deployment", o->deployment, "Its name; also when it has ended");
  command->add_option("-n,--lines", o->lines, "The last ones")->capture_default_str();
  command->add_option("--request", o->text, "Only lines with this text, such as a request's id");
  command->add_flag("-f,--follow", o->follow, "And what follows, until it is interrupted");
  command->callback([o] { logs(*o); });
}

} // namespace virga::deploy
