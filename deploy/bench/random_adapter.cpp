#include "deploy/bench/random_adapter.hpp"

#include "models/hf/adapter.hpp"
#include "models/world/random.hpp"

#include <cmath>
#include <numbers>
#include <numeric>

namespace virga::deploy {

void write_random_adapter(const std::filesystem::path& model, std::uint32_t split, const std::filesystem::path& dir) {
  const models::hf::model_folder base(model);
  models::world::random_source random(1);
  auto normal = [&] {  // Box and Muller 1958
    return std::sqrt(-2 * std::log(random.uniform())) * std::cos(2 * std::numbers::pi * random.uniform());
  };
  std::vector<std::vector<float>> values;
  std::vector<models::hf::tensor_view> tensors;
  for (const auto& [name, shape] : models::hf::adapter_tensors(base.config())) {
    auto& v = values.emplace_back(std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, std::multiplies<>()), 1.f);
    if (shape.size() == 2)
      for (auto& x : v)
        x = static_cast<float>(normal() / std::sqrt(static_cast<double>(shape[1])));
    tensors.push_back({name, dtype::f32, shape, std::as_bytes(std::span(v))});
  }
  models::hf::write_adapter(dir, {base.digest(), split}, base.config().num_hidden_layers, tensors);
}

} // namespace virga::deploy
