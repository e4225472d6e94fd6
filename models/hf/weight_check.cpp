#include "models/hf/weight_check.hpp"

#include "models/defaults.hpp"
#include "models/hf/json.hpp"
#include "models/hf/parts.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

namespace virga::models::hf {

namespace {

class hasher {
public:
  hasher(const weight_files& files, tensor_hash hash, const load_progress& progress, const std::stop_token& stop)
      : files_(files), hash_(hash), progress_(progress), stop_(stop) {
    for (auto& [name, tensor] : files.tensors()) {
      order_.push_back(&tensor);
      total_ += tensor.data.size();
    }
    std::ranges::sort(order_, std::less<>(), [](auto* t) { return t->data.data(); });
    hashes_.resize(order_.size());
    errors_.resize(order_.size());
  }

  /// Of one thread.
  void work() {
    for (std::size_t i = next_++; i < order_.size() && !failed_; i = next_++)
      try {
        hashes_[i] = hash_(*order_[i], files_.where(order_[i]->name), [&](std::uint64_t bytes) { tell(bytes); });
      } catch (...) {
        errors_[i] = std::current_exception();
        failed_ = true;
      }
  }

  std::map<std::string, std::string> result() const {
    for (auto& e : errors_)
      if (e)
        std::rethrow_exception(e);
    std::map<std::string, std::string> out;
    for (std::size_t i = 0; i < order_.size(); ++i)
      out[order_[i]->name] = hashes_[i];
    return out;
  }

private:
  void tell(std::uint64_t bytes) {
    const std::lock_guard one(mutex_);
    done_ += bytes;
    if (stop_.stop_requested())
      throw std::runtime_error("nobody waits for the hashes");
    if (progress_)
      progress_("checking weights", done_, total_);
  }

  const weight_files& files_;
  tensor_hash hash_;
  const load_progress& progress_;
  const std::stop_token& stop_;
  std::vector<const tensor_view*> order_;
  std::vector<std::string> hashes_;
  std::vector<std::exception_ptr> errors_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::uint64_t done_ = 0, total_ = 0;
};

} // namespace

std::map<std::string, std::string> hash_all(const weight_files& files, tensor_hash hash, const load_progress& progress,
                                            const std::stop_token& stop) {
  hasher all(files, hash, progress, stop);
  {
    std::jthread ahead([&](const std::stop_token& enough) { files.read_ahead(enough); });
    std::vector<std::jthread> others;
    for (auto count = std::min(defaults::hash_threads, std::thread::hardware_concurrency()); others.size() + 1 < count;)
      others.emplace_back([&] { all.work(); });
    all.work();
  }
  return all.result();
}

pending_check::pending_check(std::shared_ptr<const weight_files> files, const std::map<std::string, stored_entry>& said,
                             load_progress progress) {
  auto work = [files = std::move(files), said, progress = std::move(progress), stop = stop_.get_token()] {
    for (auto& [name, hash] : hash_all(*files, hash_stored, progress, stop))
      if (auto& own = said.at(name).hash; own != hash)
        fail(files->where(name), "the tensor " + in_quotes(name) + " has the hash " + hash + ", virga.json says "
                                     + in_quotes(own) + "; quantise the model again");
  };
  done_ = std::async(std::launch::async, std::move(work));
}

pending_check::~pending_check() {
  stop_.request_stop();
  done_.wait();
}

} // namespace virga::models::hf
