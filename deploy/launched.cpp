#include "deploy/launched.hpp"

#include "deploy/failures.hpp"

#include <iostream>

namespace virga::deploy {

launched::launched(const manifest& m, std::function<void(const std::string&)> say_what)
  : dir(run_dir_of(m.deployment)), say(std::move(say_what)) {
  if (bring_up(m, "", std::chrono::seconds(60), say) == up_result::was_running)
    throw failed(m.deployment + " runs already: `virga down` first, so that only its own nodes are measured");
}

launched::~launched() {
  try {
    take_down(dir);
    say("everything is down");
  } catch (const std::exception& e) {
    std::cerr << "virga: " << e.what() << "\n";
  }
}

} // namespace virga::deploy
