#include "actors/node/run_node.hpp"

#include "actors/node/defaults.hpp"
#include "actors/node/node_state.hpp"
#include "actors/site/modules.hpp"
#include "messages/type_ids.hpp"

#include <caf/actor_registry.hpp>
#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>

namespace virga {

namespace {

struct system_config : caf::actor_system_config {
  explicit system_config(const node_config& of) {
    set("scheduler.policy", caf::atom("sharing"));  // the default polls: 11 % of a core when idle
    set("scheduler.max-threads", node_defaults::scheduler_threads);
    add_error_category(caf::atom("virga"), render_error);
    if (!of.neighbours.empty())
      load_site_modules(*this, of.site_tls);
  }
};

class descriptor {
public:
  descriptor(int fd, const char* what) : fd_(fd) {
    if (fd < 0)
      throw std::system_error(errno, std::generic_category(), what);
  }
  ~descriptor() { ::close(fd_); }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  int get() const { return fd_; }

private:
  int fd_;
};

/// SIGTERM and SIGINT as a descriptor that becomes readable.
int signals_of_this_process() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/// How the node ended; written by the watcher before it rings the bell.
struct ending {
  descriptor bell{::eventfd(0, EFD_CLOEXEC), "eventfd"};
  caf::error reason;
};

caf::behavior watch(caf::event_based_actor* self, node_actor whom, std::shared_ptr<ending> out) {
  self->set_down_handler([self, out](const caf::down_msg& down) {
    out->reason = down.reason;
    const std::uint64_t one = 1;
    if (::write(out->bell.get(), &one, sizeof one) < 0)
      spdlog::error("the end of the node could not be told: {}", std::system_category().message(errno));
    self->quit();
  });
  self->monitor(whom);
  return {[](caf::unit_t) {}};
}

class process {
public:
  process(node_config config, const std::function<node_parts()>& make_parts)
    : signals_(signals_of_this_process(), "signalfd"), name_(config.name), parts_(make_parts()), system_config_(config),
      system_(system_config_) {
    if (!config.neighbours.empty())
      parts_.middleman = site_middleman;
    node_ = system_.spawn(make_node, std::move(config), parts_);
    watcher_ = system_.spawn(watch, node_, end_);
  }

  int run() {
    while (!ended())
      if (!wait_for_event())
        cut_off();
    if (!all_gone())
      cut_off();
    if (!gave_up()) {
      spdlog::info("node {} has ended", name_);
      return 0;
    }
    std::fprintf(stderr, "%s\n", text_of(end_->reason).c_str());
    return 1;
  }

private:
  bool gave_up() const { return end_->reason && end_->reason != caf::exit_reason::user_shutdown; }

  bool ended() const {
    pollfd p{end_->bell.get(), POLLIN, 0};
    return ::poll(&p, 1, 0) > 0;
  }

  /// @returns false when the time after a second signal is up
  bool wait_for_event() {
    std::array<pollfd, 2> fds{{{signals_.get(), POLLIN, 0}, {end_->bell.get(), POLLIN, 0}}};
    const auto hurry = std::chrono::milliseconds(node_defaults::hurry).count();
    const int n = ::poll(fds.data(), fds.size(), asked_ < 2 ? -1 : static_cast<int>(hurry));
    signalfd_siginfo info;
    if (n > 0 && (fds[0].revents & POLLIN) && ::read(signals_.get(), &info, sizeof info) == sizeof info)
      on_signal();
    return n != 0;
  }

  void on_signal() {
    if (asked_++ == 0) {
      caf::anon_send(node_, drain_atom::value);
    } else {
      spdlog::warn("node {} was told a second time: it ends now", name_);
      caf::anon_send_exit(node_, caf::exit_reason::user_shutdown);
    }
  }

  /// An actor that the node left behind would hold up the actor system's end for as long as its step takes.
  bool all_gone() {
    const auto until = steady_clock::now() + node_defaults::hurry;
    while (system_.registry().running() > 0 && steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return system_.registry().running() == 0;
  }

  /// An engine in a long step cannot be stopped, only left.
  [[noreturn]] void cut_off() {
    if (ended() && gave_up())
      std::fprintf(stderr, "%s\n", text_of(end_->reason).c_str());
    std::fprintf(stderr, "node %s did not end in time and was cut off\n", name_.c_str());
    std::_Exit(1);
  }

  // In this order: threads inherit the blocked signals, and the sockets of `parts_` outlive the actors.
  descriptor signals_;
  std::string name_;
  node_parts parts_;
  system_config system_config_;
  std::shared_ptr<ending> end_ = std::make_shared<ending>();
  caf::actor_system system_;
  node_actor node_;
  caf::actor watcher_;  // kept: a monitor alone does not keep its actor alive
  int asked_ = 0;
};

} // namespace

int run_node(node_config config, const std::function<node_parts()>& make_parts) {
  const auto name = config.name;
  try {
    return process(std::move(config), make_parts).run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "node %s: %s\n", name.c_str(), e.what());
    return 1;
  }
}

} // namespace virga
