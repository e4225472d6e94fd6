// deploy/eval_command.hpp: `virga eval`: what a model of the zoo scores, and whether the world's gates hold.
#pragma once

namespace CLI {
class App;
}

namespace virga::deploy {

void add_eval_command(CLI::App& app);

} // namespace virga::deploy
