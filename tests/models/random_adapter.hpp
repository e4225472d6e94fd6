// An adapter of random weights for a model, in a folder of its own. What is proven with it does not depend on training.
#pragma once

#include "tests/models/support.hpp"

#include <cmath>
#include <memory>
#include <random>

namespace virga::models::test {

class random_adapter {
public:
  random_adapter(const hf::model_folder& base, std::uint32_t split, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> noise;
    std::vector<std::vector<float>> values;
    std::vector<hf::tensor_view> tensors;
    for (auto& [name, shape] : hf::adapter_tensors(base.config())) {
      bool norm = shape.size() == 1;
      auto spread = norm ? 0.2f : 1.2f / std::sqrt(static_cast<float>(shape.back()));
      auto& v = values.emplace_back(norm ? shape[0] : shape[0] * shape[1]);
      for (auto& x : v)
        x = noise(random) * spread + (norm ? 1.f : 0.f);
      tensors.push_back({name, dtype::f32, shape, std::as_bytes(std::span(v))});
    }
    hf::write_adapter(dir(), {base.digest(), split}, base.config().num_hidden_layers, tensors);
  }

  fs::path dir() const { return root_ / "adapter"; }
  std::shared_ptr<const hf::adapter_folder> load() const { return std::make_shared<hf::adapter_folder>(dir()); }

private:
  scratch root_;
};

} // namespace virga::models::test
