#include "deploy/progress_line.hpp"

#include "deploy/table.hpp"
#include "models/memory.hpp"

#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include <unistd.h>

namespace virga::deploy {

namespace {

using clock = std::chrono::steady_clock;
constexpr auto silent_time = std::chrono::seconds(1);

class line_state {
public:
  void operator()(std::string_view what, std::uint64_t done, std::uint64_t total) {
    auto now = clock::now();
    if (what_ != what || done < done_) {
      what_ = what;
      begun_ = now;
      shown_ = {};
    }
    done_ = done;
    bool last = done >= total;
    auto every = terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(5);
    if (now - begun_ < silent_time || (!last && now - shown_ < every))
      return;
    shown_ = now;
    print(done, total, std::chrono::duration<double>(now - begun_).count(), last);
    if (last)
      what_.clear();
  }

private:
  void print(std::uint64_t done, std::uint64_t total, double seconds, bool last) const {
    auto rate = static_cast<std::uint64_t>(static_cast<double>(done) / seconds);
    std::cerr << (terminal_ ? "\r" : "") << what_ << ": " << models::bytes_text(done) << " of " << models::bytes_text(total)
              << ", " << fixed(100.0 * static_cast<double>(done) / static_cast<double>(total), 0) << " %, "
              << models::bytes_text(rate) << "/s, " << fixed(seconds, 1) << " s" << (terminal_ ? "\033[K" : "")
              << (terminal_ && !last ? "" : "\n") << std::flush;
  }

  bool terminal_ = ::isatty(2) != 0;
  std::string what_;
  std::uint64_t done_ = 0;
  clock::time_point begun_, shown_;
};

} // namespace

models::load_progress progress_line() {
  return [state = std::make_shared<line_state>()](std::string_view what, std::uint64_t done, std::uint64_t total) {
    (*state)(what, done, total);
  };
}

} // namespace virga::deploy
