#include "deploy/run_dir.hpp"

#include "deploy/failures.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

namespace virga::deploy {
namespace fs = std::filesystem;
namespace {

fs::path from_environment(const char* variable, const fs::path& fallback) {
  const char* value = std::getenv(variable);
  return value && *value == '/' ? fs::path(value) : fallback;
}

fs::path home() { return from_environment("HOME", "/tmp"); }

/// Of all of this user's deployments. Not there: fine.
fs::path runtime_home() {
  auto dir = from_environment("XDG_RUNTIME_DIR", "/tmp") / ("virga-" + std::to_string(::geteuid()));
  struct stat info {};
  if (::lstat(dir.c_str(), &info) != 0 && errno == ENOENT)
    return dir;
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 077) != 0)
    throw failed(dir.string() + " is not a folder of yours alone (mode 0700): remove it, or set XDG_RUNTIME_DIR to one that is");
  return dir;
}

void make_private(const fs::path& dir) {
  if (::mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST)
    throw failed(dir.string() + " cannot be made: " + std::strerror(errno));
}

} // namespace

run_dir run_dir_of(const std::string& deployment) { return {runtime_home() / deployment}; }

void make_run_dir(const run_dir& dir) {
  make_private(dir.root.parent_path());
  runtime_home();  // is it ours?
  make_private(dir.root);
}

void remove_run_dir(const run_dir& dir) {
  std::error_code ignored;
  fs::remove_all(dir.root, ignored);
  ::rmdir(dir.root.parent_path().c_str());  // only when it is empty
}

std::vector<std::string> known_deployments() {
  std::vector<std::string> names;
  std::error_code not_there;
  for (const auto& entry : fs::directory_iterator(runtime_home(), not_there))
    if (entry.is_directory() && entry.path().filename().string().find('+') == std::string::npos)  // + : one node of its own
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

fs::path log_dir(const std::string& deployment) {
  auto dir = from_environment("XDG_STATE_HOME", home() / ".local/state") / "virga" / deployment;
  std::error_code error;
  fs::create_directories(dir, error);
  if (error)
    throw failed(dir.string() + " cannot be made: " + error.message());
  return dir;
}

void write_whole(const fs::path& file, const std::string& text) {
  auto draft = file.string() + ".tmp";
  {
    std::ofstream out(draft, std::ios::binary | std::ios::trunc);
    out << text;
    out.flush();
    if (!out)
      throw failed(draft + " cannot be written: is the disk full?");
  }
  std::error_code error;
  fs::rename(draft, file, error);
  if (error)
    throw failed(file.string() + " cannot be written: " + error.message());
}

std::string read_whole(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text(1024 * 1024, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

std::string last_lines(const fs::path& file, std::size_t lines) {
  constexpr std::streamoff most = 8 * 1024;
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in)
    return "";
  auto size = static_cast<std::streamoff>(in.tellg());
  in.seekg(std::max<std::streamoff>(0, size - most));
  std::vector<std::string> all;
  for (std::string line; std::getline(in, line);)
    if (line.find_first_not_of(" \t\r") != std::string::npos)
      all.push_back(line);
  std::string text;
  for (auto i = all.size() > lines ? all.size() - lines : 0; i < all.size(); ++i)
    text += (text.empty() ? "" : "\n") + all[i];
  return text;
}

} // namespace virga::deploy
