#include "models/train/checkpoint.hpp"

#include <fstream>
#include <stdexcept>

namespace virga::models::train {

namespace {

constexpr std::string_view magic = "virga-train-2\n";

template <class T>
void put(std::ostream& out, const T& value) {
  out.write(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
void get(std::istream& in, T& value) {
  in.read(reinterpret_cast<char*>(&value), sizeof value);
}

} // namespace

void write_checkpoint(const std::filesystem::path& file, const std::string& run, const progress& p,
                      const std::vector<std::span<const std::byte>>& arrays) {
  const auto partial = std::filesystem::path(file.string() + ".partial");
  {
    std::ofstream out(partial, std::ios::binary);
    out << magic << run << '\n';
    put(out, p.step);
    put(out, p.tokens);
    put(out, p.seconds);
    put(out, p.processor_seconds);
    put(out, p.loss);
    for (const auto& bytes : arrays) {
      out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    }
    if (!out.flush()) {
      throw std::runtime_error("Cannot write the checkpoint " + partial.string() + ": is the disk full?");
    }
  }
  std::filesystem::rename(partial, file);
}

void read_checkpoint(const std::filesystem::path& file, const std::string& run, progress& p,
                     const std::vector<std::span<std::byte>>& arrays) {
  std::ifstream in(file, std::ios::binary);
  std::string first, print;
  if (!std::getline(in, first) || first + "\n" != magic || !std::getline(in, print)) {
    throw std::runtime_error(file.string() + " is not a training checkpoint; move it away to start anew.");
  }
  if (print != run) {
    throw std::runtime_error(file.string() + " belongs to another run.\n  there: " + print + "\n  asked: " + run
                             + "\nMove it away to start anew, or give the same options.");
  }
  auto state = p;
  get(in, state.step);
  get(in, state.tokens);
  get(in, state.seconds);
  get(in, state.processor_seconds);
  get(in, state.loss);
  for (const auto& bytes : arrays) {
    in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  if (!in || in.peek() != std::ifstream::traits_type::eof()) {
    throw std::runtime_error(file.string() + " is cut short or too long; move it away to start anew.");
  }
  state.resumed = true;
  p = state;
}

} // namespace virga::models::train
