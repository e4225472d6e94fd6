// models/hf/weight_check.hpp: hashes of all tensors of a folder, on several threads. Private to models/.
#pragma once

#include "models/hf/weight_files.hpp"

#include <future>
#include <stop_token>

namespace virga::models::hf {

/// hash_finite() or hash_stored().
using tensor_hash = std::string (*)(const tensor_view& t, const std::string& where, const std::function<void(std::uint64_t)>& done);

/// Hashes all tensors while the system reads their files ahead. The threads take them in the order of the files.
/// @param progress one thread at a time calls it; what it throws ends the work and is thrown here
/// @returns hash by name @throws bad_model of the first bad tensor in the order of the files
std::map<std::string, std::string> hash_all(const weight_files& files, tensor_hash hash, const load_progress& progress,
                                            const std::stop_token& stop = {});

/// The check of a quantised folder, while tokenizer and shard are made. Who computes must wait() before: threads of its own
/// would only stand in the way.
class pending_check {
public:
  /// Begins. @param said what virga.json says of each tensor
  pending_check(std::shared_ptr<const weight_files> files, const std::map<std::string, stored_entry>& said, load_progress progress);
  ~pending_check();  ///< ends it at the next piece
  pending_check(const pending_check&) = delete;
  pending_check& operator=(const pending_check&) = delete;

  /// Until all is checked. Any number of threads, any number of times. @throws bad_model when the files are damaged
  void wait() const { done_.get(); }

private:
  std::stop_source stop_;
  std::shared_future<void> done_;
};

} // namespace virga::models::hf
