#include "deploy/launched.hpp"

#include "deploy/failures.hpp"

#include <csignal>
#include <iostream>

namespace virga::deploy {
namespace {

constexpr auto look_again = std::chrono::milliseconds(100);

volatile std::sig_atomic_t signalled = 0;  // a handler can reach nothing else

/// What ends a program by default does more while a deployment of its own runs.
void on_signals(void (*handler)(int)) {
  for (int s : {SIGINT, SIGTERM})
    std::signal(s, handler);
}

} // namespace

launched::launched(const manifest& m, std::function<void(const std::string&)> say_what)
  : dir(run_dir_of(m.deployment)), say(std::move(say_what)) {
  signalled = 0;
  on_signals([](int s) { signalled = s; });
  if (bring_up(m, "", std::chrono::seconds(60), say) == up_result::was_running)
    throw failed(m.deployment + " runs already: `virga down` first, so that only its own nodes are measured");
  watcher_ = std::jthread([this](std::stop_token stop) {
    while (signalled == 0 && !stop.stop_requested())
      std::this_thread::sleep_for(look_again);
    if (signalled == 0)
      return;
    take_down_loudly();
    std::_Exit(128 + signalled);
  });
}

launched::~launched() {
  watcher_.request_stop();
  watcher_.join();  // does not return after a signal
  on_signals(SIG_DFL);
  take_down_loudly();
}

void launched::take_down_loudly() {
  try {
    take_down(dir);
    say("everything is down");
  } catch (const std::exception& e) {
    std::cerr << "virga: " << e.what() << "\n";
  }
}

} // namespace virga::deploy
