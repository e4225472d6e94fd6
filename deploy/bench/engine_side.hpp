// deploy/bench/engine_side.hpp: one side of `virga bench engine`: its variants, each a process with the weights loaded.
#pragma once

#include "deploy/bench/line_process.hpp"
#include "models/hf/folder.hpp"

#include <memory>

namespace virga::deploy {

struct side_options {
  std::string dtype_name;
  std::uint32_t threads = 1;
  std::uint64_t positions = 0;  ///< room for KV
};

class engine_side {
public:
  static engine_side engine(const std::filesystem::path& model, const side_options& o, bool libtorch_only);

  /// Writes the model as GGUF when that was not done yet. @param python "" for what setup.sh --bench installed
  /// @throws bad_input when that is missing
  static engine_side llama(const std::filesystem::path& model, const side_options& o, std::string python,
                           const std::function<void(const std::string&)>& say);

  double prefill(std::uint32_t tokens) { return best("prefill " + std::to_string(tokens)); }
  double decode(std::uint32_t tokens) { return best("decode " + std::to_string(tokens)); }
  std::vector<float> logits();

  /// The smallest answer of all variants. @throws failed
  double best(const std::string& command);

private:
  std::vector<std::unique_ptr<line_process>> variants_;
};

/// Bytes a second that so many threads read together from memory, the better of two.
double read_pace(std::uint32_t threads);

} // namespace virga::deploy
