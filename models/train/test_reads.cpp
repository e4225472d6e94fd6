#include "models/train/test_reads.hpp"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>

namespace virga::models::train {

std::filesystem::path default_test_read_log() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  const auto base = state && *state ? std::filesystem::path(state) : std::filesystem::path(home ? home : ".") / ".local/state";
  return base / "virga" / "test-reads.log";
}

std::string log_test_read(const std::filesystem::path& file, const std::string& what) {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%FT%TZ", std::gmtime(&now));
  const auto line = std::string(stamp) + " test split read: " + what;
  std::error_code ignored;  // the write below tells
  std::filesystem::create_directories(file.parent_path(), ignored);
  std::ofstream out(file, std::ios::app);
  out << line << "\n";
  return line + (out.flush() ? "; logged in " : "; could not be logged in ") + file.string();
}

} // namespace virga::models::train
