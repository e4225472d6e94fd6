#include "deploy/bench/load_bench.hpp"

#include "deploy/bench/random_model.hpp"
#include "deploy/bench/timing.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_model.hpp"
#include "deploy/processes.hpp"
#include "models/hf/quantize.hpp"
#include "models/make_shard.hpp"
#include "models/memory.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace virga::deploy {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using clock = std::chrono::steady_clock;

constexpr double goal = 1.2;

/// An open file.
class file {
public:
  explicit file(const fs::path& name) : fd_(::open(name.c_str(), O_RDONLY | O_CLOEXEC)), bytes_(fs::file_size(name)) {
    if (fd_ < 0)
      throw failed(name.string() + " cannot be opened: " + std::strerror(errno));
  }
  ~file() { ::close(fd_); }
  file(const file&) = delete;
  file& operator=(const file&) = delete;

  /// Out of the page cache, as far as nobody maps it.
  void drop() const {
    ::fsync(fd_);
    ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
  }

  /// Bytes that the page cache holds.
  std::uint64_t cached() const {
    auto* at = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, fd_, 0);
    if (at == MAP_FAILED)
      return bytes_;
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> held((bytes_ + page - 1) / page);
    const bool told = ::mincore(at, bytes_, held.data()) == 0;
    ::munmap(at, bytes_);
    const auto count = std::ranges::count_if(held, [](unsigned char h) { return (h & 1) != 0; });
    return told ? static_cast<std::uint64_t>(count) * page : bytes_;
  }

  void read() const {
    std::vector<char> room(std::size_t{4} << 20);
    ::lseek(fd_, 0, SEEK_SET);
    while (::read(fd_, room.data(), room.size()) > 0) {
    }
  }

  std::uint64_t bytes() const { return bytes_; }

private:
  int fd_;
  std::uint64_t bytes_;
};

/// A folder's weights.
class weights {
public:
  explicit weights(const fs::path& dir) {
    std::vector<fs::path> names;
    for (const auto& e : fs::directory_iterator(dir))
      if (e.path().extension() == ".safetensors")
        names.push_back(e.path());
    std::sort(names.begin(), names.end());
    for (const auto& n : names)
      files_.push_back(std::make_unique<file>(n));
  }

  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& f : files_)
      sum += f->bytes();
    return sum;
  }

  /// @returns the share that stays cached
  double drop() const {
    double still = 0;
    for (const auto& f : files_) {
      f->drop();
      still += static_cast<double>(f->cached());
    }
    return still / static_cast<double>(bytes());
  }

  double read() const {
    const auto begun = clock::now();
    for (const auto& f : files_)
      f->read();
    return since(begun);
  }

private:
  std::vector<std::unique_ptr<file>> files_;
};

/// Seconds until the first token is there.
double ready(const fs::path& dir, dtype compute) {
  const auto begun = clock::now();
  const models::hf::model_folder folder(dir);
  models::shard_options o;
  o.compute = compute;
  const auto shard = models::make_torch_shard(folder, o);
  models::segment s;
  s.seq = shard->open();
  s.last_stage = static_cast<std::uint32_t>(shard->info().stages.size() - 1);
  s.tokens = {1};
  s.want.tokens = rows_wanted::last;
  shard->step({&s, 1});
  return since(begun);
}

struct times {
  std::vector<double> read, ready, warm, ratio;
  double cached = 0;
};

times measure(const fs::path& dir, dtype compute, std::uint32_t rounds) {
  const weights files(dir);
  times t;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    for (const bool reads : round % 2 == 0 ? std::array{true, false} : std::array{false, true}) {
      t.cached = std::max(t.cached, files.drop());
      (reads ? t.read : t.ready).push_back(reads ? files.read() : ready(dir, compute));
    }
    t.ratio.push_back(t.ready.back() / t.read.back());
    files.read();
    t.warm.push_back(ready(dir, compute));
  }
  return t;
}

json::object row(const fs::path& dir, const std::string& name, const load_options& o) {
  const auto compute = dtype_named(name);
  bool quantised = false;
  {
    const models::hf::model_folder folder(dir);
    if (folder.stages().size() != 3)
      throw bad_input(dir.string() + " holds only " + models::describe(folder.stages()) + ": this needs a whole model");
    folder.need_dtype(compute);
    models::check_memory(folder, {.compute = compute}, 1);
    quantised = folder.packed().has_value();
    ready(dir, compute);  // threads are made
  }
  const auto bytes = weights(dir).bytes();
  const auto t = measure(dir, compute, o.rounds);
  const auto ratio = at_share(t.ratio, 0.5), read_s = at_share(t.read, 0.5);
  return {{"dtype", name},
          {"quantised", quantised},
          {"threads", o.threads},
          {"bytes", bytes},
          {"rounds", o.rounds},
          {"read_s", read_s},
          {"ready_s", at_share(t.ready, 0.5)},
          {"warm_ready_s", at_share(t.warm, 0.5)},
          {"ratio", ratio},
          {"ratio_spread", {at_share(t.ratio, 0.1), at_share(t.ratio, 0.9)}},
          {"read_gb_per_s", static_cast<double>(bytes) / read_s / 1e9},
          {"cached", t.cached},
          {"goal", goal},
          {"reached", ratio <= goal}};
}

std::vector<std::string> dtypes_of(const load_options& o) {
  if (!o.dtypes.empty())
    return o.dtypes;
  const auto own = o.model.empty() ? std::nullopt : models::hf::model_folder(o.model).packed();
  return own ? std::vector<std::string>{std::string(to_string(*own))}
             : std::vector<std::string>{"f32", "bf16", "int8", "int4"};
}

/// Made once, beside the folder.
fs::path quantised_as(const std::string& name, const fs::path& dir,
                      const std::function<void(const std::string&)>& say) {
  auto out = dir;
  out += "-" + name;
  if (!fs::exists(out)) {
    say("making " + out.string());
    models::hf::quantize_folder(models::hf::model_folder(dir), dtype_named(name), out);
  }
  return out;
}

} // namespace

json::object bench_load(const load_options& asked, const std::function<void(const std::string&)>& say) {
  auto o = asked;
  if (o.threads == 0)
    o.threads = std::max(1u, std::thread::hardware_concurrency());
  use_threads(o.threads);
  json::array rows;
  blaming_input([&] {
    for (const auto& name : dtypes_of(o)) {
      const auto dir =
          o.model.empty() ? quantised_as(name, half_billion_shape("models/zoo/cloud", say), say) : fs::path(o.model);
      say(dir.string() + ", " + name);
      rows.push_back(row(dir, name, o));
    }
  });
  return {{"rows", rows}};
}

} // namespace virga::deploy
