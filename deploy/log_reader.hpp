// deploy/log_reader.hpp: the logs of a deployment's nodes as one.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace virga::deploy {

/// One entry: a line that begins with its time, and the lines without one that follow it (a sanitizer's report, a backtrace).
struct log_entry {
  std::string node;
  std::string text;
};

/// Follows one file from where it was last looked at. A file that is not there yet, or was begun anew, is no error.
class log_file {
public:
  /// @param bytes from the end of the file at most
  log_file(std::filesystem::path file, std::uint64_t bytes);

  /// Entries that are whole and new.
  std::vector<log_entry> read();
  const std::string& node() const { return node_; }

private:
  std::filesystem::path file_;
  std::string node_;
  std::uint64_t bytes_, at_ = 0;
  std::string rest_;  ///< of a line that has no end yet
  bool begun_ = false;
};

/// In the order of their times; entries of one node stay in their order.
std::vector<log_entry> merged(std::vector<std::vector<log_entry>> of_nodes);

} // namespace virga::deploy
