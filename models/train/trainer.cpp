#include "models/train/trainer.hpp"

#include "models/train/checkpoint.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>
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
  const step_clock clock;
  const auto batch = training_batch(words_, world_, recipe_.seed, state_.step, packer_);
  const auto loss = net_->forward_backward(batch);
  optimiser_->update(net_->weights(), net_->gradients(),
                     learning_rate(recipe_.peak_rate, state_.step, state_.steps, recipe_.warmup), state_.step);
  state_.loss = {state_.smooth(state_.loss.answer, loss.answer), state_.smooth(state_.loss.prompt, loss.prompt)};
  clock.count_into(state_, batch.tokens);
}

std::vector<named_value> trainer::losses() const {
  return {{"answer_loss", state_.loss.answer}, {"prompt_loss", state_.loss.prompt}};
}

void trainer::save(const std::filesystem::path& file) const {
  write_checkpoint(file, fingerprint(recipe_), state_,
                   {std::as_bytes(net_->weights()), std::as_bytes(optimiser_->first()), std::as_bytes(optimiser_->second())});
}

void trainer::load(const std::filesystem::path& file) {
  read_checkpoint(file, fingerprint(recipe_), state_,
                  {std::as_writable_bytes(net_->weights()), std::as_writable_bytes(optimiser_->first()),
                   std::as_writable_bytes(optimiser_->second())});
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
