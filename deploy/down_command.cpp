#include "deploy/commands.hpp"
#include "deploy/lifecycle.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

namespace virga::deploy {

void add_down_command(CLI::App& app) {
  auto* command = app.add_subcommand("down", "End a deployment on this machine: no process, port or temporary file is left");
  auto file = std::make_shared<std::string>();
  command->add_option("manifest", *file, "Its manifest; not needed when only one deployment runs");
  command->callback([file] {
    if (file->empty() && known_deployments().empty()) {
      std::cout << "nothing runs\n";
      return;
    }
    auto dir = find_running(*file);
    wait_for_start(dir);
    std::cout << dir.deployment() << (take_down(dir) ? " is down\n" : " does not run\n");
  });
}

} // namespace virga::deploy
