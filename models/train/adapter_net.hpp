// models/train/adapter_net.hpp: the adapter of hf/adapter.hpp while it is trained, between frozen layers and a frozen
// head.
//   loss = mean over counted places of [ a * mean over hidden of SmoothL1(z, y) - b * sum over v of p_v log q_v ]
//   z: the adapter's output, y: the model's own normed last hidden row there, p = softmax(head(y)), q =
//   softmax(head(z))
// Source: HAT (arXiv 2503.18989) with a = 1, b = 0.1, which are EAGLE's weights (Li et al. 2024).
// Memory beside the batch: a dozen arrays of its size, and logits of a block of places at a time, in at most six arrays
// of 64 MiB, whatever the vocabulary; the head's matrix in f32.
#pragma once

#include "models/hf/folder.hpp"
#include "models/train/attention.hpp"
#include "models/train/net.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace virga::models::train {

/// What the frozen model makes of some examples. All rows f32, row-major.
struct adapter_batch {
  std::vector<fused::stretch> examples;  ///< their places, one after the other; each counts its positions from 0
  std::vector<std::int64_t> counted;     ///< places that the loss counts, at least one
  std::vector<float> x;                  ///< [places, hidden] rows behind the layers below the adapter
  std::vector<float> y;                  ///< [counted, hidden] last hidden rows, normed
};

struct loss_weights {
  double hidden = 1, tokens = 0.1;  ///< of SmoothL1 and of the cross-entropy
  bool operator==(const loss_weights&) const = default;
};

/// Means over the counted places.
struct adapter_loss {
  double total = 0;
  double hidden = 0;     ///< SmoothL1
  double tokens = 0;     ///< cross-entropy, natural logarithm; with a perfect adapter the entropy of p
  double agreement = 0;  ///< share of places where the likeliest token of q is that of p
};

class adapter_net {
public:
  /// Fresh weights from the seed: projections normal, deviation 0.5 / sqrt(inputs), the output's less by sqrt 2; first
  /// norm 1, last norm the model's. @param base a whole model; read here, not kept
  adapter_net(const hf::model_folder& base, std::uint64_t seed);
  ~adapter_net();
  adapter_net(const adapter_net&) = delete;
  adapter_net& operator=(const adapter_net&) = delete;

  /// Names and shapes of hf::adapter_tensors().
  const std::vector<parameter>& parameters() const;
  std::span<float> weights();
  std::span<const float> gradients() const;

  /// z [places, hidden].
  std::vector<float> forward(const adapter_batch& batch);

  adapter_loss loss(const adapter_batch& batch, const loss_weights& w);

  /// The same, and its gradient by every weight into gradients() (earlier ones are overwritten).
  adapter_loss forward_backward(const adapter_batch& batch, const loss_weights& w);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace virga::models::train
