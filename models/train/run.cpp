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

/// Appends to OUT/training.csv. After a resume, rows beyond the checkpoint are dropped first.
class curve {
public:
  curve(const std::filesystem::path& file, std::uint64_t resumed_at) {
    std::string kept = "step,tokens,seconds,processor_seconds,answer_loss,prompt_loss,tokens_per_second\n";
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
  void add(const progress& p) {
    char line[160];
    std::snprintf(line, sizeof line, "%llu,%llu,%.1f,%.1f,%.5f,%.5f,%.0f\n", static_cast<unsigned long long>(p.step),
                  static_cast<unsigned long long>(p.tokens), p.seconds, p.processor_seconds, p.loss.answer, p.loss.prompt,
                  p.tokens_per_second);
    out_ << line << std::flush;
  }

private:
  std::ofstream out_;
};

std::string minutes(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::max(seconds, 0.0)));
  char text[40];
  std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
  return text;
}

} // namespace

bool run(trainer& t, const std::filesystem::path& out, const run_options& options) {
  if (std::filesystem::exists(out / "model.safetensors")) {
    throw std::runtime_error(out.string() + " already holds a finished model: give another folder, or move it away.");
  }
  std::filesystem::create_directories(out);
  const auto checkpoint = out / "checkpoint.bin";
  if (std::filesystem::exists(checkpoint)) {
    t.load(checkpoint);
  }
  curve losses(out / "training.csv", t.state().step);
  auto saved = std::chrono::steady_clock::now();
  for (std::uint64_t done = 0; !t.finished(); ++done) {
    if (options.stop_after_steps > 0 && done == options.stop_after_steps) {
      t.save(checkpoint);
      return false;
    }
    t.step();
    options.report(t.state());
    if (t.state().step % curve_every == 0) {
      losses.add(t.state());
    }
    const std::chrono::duration<double> since = std::chrono::steady_clock::now() - saved;
    if (since.count() >= options.checkpoint_seconds) {
      t.save(checkpoint);
      saved = std::chrono::steady_clock::now();
    }
  }
  losses.add(t.state());
  t.save(checkpoint);  // a failing export must not cost the run
  export_folder(t.model(), t.words(), out);
  std::filesystem::remove(checkpoint);
  return true;
}

std::string progress_line(const progress& p) {
  const auto done = static_cast<double>(p.step) / static_cast<double>(std::max<std::uint64_t>(p.steps, 1));
  std::string bar(20, '.');
  std::fill_n(bar.begin(), static_cast<std::size_t>(std::clamp(done, 0.0, 1.0) * 20), '#');
  char text[160];
  std::snprintf(text, sizeof text, "[%s] %3.0f %%  loss %.4f  %.1fk tokens/s  %.2f M tokens  ETA %s", bar.c_str(),
                100 * done, p.loss.answer, p.tokens_per_second / 1000, static_cast<double>(p.tokens) / 1e6,
                minutes(p.seconds_left).c_str());
  return text;
}

} // namespace virga::models::train
