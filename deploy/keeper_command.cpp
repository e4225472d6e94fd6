#include "deploy/commands.hpp"
#include "deploy/keeper.hpp"
#include "deploy/lock_file.hpp"

#include <CLI/CLI.hpp>

namespace virga::deploy {

void add_keeper_command(CLI::App& app) {
  auto* command = app.add_subcommand("keeper", "What `virga up` leaves behind");
  command->group("");  // not for people
  struct options {
    std::string manifest, base, machine, run_dir;
    int lock_fd = -1;
  };
  auto o = std::make_shared<options>();
  command->add_option("--manifest", o->manifest)->required();
  command->add_option("--base", o->base)->required();
  command->add_option("--machine", o->machine);
  command->add_option("--run-dir", o->run_dir)->required();
  command->add_option("--lock-fd", o->lock_fd)->required();
  command->callback([o] {
    auto lock = lock_file::adopt(o->lock_fd);
    run_keeper(load_manifest(o->manifest, o->base), o->machine, {o->run_dir});
  });
}

} // namespace virga::deploy
