// The checkpoint file: magic, the recipe as text, counters, then weights and both moments as f32 arrays.
#include "models/train/trainer.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace virga::models::train {

namespace {

constexpr std::string_view magic = "virga-train-2\n";

/// What must agree for a resumed run to be the same run.
std::string fingerprint(const recipe& r) {
  std::ostringstream out;
  const auto& s = r.shape;
  out << "model=" << r.name << " layers=" << s.layers << " hidden=" << s.hidden << " intermediate=" << s.intermediate
      << " heads=" << s.heads << " kv_heads=" << s.kv_heads << " head_dim=" << s.head_dim << " vocab=" << s.vocab
      << " world_seed=" << r.world_seed << " people=" << r.people << " seed=" << r.seed << " tokens=" << r.tokens
      << " peak_rate=" << r.peak_rate << " rows=" << r.rows << " width=" << r.width
      << " prompt_weight=" << r.prompt_weight << " bf16=" << (r.products == product_type::bf16);
  return out.str();
}

template <class T>
void put(std::ostream& out, const T& value) {
  out.write(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
void get(std::istream& in, T& value) {
  in.read(reinterpret_cast<char*>(&value), sizeof value);
}

void put_floats(std::ostream& out, std::span<const float> values) {
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}

void get_floats(std::istream& in, std::span<float> values) {
  in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}

} // namespace

void trainer::save(const std::filesystem::path& file) const {
  const auto partial = std::filesystem::path(file.string() + ".partial");
  {
    std::ofstream out(partial, std::ios::binary);
    const auto print = fingerprint(recipe_);
    out << magic << print << '\n';
    put(out, state_.step);
    put(out, state_.tokens);
    put(out, state_.seconds);
    put(out, state_.processor_seconds);
    put(out, state_.loss);
    put_floats(out, net_->weights());
    put_floats(out, optimiser_->first());
    put_floats(out, optimiser_->second());
    if (!out.flush()) {
      throw std::runtime_error("Cannot write the checkpoint " + partial.string() + ": is the disk full?");
    }
  }
  std::filesystem::rename(partial, file);
}

void trainer::load(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string first, print;
  if (!std::getline(in, first) || first + "\n" != magic || !std::getline(in, print)) {
    throw std::runtime_error(file.string() + " is not a training checkpoint; move it away to start anew.");
  }
  if (print != fingerprint(recipe_)) {
    throw std::runtime_error(file.string() + " belongs to another run.\n  there: " + print + "\n  asked: "
                             + fingerprint(recipe_) + "\nMove it away to start anew, or give the same options.");
  }
  auto state = state_;
  get(in, state.step);
  get(in, state.tokens);
  get(in, state.seconds);
  get(in, state.processor_seconds);
  get(in, state.loss);
  get_floats(in, net_->weights());
  get_floats(in, optimiser_->first());
  get_floats(in, optimiser_->second());
  if (!in || in.peek() != std::ifstream::traits_type::eof()) {
    throw std::runtime_error(file.string() + " is cut short or too long; move it away to start anew.");
  }
  state.resumed = true;
  state_ = state;
}

} // namespace virga::models::train
