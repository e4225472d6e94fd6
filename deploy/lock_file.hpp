// deploy/lock_file.hpp: one keeper per deployment. The lock is held by an open file, so the kernel frees it however its
// holder ends; `up` takes it and hands it on to the keeper.
#pragma once

#include <filesystem>
#include <optional>

namespace virga::deploy {

class lock_file {
public:
  /// Nothing when somebody else holds it. The file's folder exists. @throws failed
  static std::optional<lock_file> try_take(const std::filesystem::path& file);

  /// The lock that was handed over as an open file.
  static lock_file adopt(int fd);

  lock_file(lock_file&& other) noexcept;
  lock_file& operator=(lock_file&&) = delete;
  ~lock_file();

  int fd() const { return fd_; }

private:
  explicit lock_file(int fd) : fd_(fd) {}
  int fd_;
};

} // namespace virga::deploy
