#include "models/train/run.hpp"

#include "models/train/export.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace virga::models::train {

namespace {

constexpr std::uint64_t curve_every = 100;  // steps

template <class... Args>
std::string print(const char* format, Args... args) {
  char out[200];
  std::snprintf(out, sizeof out, format, args...);
  return out;
}

/// Appends to OUT/training.csv. After a resume, rows beyond the checkpoint are dropped first.
class curve {
public:
  curve(const std::filesystem::path& file, const stepwise& t) {
    const auto resumed_at = t.state().step;
    std::string kept = "step,tokens,seconds,processor_seconds,";
    for (const auto& loss : t.losses()) {
      kept += loss.name + ',';
    }
    kept += "tokens_per_second\n";
    std::ifstream old(file);
    for (std::string line; std::getline(old, line);) {
      const auto step = std::strtoull(line.c_str(), nullptr, 10);
      if (step > 0 && step <= resumed_at) {
        kept += line + '\n';
      }
    }
    old.close();
    out_.open(file, std::ios::trunc);
    out_ << kept;
  }
  void add(const stepwise& t) {
    const auto& p = t.state();
    out_ << print("%llu,%llu,", static_cast<unsigned long long>(p.step), static_cast<unsigned long long>(p.tokens))
         << print("%.1f,%.1f,", p.seconds, p.processor_seconds);
    for (const auto& loss : t.losses()) {
      out_ << print("%.5f,", loss.value);
    }
    out_ << print("%.0f\n", p.tokens_per_second) << std::flush;
  }

private:
  std::ofstream out_;
};

std::string minutes(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::max(seconds, 0.0)));
  return print("%lld:%02lld", whole / 60, whole % 60);
}

} // namespace

bool run_steps(stepwise& t, const std::filesystem::path& out, const run_options& options) {
  std::filesystem::create_directories(out);
  const auto checkpoint = out / "checkpoint.bin";
  if (std::filesystem::exists(checkpoint)) {
    t.load(checkpoint);
  }
  curve losses(out / "training.csv", t);
  auto saved = std::chrono::steady_clock::now();
  for (std::uint64_t done = 0; !t.finished(); ++done) {
    if (options.stop_after_steps > 0 && done == options.stop_after_steps) {
      t.save(checkpoint);
      return false;
    }
    t.step();
    options.report(t.state());
    if (t.state().step % curve_every == 0) {
      losses.add(t);
    }
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - saved;
    if (since.count() >= options.checkpoint_seconds) {
      t.save(checkpoint);
      saved = std::chrono::steady_clock::now();
    }
  }
  losses.add(t);
  t.save(checkpoint);  // a failing export must not cost the run
  return true;
}

bool run(trainer& t, const std::filesystem::path& out, const run_options& options) {
  if (std::filesystem::exists(out / "model.safetensors")) {
    throw std::runtime_error(out.string() + " already holds a finished model: give another folder, or move it away.");
  }
  if (!run_steps(t, out, options)) {
    return false;
  }
  export_folder(t.model(), t.words(), out);
  std::filesystem::remove(out / "checkpoint.bin");
  return true;
}

std::string progress_line(const progress& p) {
  const auto done = static_cast<double>(p.step) / static_cast<double>(std::max<std::uint64_t>(p.steps, 1));
  std::string bar(20, '.');
  std::fill_n(bar.begin(), static_cast<std::size_t>(std::clamp(done, 0.0, 1.0) * 20), '#');
  return print("[%s] %3.0f %%  loss %.4f  %.1fk tokens/s  %.2f M tokens  ETA %s", bar.c_str(), 100 * done, p.loss.answer,
               p.tokens_per_second / 1000, static_cast<double>(p.tokens) / 1e6, minutes(p.seconds_left).c_str());
}

} // namespace virga::models::train
