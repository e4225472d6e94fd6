#include "models/train/trainer.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <stdexcept>

namespace virga::models::train {

namespace {

net_shape with_vocabulary(net_shape shape, const world::vocabulary& words) {
  shape.vocab = words.size();
  return shape;
}

/// Tokens of a batch vary a little with the examples; the number of steps is fixed by the share that packing reaches.
std::uint64_t steps_for(const recipe& r) {
  constexpr double filled = 0.95;
  return static_cast<std::uint64_t>(std::ceil(static_cast<double>(r.tokens) / (filled * r.rows * r.width)));
}

bool all_right(const packed_batch& batch, const std::vector<float>& logits, std::uint32_t vocab, std::size_t from,
               std::size_t to) {
  for (auto place = from; place < to; ++place) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(place * vocab);
    if (batch.is_answer[place] && std::max_element(row, row + vocab) - row != batch.targets[place]) {
      return false;
    }
  }
  return true;
}

} // namespace

recipe named_recipe(const std::string& name) {
  recipe r;
  r.name = name;
  if (name == "cloud") {
    r.shape = {.layers = 4, .hidden = 160, .intermediate = 432, .heads = 4, .kv_heads = 4, .head_dim = 40};
    r.tokens = 28'000'000;
    r.peak_rate = 3e-3;
  } else if (name == "edge-m") {
    r.shape = {.layers = 2, .hidden = 64, .intermediate = 172, .heads = 2, .kv_heads = 2, .head_dim = 32};
    r.tokens = 30'000'000;
    r.peak_rate = 4e-3;
  } else if (name == "edge-s") {
    r.shape = {.layers = 2, .hidden = 40, .intermediate = 104, .heads = 2, .kv_heads = 2, .head_dim = 20};
    r.tokens = 33'000'000;
    r.peak_rate = 4e-3;
  } else {
    throw std::invalid_argument("There is no recipe '" + name + "': use cloud, edge-m or edge-s.");
  }
  return r;
}

trainer::trainer(recipe r)
    : recipe_(std::move(r)),
      world_(recipe_.world_seed, recipe_.people),
      packer_(recipe_.rows, recipe_.width, static_cast<float>(recipe_.prompt_weight)) {
  recipe_.shape = with_vocabulary(recipe_.shape, words_);
  net_ = std::make_unique<net>(recipe_.shape, recipe_.seed, recipe_.products);
  optimiser_ = std::make_unique<adamw>(net_->weights().size(), adamw_options{});
  state_.steps = steps_for(recipe_);
}

void trainer::step() {
  const auto start = std::chrono::steady_clock::now();
  const auto processor_start = std::clock();
  const auto batch = training_batch(words_, world_, recipe_.seed, state_.step, packer_);
  const auto loss = net_->forward_backward(batch);
  optimiser_->update(net_->weights(), net_->gradients(),
                     learning_rate(recipe_.peak_rate, state_.step, state_.steps, recipe_.warmup), state_.step);
  const auto keep = std::min(0.98, static_cast<double>(state_.step) / static_cast<double>(state_.step + 1));
  state_.loss.answer = keep * state_.loss.answer + (1 - keep) * loss.answer;
  state_.loss.prompt = keep * state_.loss.prompt + (1 - keep) * loss.prompt;
  state_.tokens += batch.tokens;
  ++state_.step;
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  state_.seconds += took.count();
  state_.processor_seconds += static_cast<double>(std::clock() - processor_start) / CLOCKS_PER_SEC;
  const auto rate = static_cast<double>(batch.tokens) / took.count();
  state_.tokens_per_second = state_.tokens_per_second > 0 ? 0.95 * state_.tokens_per_second + 0.05 * rate : rate;
  state_.seconds_left = static_cast<double>(state_.steps - state_.step) * static_cast<double>(batch.tokens)
                        / state_.tokens_per_second;
}

std::map<world::task_kind, exact_count> trainer::evaluate(world::split s, std::uint64_t seed,
                                                          std::uint32_t questions) {
  std::map<world::task_kind, exact_count> counts;
  world::random_source random(seed);
  const world::mixture mix;
  packer pack(recipe_.rows, recipe_.width, 0);
  std::vector<world::task_kind> kinds;
  std::uint32_t asked = 0;
  const auto score = [&] {
    const auto batch = pack.take();
    const auto logits = net_->logits(batch);
    for (std::size_t at = 0; at < batch.segments.size();) {
      auto end = at + 1;
      while (end < batch.segments.size() && batch.segments[end] == batch.segments[at] && end % batch.width != 0) {
        ++end;
      }
      if (batch.segments[at] != 0) {
        auto& count = counts[kinds[batch.segments[at] - 1]];
        ++count.asked;
        count.right += all_right(batch, logits, recipe_.shape.vocab, at, end) ? 1 : 0;
      }
      at = end;
    }
    kinds.clear();
  };
  while (asked < questions) {
    const auto r = world::draw_request(world_, s, mix, random);
    const auto e = make_example(words_, world_, r);
    if (!pack.add(e)) {
      score();
      pack.add(e);
    }
    kinds.push_back(r.kind);
    ++asked;
  }
  score();
  return counts;
}

} // namespace virga::models::train
