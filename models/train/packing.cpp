#include "models/train/packing.hpp"

#include <stdexcept>
#include <string>

namespace virga::models::train {

example make_example(const world::vocabulary& words, const world::world& w, const world::request& r) {
  example e;
  e.ids.push_back(world::vocabulary::bos);
  for (const auto& word : world::prompt_of(w, r)) {
    e.ids.push_back(words.id_of(word.text));
  }
  e.answer = e.ids.size();
  for (const auto& word : world::answer_of(w, r)) {
    e.ids.push_back(words.id_of(word.text));
  }
  e.ids.push_back(world::vocabulary::eos);
  return e;
}

packer::packer(std::uint32_t rows, std::uint32_t width, float prompt_weight) : prompt_weight_(prompt_weight) {
  batch_.rows = rows;
  batch_.width = width;
  clear();
}

void packer::clear() {
  const auto places = std::size_t{batch_.rows} * batch_.width;
  batch_.ids.assign(places, world::vocabulary::pad);
  batch_.targets.assign(places, world::vocabulary::pad);
  batch_.weights.assign(places, 0);
  batch_.is_answer.assign(places, 0);
  batch_.segments.assign(places, 0);
  batch_.positions.assign(places, 0);
  batch_.tokens = 0;
  used_.assign(batch_.rows, 0);
  examples_ = 0;
}

bool packer::add(const example& e) {
  const auto length = static_cast<std::uint32_t>(e.ids.size());
  if (length > batch_.width) {
    throw std::invalid_argument("An example of " + std::to_string(length) + " tokens does not fit into a row of "
                                + std::to_string(batch_.width) + ".");
  }
  std::uint32_t row = 0;
  while (row < batch_.rows && used_[row] + length > batch_.width) {
    ++row;
  }
  if (row == batch_.rows) {
    return false;
  }
  ++examples_;
  auto at = std::size_t{row} * batch_.width + used_[row];
  for (std::uint32_t i = 0; i < length; ++i, ++at) {
    const bool has_target = i + 1 < length;
    batch_.ids[at] = e.ids[i];
    batch_.segments[at] = examples_;
    batch_.positions[at] = i;
    batch_.targets[at] = has_target ? e.ids[i + 1] : world::vocabulary::pad;
    batch_.is_answer[at] = has_target && i + 1 >= e.answer;
    batch_.weights[at] = !has_target ? 0 : batch_.is_answer[at] ? 1 : prompt_weight_;
  }
  used_[row] += length;
  batch_.tokens += length;
  return true;
}

packed_batch packer::take() {
  auto full = batch_;
  clear();
  return full;
}

packed_batch training_batch(const world::vocabulary& words, const world::world& w, std::uint64_t seed,
                            std::uint64_t step, packer& into) {
  world::random_source random(world::mix64(seed, step));
  const world::mixture mix;
  while (into.add(make_example(words, w, world::draw_request(w, world::split::train, mix, random)))) {
  }
  return into.take();
}

} // namespace virga::models::train
