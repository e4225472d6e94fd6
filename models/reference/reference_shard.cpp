#include "models/paged_shard.hpp"
#include "models/reference/layer.hpp"
#include "models/sampler.hpp"

#include <cstring>

namespace virga::models {

namespace {

using namespace reference;

template <class Real>
constexpr dtype dtype_of = sizeof(Real) == 8 ? dtype::f64 : dtype::f32;

/// The last or all rows as they travel.
template <class Real>
tensor to_tensor(const rows<Real>& x, std::size_t width, rows_wanted which) {
  auto count = which == rows_wanted::all ? x.size() / width : 1;
  tensor t{dtype_of<Real>, static_cast<std::uint32_t>(count), static_cast<std::uint32_t>(width), {}};
  t.data.resize(count * width * sizeof(Real));
  std::memcpy(t.data.data(), x.data() + x.size() - count * width, t.data.size());
  return t;
}

template <class Real>
class reference_shard final : public paged_shard {
public:
  reference_shard(const hf::model_folder& folder, const shard_options& options)
      : paged_shard(folder, options), config_(folder.config()),
        shape_{config_.num_attention_heads, config_.num_key_value_heads, config_.head_dim},
        rotary_(config_) {
    for (auto& s : info().stages)
      if (s.kind == stage_kind::adapter)
        layers_.emplace_back(*options.adapter, config_.rms_norm_eps);
      else
        load(folder, s);
  }

private:
  void load(const hf::model_folder& f, const stage& s) {
    const std::string table = "model.embed_tokens.weight";
    if (s.kind == stage_kind::embedding)
      embedding_ = hf::to_reals<Real>(f.weight(table));
    if (s.kind == stage_kind::head) {
      norm_ = hf::to_reals<Real>(f.weight("model.norm.weight"));
      head_ = matrix<Real>(f.weight(config_.tie_word_embeddings ? table : "lm_head.weight"));
    }
    for (auto i = s.first; s.kind == stage_kind::layers && i < s.last; ++i)
      layers_.emplace_back(f, i);
  }

  std::vector<segment_result> run(std::span<const segment> batch) override {
    std::vector<segment_result> out;
    for (auto& s : batch)
      out.push_back(run(s));
    return out;
  }

  segment_result run(const segment& s) {
    auto x = input(s);
    angles<Real> turn(rotary_, shape_.dim, s.base, row_count(s));
    segment_result r;
    for (auto i = s.first_stage; i <= s.last_stage; ++i) {
      for (auto l = first_lane(i); l < first_lane(i + 1); ++l)
        run_layer(layers_[l], x, turn, s.base, pages_of(lane(s.seq, l)));
      if (i == tapped(s))
        r.rows = to_tensor(x, info().hidden, s.want.rows);
    }
    if (info().stages[s.last_stage].kind == stage_kind::head)
      decide(s, x, r);
    return r;
  }

  void run_layer(const layer<Real>& l, rows<Real>& x, const angles<Real>& turn, std::uint64_t base,
                 const std::vector<Real*>& pages) const {
    auto eps = config_.rms_norm_eps;
    add(x, attention(l, rms_norm(x, l.attention_norm, eps), shape_, turn, base, pages));
    if (l.output_norm.empty())
      add(x, mlp(l, rms_norm(x, l.mlp_norm, eps)));
    else
      x = rms_norm(x, l.output_norm, eps);
  }

  rows<Real> input(const segment& s) const {
    rows<Real> x(row_count(s) * std::size_t{info().hidden});
    for (std::size_t i = 0; i < s.tokens.size(); ++i)
      std::copy_n(&embedding_[std::size_t{s.tokens[i]} * info().hidden], info().hidden, &x[i * info().hidden]);
    if (s.tokens.empty())
      std::memcpy(x.data(), s.rows.data.data(), s.rows.data.size());
    return x;
  }

  /// The head over as many rows as anything wanted needs.
  void decide(const segment& s, rows<Real>& x, segment_result& r) const {
    auto& w = s.want;
    if (w.tokens == rows_wanted::none && w.logits == rows_wanted::none)
      return;
    if (w.tokens != rows_wanted::all && w.logits != rows_wanted::all)
      x.erase(x.begin(), x.end() - info().hidden);
    auto logits = head_.times(passes_adapter(s) ? x : rms_norm(x, norm_, config_.rms_norm_eps));
    if (w.logits != rows_wanted::none)
      r.logits = to_tensor(logits, info().vocab, w.logits);
    auto count = logits.size() / info().vocab;
    auto first = w.tokens == rows_wanted::all ? 0 : w.tokens == rows_wanted::last ? count - 1 : count;
    for (auto i = first; i < count; ++i) {
      auto position = s.base + row_count(s) - count + i + 1;
      r.choices.push_back(choose_token(std::span<const Real>(logits).subspan(i * info().vocab, info().vocab), w.choose,
                                       position, w.top_n, seen_before(w, position), w.alternatives));
    }
  }

  Real* page(page_id id) {
    if (pages_.size() <= id)
      pages_.resize(std::size_t{id} + 1);
    if (!pages_[id])
      pages_[id] = std::make_unique<Real[]>(shape_.page_reals());
    return pages_[id].get();
  }

  std::vector<Real*> pages_of(const lane_kv& l) {
    std::vector<Real*> out;
    for (auto id : l.pages)
      out.push_back(page(id));
    return out;
  }

  void copy_page(const page_copy& c) override {
    auto to = page(c.to);
    std::copy_n(page(c.from), shape_.page_reals(), to);
  }

  void read_kv(page_id id, std::uint32_t first, std::uint32_t count, std::byte* to, float*) const override {
    rows<Real> row(2 * shape_.kv_heads * shape_.dim);
    for (auto i = first; i < first + count; ++i, to += row.size() * sizeof(Real)) {
      reference::load(pages_[id].get(), i, row.data(), row.data() + row.size() / 2, shape_);
      std::memcpy(to, row.data(), row.size() * sizeof(Real));
    }
  }

  void write_kv(page_id id, std::uint32_t first, std::uint32_t count, const std::byte* from, const float*) override {
    rows<Real> row(2 * shape_.kv_heads * shape_.dim);
    for (auto i = first; i < first + count; ++i, from += row.size() * sizeof(Real)) {
      std::memcpy(row.data(), from, row.size() * sizeof(Real));
      store(page(id), i, row.data(), row.data() + row.size() / 2, shape_);
    }
  }

  hf::model_config config_;
  head_shape shape_;
  rotary rotary_;
  std::vector<Real> embedding_, norm_;
  matrix<Real> head_;
  std::vector<layer<Real>> layers_;  ///< by lane; an adapter's among them
  std::vector<std::unique_ptr<Real[]>> pages_;
};

} // namespace

std::unique_ptr<shard> make_reference_shard(const hf::model_folder& folder, const shard_options& options) {
  folder.need_numbers("the reference shard");
  if (options.compute != dtype::f64 && options.compute != dtype::f32)
    throw bad_model("the reference shard computes in f64 or f32, not in " + std::string(to_string(options.compute))
                    + "; the torch shard can do that");
  if (kv_type(options) != options.compute)
    throw bad_model("the reference shard keeps keys and values in " + std::string(to_string(options.compute))
                    + ", as it computes, not in " + std::string(to_string(kv_type(options)))
                    + "; the torch shard can do that");
  if (options.compute == dtype::f64)
    return std::make_unique<reference_shard<double>>(folder, options);
  return std::make_unique<reference_shard<float>>(folder, options);
}

} // namespace virga::models
