#include "models/train/adapter_trainer.hpp"

#include "models/hf/adapter.hpp"
#include "models/train/checkpoint.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace virga::models::train {

namespace {

adapter_recipe completed(adapter_recipe r, const hf::model_folder& base) {
  if (r.peak_rate == 0)
    r.peak_rate = default_rate(base.config().hidden_size);
  return r;
}

} // namespace

double default_rate(std::uint32_t hidden) { return 3e-3 * 160 / hidden; }

adapter_trainer::adapter_trainer(const hf::model_folder& base, adapter_recipe r, adapter_features& features,
                                 adapter_data& data)
    : base_(base), recipe_(completed(r, base)), features_(features), data_(data),
      net_(std::make_unique<adapter_net>(base, recipe_.seed)),
      optimiser_(std::make_unique<adamw>(net_->weights().size(), adamw_options{})) {
  state_.steps = (recipe_.tokens + recipe_.batch_tokens - 1) / recipe_.batch_tokens;
  recipe_.warmup = std::clamp<std::uint64_t>(state_.steps / 10, 1, recipe_.warmup);
}

void adapter_trainer::step() {
  const step_clock clock;
  auto examples = data_.batch(recipe_.seed, state_.step, recipe_.batch_tokens);
  auto loss = net_->forward_backward(features_.of(examples), recipe_.weights);
  optimiser_->update(net_->weights(), net_->gradients(),
                    learning_rate(recipe_.peak_rate, state_.step, state_.steps, recipe_.warmup), state_.step);
  auto smooth = [&](double& mean, double value) { mean = state_.smooth(mean, value); };
  smooth(loss_.total, loss.total);
  smooth(loss_.hidden, loss.hidden);
  smooth(loss_.tokens, loss.tokens);
  smooth(loss_.agreement, loss.agreement);
  state_.loss.answer = loss_.total;
  std::uint64_t tokens = 0;
  for (auto& e : examples)
    tokens += e.ids.size();
  clock.count_into(state_, tokens);
}

std::vector<named_value> adapter_trainer::losses() const {
  return {{"loss", loss_.total},
          {"smooth_l1", loss_.hidden},
          {"cross_entropy", loss_.tokens},
          {"agreement", loss_.agreement}};
}

std::string adapter_trainer::fingerprint() const {
  std::ostringstream out;
  out << "adapter of=" << base_.digest() << " split=" << recipe_.split << " seed=" << recipe_.seed
      << " tokens=" << recipe_.tokens << " peak_rate=" << recipe_.peak_rate << " warmup=" << recipe_.warmup
      << " batch_tokens=" << recipe_.batch_tokens << " hidden_weight=" << recipe_.weights.hidden
      << " token_weight=" << recipe_.weights.tokens << " data=" << data_.description();
  return out.str();
}

void adapter_trainer::save(const std::filesystem::path& file) const {
  write_checkpoint(file, fingerprint(), state_,
                   {std::as_bytes(net_->weights()), std::as_bytes(optimiser_->first()),
                    std::as_bytes(optimiser_->second()), std::as_bytes(std::span(&loss_, 1))});
}

void adapter_trainer::load(const std::filesystem::path& file) {
  read_checkpoint(file, fingerprint(), state_,
                  {std::as_writable_bytes(net_->weights()), std::as_writable_bytes(optimiser_->first()),
                   std::as_writable_bytes(optimiser_->second()), std::as_writable_bytes(std::span(&loss_, 1))});
}

adapter_loss adapter_trainer::held_out_loss() {
  adapter_loss sum;
  double places = 0;
  std::span<const example> rest = data_.held_out();
  while (!rest.empty()) {
    std::size_t count = 0;
    for (std::size_t tokens = 0; count < rest.size() && tokens < recipe_.batch_tokens; ++count)
      tokens += rest[count].ids.size();
    auto batch = features_.of(rest.first(count));
    auto loss = net_->loss(batch, recipe_.weights);
    auto n = static_cast<double>(batch.counted.size());
    sum.hidden += n * loss.hidden;
    sum.tokens += n * loss.tokens;
    sum.agreement += n * loss.agreement;
    places += n;
    rest = rest.subspan(count);
  }
  sum = {0, sum.hidden / places, sum.tokens / places, sum.agreement / places};
  sum.total = recipe_.weights.hidden * sum.hidden + recipe_.weights.tokens * sum.tokens;
  return sum;
}

void check_free(const std::filesystem::path& out) {
  if (std::filesystem::exists(out / "adapter_config.json"))  // the file that is written last
    throw std::invalid_argument(out.string() + " already holds an adapter: give another folder, or move it away");
}

bool run(adapter_trainer& t, const std::filesystem::path& out, const run_options& options) {
  check_free(out);
  if (!run_steps(t, out, options))
    return false;
  std::vector<hf::tensor_view> tensors;
  auto weights = t.net().weights();
  for (auto& p : t.net().parameters())
    tensors.push_back({p.name, dtype::f32, p.shape, std::as_bytes(weights.subspan(p.offset, p.size()))});
  auto& base = t.base();
  hf::write_adapter(out, {base.digest(), t.how().split}, base.config().num_hidden_layers, tensors);
  std::filesystem::remove(out / "checkpoint.bin");
  return true;
}

} // namespace virga::models::train
