// deploy/sampling_options.hpp: how the next token is chosen, as options of a command.
#pragma once

#include "messages/types.hpp"

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace virga::deploy {

struct sampling_options {
  sampling choose;
  std::vector<std::string> bias;  ///< "ID=VALUE"
  std::vector<std::string> stop;

  /// With the biases. @throws bad_input naming the option @param vocab of the model
  sampling checked(std::uint32_t vocab) const;
};

void add_sampling_options(CLI::App& command, sampling_options& o);

} // namespace virga::deploy
