#include "deploy/bench/engine_side.hpp"

#include "deploy/bench/random_model.hpp"
#include "deploy/failures.hpp"
#include "deploy/processes.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include <sys/mman.h>
#include <unistd.h>

namespace virga::deploy {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes load_limit{10}, answer_limit{10};
const fs::path scripts = "deploy/bench/llama";

std::string python_for_llama(std::string given) {
  auto python = given.empty() ? bench_cache().parent_path() / "llama-cpp-python-0.3.36" / "bin" / "python" : fs::path(given);
  if (!fs::exists(python) || !fs::exists(scripts / "worker.py"))
    throw bad_input("no llama.cpp to compare with: run `deploy/setup/setup.sh --bench` and start this from the repository's root "
                    "(looked for " + python.string() + " and " + (scripts / "worker.py").string() + "), or say --against libtorch");
  return python.string();
}

fs::path gguf_of(const fs::path& model, const std::string& dtype_name, const std::string& python,
                 const std::function<void(const std::string&)>& say) {
  auto name = fs::weakly_canonical(model).relative_path().string() + "-" + dtype_name + ".gguf";
  std::ranges::replace(name, '/', '-');  // two folders may have one last name
  auto out = bench_cache() / name;
  auto from = fs::last_write_time(model / "config.json");
  if (fs::exists(out) && fs::last_write_time(out) > from)
    return out;
  say("making " + out.string());
  fs::create_directories(out.parent_path());
  line_process writer("to_gguf.py", {"/bin/sh", "-c", "\"$0\" \"$@\" && echo done", python, (scripts / "to_gguf.py").string(),
                                     model.string(), dtype_name, out.string()}, {});
  writer.hear(load_limit);
  return out;
}

} // namespace

engine_side engine_side::engine(const fs::path& model, const side_options& o, bool libtorch_only) {
  std::vector<std::string> words{"/proc/self/exe", "engine-worker", "--model", model.string(), "--dtype", o.dtype_name, "--positions",
                                 std::to_string(o.positions)};
  words.front() = fs::read_symlink("/proc/self/exe").string();
  if (libtorch_only)
    words.push_back("--libtorch");
  engine_side out;
  out.variants_.push_back(std::make_unique<line_process>("the engine's worker", words, thread_environment(o.threads)));
  out.variants_.back()->hear(load_limit);
  return out;
}

engine_side engine_side::llama(const fs::path& model, const side_options& o, std::string python,
                               const std::function<void(const std::string&)>& say) {
  python = python_for_llama(std::move(python));
  auto file = gguf_of(model, o.dtype_name, python, say);
  engine_side out;
  for (const char* variant : {"fa", "plain", "no-mmap"})
    out.variants_.push_back(std::make_unique<line_process>(
      std::string("llama.cpp's worker (") + variant + ")",
      std::vector<std::string>{python, (scripts / "worker.py").string(), file.string(), std::to_string(o.threads),
                               std::to_string(o.positions), variant},
      std::map<std::string, std::string>{{"OMP_NUM_THREADS", std::to_string(o.threads)}}));
  for (auto& v : out.variants_)
    v->hear(load_limit);
  return out;
}

double engine_side::best(const std::string& command) {
  double out = 0;
  for (auto& v : variants_) {
    auto answer = std::stod(v->ask(command, answer_limit));
    out = &v == &variants_.front() ? answer : std::min(out, answer);
  }
  return out;
}

std::vector<float> engine_side::logits() {
  auto file = fs::temp_directory_path() / ("virga-logits-" + std::to_string(::getpid()));
  variants_.front()->ask("prefill 16", answer_limit);
  variants_.front()->ask("logits " + file.string(), answer_limit);
  std::vector<float> out(fs::file_size(file) / sizeof(float));
  std::ifstream(file, std::ios::binary).read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size() * sizeof(float)));
  fs::remove(file);
  return out;
}

double read_pace(std::uint32_t threads) {
  using clock = std::chrono::steady_clock;
  using wide = std::uint64_t __attribute__((vector_size(64)));
  constexpr std::size_t bytes = std::size_t{256} << 20, lines = bytes / sizeof(wide), big_page = 2 << 20, ahead = 128;
  static const auto* all = [] {  // as the engine keeps weights: pages of 2 MB, asked for 8 kB ahead
    auto* room = std::aligned_alloc(big_page, bytes);
    ::madvise(room, bytes, MADV_HUGEPAGE);
    return static_cast<wide*>(std::memset(room, 1, bytes));
  }();
  auto part = lines / threads / 4 * 4;
  double best = 0;
  for (int round = 0; round < 2; ++round) {
    auto begun = clock::now();
    std::vector<std::jthread> workers;
    for (std::uint32_t t = 0; t < threads; ++t)
      workers.emplace_back([&, t] {
        wide sums[4] = {};
        auto* from = all + t * part;
        for (std::size_t i = 0; i < part; i += 4)
          for (std::size_t k = 0; k < 4; ++k) {
            __builtin_prefetch(from + i + k + ahead, 0, 2);
            sums[k] ^= from[i + k];
          }
        auto sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
        asm volatile("" : : "m"(sum));
      });
    workers.clear();
    auto seconds = std::chrono::duration<double>(clock::now() - begun).count();
    best = std::max(best, static_cast<double>(part * threads * sizeof(wide)) / seconds);
  }
  return best;
}

} // namespace virga::deploy
