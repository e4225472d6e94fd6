// models/shard.hpp: the one door to every model. A shard is a list of stages; a step runs a ragged batch of segments
// through some of them. Two shards stand behind this interface: reference/ (plain C++, fixed order, the oracle) and
// torch/ (the product). No torch in sight. Not thread-safe: one engine owns one shard.
#pragma once

#include "messages/types.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace virga::models {

/// What a stage is. `layers` and `adapter` have KV.
enum class stage_kind : std::uint8_t { embedding, layers, head, adapter };

/// One piece of a model. For `layers`: decoder layers [first, last) of the whole model. `adapter` (hf/adapter.hpp) goes from the
/// rows of the decoder layers below `first` to the head's matrix; last is first. Else both are 0.
/// `head` is the final norm and the output projection; rows that come from an adapter have its norm instead.
struct stage {
  stage_kind kind = stage_kind::layers;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  bool operator==(const stage&) const = default;
};

/// "embedding, layers 0-1, head" (layers inclusive, as people say it).
std::string describe(std::span<const stage> stages);

struct shard_info {
  std::vector<stage> stages;        ///< in the order in which a token passes them
  std::uint32_t model_layers = 0;   ///< of the whole model
  std::uint32_t hidden = 0;
  std::uint32_t vocab = 0;
  std::uint32_t max_positions = 0;  ///< context
  dtype compute = dtype::f32;       ///< dtype of all rows and logits in and out: f64 or f32
  dtype weights = dtype::f32;       ///< as `compute`, or bf16, int8 or int4 below f32 rows
  std::string model_digest;         ///< of the whole model, also when only a part is held
  dtype kv = dtype::f32;            ///< of keys and values as they are kept
};

/// A KV history: one per (sequence, stage, layer). 0 is never a sequence.
enum class sequence : std::uint64_t {};

/// Of wants::rows_stage: the last stage of the segment.
inline constexpr std::uint32_t last_stage_run = UINT32_MAX;

/// What a segment shall bring back.
struct wants {
  rows_wanted rows = rows_wanted::none;    ///< hidden rows behind `rows_stage` (not `head`), [1 or count, hidden]
  std::uint32_t rows_stage = last_stage_run;  ///< index into shard_info::stages, of a stage that the segment runs
  rows_wanted logits = rows_wanted::none;  ///< of a `head` run, [1 or count, vocab]; large: tests and scoring only
  rows_wanted tokens = rows_wanted::none;  ///< choices of a `head` run, 1 or count of them
  sampling choose;                         ///< for `tokens`
  std::uint32_t top_n = 0;                 ///< best ids with their log-probability in each choice
  std::uint32_t alternatives = 0;          ///< runners-up in each choice
  /// Where `choose` looks back: the tokens at the positions 0 .. base + count - 1, of which the first `prompt_tokens` are
  /// the prompt. Else empty.
  std::vector<token_id> context;
  std::uint32_t prompt_tokens = 0;
};

/// One piece of work for one sequence. Row i stands at absolute position base + i; a query at position p sees the keys
/// of positions 0..p of its own sequence. (Own positions and masks per row come with the strategies that need them.)
struct segment {
  sequence seq{};
  std::uint32_t first_stage = 0;  ///< index into shard_info::stages
  std::uint32_t last_stage = 0;   ///< inclusive
  std::uint64_t base = 0;         ///< must equal length(seq, s) of every `layers` stage s passed
  std::vector<token_id> tokens;   ///< input when first_stage is the embedding
  tensor rows;                    ///< input otherwise: [count, hidden] in shard_info::compute
  wants want;
};

/// One chosen token. The choice for row i is keyed by its own position base + i + 1 (see sampler.hpp).
struct choice {
  token_id id = 0;
  double logprob = 0;     ///< of `id`, natural logarithm, of the model's own distribution: before bias, penalties, temperature
  double confidence = 0;  ///< the largest probability of that distribution
  std::vector<scored_token> top;  ///< without texts
  std::vector<token_id> alternatives{};  ///< what would be chosen without `id`, best first, noise and filters included
};

/// As answers tell it: `id` with its log-probability, and the likeliest.
inline token_logprobs logprobs_of(const choice& c) { return {{c.id, c.logprob}, c.top}; }

