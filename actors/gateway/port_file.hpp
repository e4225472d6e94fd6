// actors/gateway/port_file.hpp: tells other processes which port was bound.
#pragma once

#include <cstdint>
#include <string>

namespace virga {

/// Holds the port in decimal for as long as it lives. Appears whole (written aside, then renamed).
class port_file {
public:
  /// @param path empty: no file
  /// @throws std::runtime_error naming the path when it cannot be written
  port_file(std::string path, std::uint16_t port);
  ~port_file();

  port_file(const port_file&) = delete;
  port_file& operator=(const port_file&) = delete;

private:
  std::string path_;
};

} // namespace virga
