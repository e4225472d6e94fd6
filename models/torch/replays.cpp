#include "models/torch/replays_impl.hpp"

#include "models/defaults.hpp"

#include <algorithm>

namespace virga::models::torch_impl {

replays::replays(at::Device device, std::unique_ptr<recorder> graphs, std::size_t most)
    : device_(device), graphs_(std::move(graphs)), most_(most) {}

const step_output& replays::run(const step_shape& shape, const at::Tensor& numbers, const at::Tensor& rows,
                                step_work work) {
  auto& e = entry_of(shape, numbers, rows, std::move(work));
  e.last_use = ++uses_;
  e.numbers.copy_(numbers, true);
  if (rows.defined())
    e.rows.copy_(rows, true);
  if (!e.graph && graphs_ && e.warm)
    record(e);
  if (e.graph)
    e.graph->replay();
  else
    e.output = e.work(e.numbers, e.rows);
  e.warm = true;
  return e.output;
}

replays::entry& replays::entry_of(const step_shape& shape, const at::Tensor& numbers, const at::Tensor& rows,
                                  step_work work) {
  auto at = entries_.find(shape);
  if (at != entries_.end())
    return at->second;
  if (entries_.size() >= most_)
    entries_.erase(std::ranges::min_element(entries_, {}, [](auto& one) { return one.second.last_use; }));
  auto& e = entries_[shape];
  e.work = std::move(work);
  e.numbers = at::empty_like(numbers, at::TensorOptions(device_).pinned_memory(false));
  if (rows.defined())
    e.rows = at::empty_like(rows, at::TensorOptions(device_).pinned_memory(false));
  return e;
}

/// The step before was the warm-up: it loaded the kernels, chose the libraries' plans and has the shapes of the output.
void replays::record(entry& e) {
  step_output places;
  for (auto& rows : e.output.rows)
    places.rows.push_back(place(places.rows.size() + 1, rows));
  if (e.output.logits.defined())
    places.logits = place(0, e.output.logits);
  try {
    e.graph = graphs_->record([&e, places] {
      auto made = e.work(e.numbers, e.rows);
      for (std::size_t i = 0; i < made.rows.size(); ++i)
        places.rows[i].copy_(made.rows[i]);
      if (made.logits.defined())
        places.logits.copy_(made.logits);
    });
    e.output = places;
    ++recorded_;
  } catch (const c10::Error& error) {
    graphs_.reset();
    TORCH_WARN("no CUDA graphs from here on, so steps are slower: ", error.what_without_backtrace());
  }
}

/// Room for an output of a graph. All graphs share it, since one step is under way at a time.
at::Tensor replays::place(std::size_t index, const at::Tensor& like) {
  if (places_.size() <= index)
    places_.resize(index + 1);
  auto& room = places_[index];
  if (!room.defined() || room.size(0) < like.size(0)) {
    auto sizes = like.sizes().vec();
    sizes.front() = std::max(sizes.front(), defaults::device_fixed_rows);
    room = at::empty(sizes, like.options());
  }
  return room.narrow(0, 0, like.size(0));
}

} // namespace virga::models::torch_impl