struct segment_result {
  tensor rows;
  tensor logits;
  std::vector<choice> choices;
};

// -- errors: the few exceptions of models/ ----------------------------------------------------------------------------

/// base is not the length of the cache.
struct stale_position : std::runtime_error {
  explicit stale_position(std::uint64_t have, std::uint64_t asked);
  std::uint64_t length;  ///< positions the cache holds
};

/// Not enough KV memory; nothing was changed.
struct out_of_pages : std::runtime_error {
  explicit out_of_pages(std::uint64_t needed, std::uint64_t left);
  std::uint64_t bytes_free;
};

/// A segment that can never run: wrong stage, shape, dtype, token id, or beyond the context. Nothing was changed.
struct bad_segment : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A model folder that cannot be loaded. One sentence: file, place, both values, cure.
struct bad_model : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// ---------------------------------------------------------------------------------------------------------------------

/// A list of stages with their KV. Errors are thrown before anything changes.
class shard {
public:
  virtual ~shard() = default;
  shard() = default;
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;

  virtual const shard_info& info() const = 0;

  /// A new, empty sequence.
  virtual sequence open() = 0;

  /// A new sequence that shares the first `length` positions of `seq` in every stage, without copying them. When it ends
  /// inside a page, the first of the two to go on pays for a copy of that page in each layer.
  /// @throws stale_position when a stage holds fewer; bad_segment for an unknown sequence
  virtual sequence fork(sequence seq, std::uint64_t length) = 0;

  /// Forgets all positions from `length` on, in every stage. O(1). No effect on forks. Longer than the cache: no-op.
  /// Unknown sequence: bad_segment.
  virtual void truncate(sequence seq, std::uint64_t length) = 0;

  /// Frees the sequence. Unknown ones are ignored.
  virtual void close(sequence seq) = 0;

  /// Positions held by stage `stage_index` (0 for stages without KV). Unknown sequence: bad_segment.
  virtual std::uint64_t length(sequence seq, std::uint32_t stage_index) const = 0;

  /// Keys and values of the positions [first, first + count) in decoder layer `layer` of a stage, counted from 0:
  /// [count, 2 * kv heads * head size] in shard_info::compute, a row's keys before its values.
  /// @throws stale_position when the layer holds fewer; bad_segment for what is not there, or a shard that keeps none
  virtual tensor kv_rows(sequence seq, std::uint32_t stage_index, std::uint32_t layer, std::uint64_t first, std::uint32_t count) const;

  /// The positions [first, first + count) of every layer of a stage, bit for bit as they are kept: a slice for each
  /// layer, its rows in shard_info::kv. For migration.
  /// @throws as kv_rows
  virtual std::vector<kv_slice> export_kv(sequence seq, std::uint32_t stage_index, std::uint64_t first,
                                          std::uint32_t count) const;

  /// Appends what export_kv() of a shard with the same weights and stages gave: the sequence goes on as if those
  /// positions had run here.
  /// @param slices of one stage or more, in any order; of each stage all layers, from its length on, equally long
  /// @throws stale_position, out_of_pages; bad_segment for slices that do not fit or are not finite, or a shard that
  /// keeps none; nothing was changed
  virtual void import_kv(sequence seq, std::span<const kv_slice> slices);

  /// Runs one ragged batch. At most one segment per sequence.
  /// @returns one result per segment, in order
  /// @throws stale_position, out_of_pages, bad_segment; no segment of the batch has then changed its cache
  virtual std::vector<segment_result> step(std::span<const segment> batch) = 0;

  /// KV bytes in use, and the bound given at construction.
  virtual std::uint64_t kv_bytes() const = 0;
  virtual std::uint64_t kv_bytes_limit() const = 0;

  /// KV bytes that `positions` more positions of one sequence cost over all stages held.
  virtual std::uint64_t kv_bytes_for(std::uint64_t positions) const = 0;

  /// KV bytes that closing all of these would give back: of pages that no other sequence sees. Unknown ones count
  /// nothing.
  virtual std::uint64_t kv_bytes_held_by(std::span<const sequence> these) const = 0;
};

} // namespace virga::models
