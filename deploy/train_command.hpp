// deploy/train_command.hpp: `virga train`: the shipped models from nothing, on one core; `virga train adapter`: an adapter for any
// model.
#pragma once

namespace CLI {
class App;
}

namespace virga::deploy {

void add_train_command(CLI::App& app);
void add_train_adapter_command(CLI::App& train_command);

} // namespace virga::deploy
