// deploy/train_command.hpp: `virga train`: the shipped models from nothing, on one core.
#pragma once

namespace CLI {
class App;
}

namespace virga::deploy {

void add_train_command(CLI::App& app);

} // namespace virga::deploy
