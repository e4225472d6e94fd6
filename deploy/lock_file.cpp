#include "deploy/lock_file.hpp"

#include "deploy/failures.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace virga::deploy {
namespace {

/// Between open and flock somebody may have removed the file: a lock on it would guard nothing.
bool still_there(int fd, const std::filesystem::path& file) {
  struct stat ours {}, named {};
  return ::fstat(fd, &ours) == 0 && ::stat(file.c_str(), &named) == 0 && ours.st_ino == named.st_ino
         && ours.st_dev == named.st_dev;
}

} // namespace

std::optional<lock_file> lock_file::try_take(const std::filesystem::path& file) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    lock_file lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock.fd_ < 0)
      throw failed(file.string() + " cannot be opened: " + std::strerror(errno));
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) != 0)
      return std::nullopt;
    if (still_there(lock.fd_, file))
      return lock;
  }
  throw failed(file.string() + " is removed again and again: does something clean up this folder?");
}

lock_file lock_file::adopt(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return lock_file(fd);
}

lock_file::lock_file(lock_file&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

lock_file::~lock_file() {
  if (fd_ >= 0)
    ::close(fd_);
}

} // namespace virga::deploy
