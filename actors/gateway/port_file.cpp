#include "actors/gateway/port_file.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace virga {

port_file::port_file(std::string path, std::uint16_t port) : path_(std::move(path)) {
  if (path_.empty())
    return;
  auto aside = path_ + ".tmp";
  {
    std::ofstream out(aside);
    out << port << '\n';
    if (!out.flush())
      throw std::runtime_error("the gateway cannot write its port to " + aside);
  }
  std::error_code e;
  std::filesystem::rename(aside, path_, e);
  if (e)
    throw std::runtime_error("the gateway cannot write its port to " + path_ + ": " + e.message());
}

port_file::~port_file() {
  std::error_code ignored;
  if (!path_.empty())
    std::filesystem::remove(path_, ignored);
}

} // namespace virga
