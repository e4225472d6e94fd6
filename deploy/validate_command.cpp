#include "deploy/commands.hpp"
#include "deploy/plan.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

namespace virga::deploy {

void add_validate_command(CLI::App& app) {
  auto* command = app.add_subcommand("validate", "Check a manifest and the model folders it names; each mistake with line and column");
  struct options {
    std::string manifest, machine;
  };
  auto o = std::make_shared<options>();
  command->add_option("manifest", o->manifest, "The manifest, e.g. deploy/manifests/demo.yaml")->required();
  command->add_option("--machine", o->machine, "Check the folders of this machine's nodes only");
  command->callback([o] {
    auto m = load_checked(o->manifest, o->machine);
    std::cout << o->manifest << ": sound; deployment " << m.deployment << ", " << m.nodes.size() << " nodes, " << m.links.size()
              << " links\n";
  });
}

} // namespace virga::deploy
