#include "models/sampler.hpp"
#include "tests/models/random_adapter.hpp"
#include "tests/models/random_walk.hpp"
#include "tests/support/catch.hpp"

#include <cmath>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;

namespace {

/// embedding, layers 0-1, head of the fixture "gqa-untied": what a device holds beside the adapter.
const std::vector<stage> device{{stage_kind::embedding, 0, 0}, {stage_kind::layers, 0, 2}, {stage_kind::head, 0, 0}};
constexpr std::uint32_t input_last = 1, adapter = 2, head = 3;

using vec = std::vector<double>;

vec normed(const vec& x, const vec& weight, double eps) {
  double sum = 0;
  for (auto v : x)
    sum += v * v;
  auto scale = 1 / std::sqrt(sum / static_cast<double>(x.size()) + eps);
  vec out;
  for (std::size_t i = 0; i < x.size(); ++i)
    out.push_back(x[i] * scale * weight[i]);
  return out;
}

vec times(const vec& matrix, const vec& x) {
  vec out(matrix.size() / x.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    for (std::size_t k = 0; k < x.size(); ++k)
      out[i] += matrix[i * x.size() + k] * x[k];
  return out;
}

/// One head of q or k turned to its position, in rotate-half form.
vec turned(const vec& all, std::size_t h, std::size_t dim, std::size_t position, double theta) {
  vec out(dim);
  for (std::size_t i = 0; i < dim / 2; ++i) {
    auto angle = static_cast<double>(position) * std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
    auto a = all[h * dim + i], b = all[h * dim + i + dim / 2];
    out[i] = a * std::cos(angle) - b * std::sin(angle);
    out[i + dim / 2] = b * std::cos(angle) + a * std::sin(angle);
  }
  return out;
}

/// The formula of hf/adapter.hpp, written down once more: the head's logits of each row.
vec expected_logits(const hf::model_folder& base, const hf::adapter_folder& a, const std::vector<vec>& x) {
  auto& c = base.config();
  auto weight = [&](const char* name) { return hf::to_reals<double>(a.weight(name)); };
  auto in = weight("input_layernorm.weight"), out_norm = weight("norm.weight"), wq = weight("self_attn.q_proj.weight"),
       wk = weight("self_attn.k_proj.weight"), wv = weight("self_attn.v_proj.weight"), wo = weight("self_attn.o_proj.weight");
  auto head_matrix = hf::to_reals<double>(base.weight("lm_head.weight"));
  std::size_t heads = c.num_attention_heads, group = heads / c.num_key_value_heads, dim = c.head_dim;
  std::vector<vec> q, k, v;
  vec logits;
  for (std::size_t p = 0; p < x.size(); ++p) {
    auto n = normed(x[p], in, c.rms_norm_eps);
    q.push_back(times(wq, n)), k.push_back(times(wk, n)), v.push_back(times(wv, n));
    vec mixed(heads * dim);
    for (std::size_t h = 0; h < heads; ++h) {
      auto query = turned(q[p], h, dim, p, c.rope_theta);
      vec score;
      double sum = 0;
      for (std::size_t t = 0; t <= p; ++t) {
        auto key = turned(k[t], h / group, dim, t, c.rope_theta);
        double dot = 0;
        for (std::size_t i = 0; i < dim; ++i)
          dot += query[i] * key[i];
        sum += score.emplace_back(std::exp(dot / std::sqrt(static_cast<double>(dim))));
      }
      for (std::size_t t = 0; t <= p; ++t)
        for (std::size_t i = 0; i < dim; ++i)
          mixed[h * dim + i] += score[t] / sum * v[t][h / group * dim + i];
    }
    auto y = times(wo, mixed);
    for (std::size_t i = 0; i < y.size(); ++i)
      y[i] += x[p][i];
    auto row = times(head_matrix, normed(y, out_norm, c.rms_norm_eps));
    logits.insert(logits.end(), row.begin(), row.end());
  }
  return logits;
}

std::vector<vec> rows_of(const tensor& t) {
  auto all = numbers(t);
  std::vector<vec> out;
  for (std::size_t i = 0; i < t.rows; ++i)
    out.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i * t.cols), all.begin() + static_cast<std::ptrdiff_t>((i + 1) * t.cols));
  return out;
}

const std::vector<token_id> text{5, 9, 77, 13, 2, 40, 41, 8, 99, 3, 3, 61};

/// Everything a draft step brings: the rows for the cloud and the head's view of them.
segment draft(const shard& s, sequence seq, std::uint64_t base, std::vector<token_id> ids) {
  auto one = feed(s, seq, 0, head, base, std::move(ids));
  one.want.rows = rows_wanted::all;
  one.want.rows_stage = input_last;
  return one;
}

} // namespace

TEST_CASE("an adapter computes what its header says", "[models][adapter]") {
  hf::model_folder base(fixture("gqa-untied"));
  random_adapter made(base, 2, 7);
  for (auto make : {make_reference_shard, make_torch_shard}) {
    auto s = make(base, {dtype::f64, 1u << 20, device, made.load()});
    CHECK(describe(s->info().stages) == "embedding, layers 0-1, adapter, head");
    auto got = run(*s, draft(*s, s->open(), 0, text));
    auto expected = expected_logits(base, *made.load(), rows_of(got.rows)), logits = numbers(got.logits);
    REQUIRE(logits.size() == expected.size());
    for (std::size_t i = 0; i < logits.size(); ++i)
      CHECK(std::abs(logits[i] - expected[i]) <= 1e-9 * (1 + std::abs(expected[i])));
    auto alone = run(*s, feed(*s, s->open(), 0, input_last, 0, text));
    CHECK(alone.rows.data == got.rows.data);
    CHECK(got.choices.size() == text.size());
  }
}

TEST_CASE("an adapter's cache takes chunks, forks and truncations and changes no bit", "[models][adapter]") {
  hf::model_folder base(fixture("gqa-untied"));
  random_adapter made(base, 2, 7);
  auto s = make_reference_shard(base, {dtype::f64, 1u << 20, device, made.load()});
  auto whole = run(*s, draft(*s, s->open(), 0, text));
  auto expected = rows_of(whole.logits);
  auto check = [&](sequence seq, std::uint64_t base_position, std::size_t count) {
    auto got = run(*s, draft(*s, seq, base_position, {text.begin() + static_cast<std::ptrdiff_t>(base_position),
                                                       text.begin() + static_cast<std::ptrdiff_t>(base_position + count)}));
    auto rows = rows_of(got.logits);
    for (std::size_t i = 0; i < count; ++i)
      CHECK(rows[i] == expected[base_position + i]);
    return got.rows;
  };
  auto seq = s->open();
  check(seq, 0, 5);
  check(seq, 5, 1);
  auto branch = s->fork(seq, 6);
  run(*s, draft(*s, branch, 6, {1, 2, 3}));
  check(seq, 6, 3);
  s->truncate(branch, 6);
  check(branch, 6, 6);
  s->truncate(seq, 4);
  // The input stages run ahead; the adapter follows with their rows.
  auto input = feed(*s, seq, 0, input_last, 4, {text.begin() + 4, text.end()});
  auto rows = run(*s, input).rows;
  CHECK(s->length(seq, input_last) == text.size());
  CHECK(s->length(seq, adapter) == 4);
  auto last = rows_of(run(*s, feed(*s, seq, adapter, head, 4, {}, rows)).logits);
  for (std::size_t i = 0; i < last.size(); ++i)
    CHECK(last[i] == expected[4 + i]);
  CHECK(s->kv_bytes_for(1) == 3 * 2 * 2 * 10 * 64 * sizeof(double));
}

TEST_CASE("segments of one batch bring back rows of different stages", "[models][adapter]") {
  hf::model_folder base(fixture("gqa-untied"));
  random_adapter made(base, 2, 7);
  for (auto make : {make_reference_shard, make_torch_shard}) {
    auto s = make(base, {dtype::f64, 1u << 20, device, made.load()});
    auto shallow = draft(*s, s->open(), 0, {1, 2, 3}), deep = draft(*s, s->open(), 0, {4, 5});
    deep.want.rows_stage = adapter;
    deep.want.rows = rows_wanted::last;
    auto both = s->step(std::vector{shallow, deep});
    CHECK(both[0].rows.rows == 3);
    CHECK(both[1].rows.rows == 1);
    auto again = s->open(), other = s->open();
    auto first = rows_of(run(*s, feed(*s, again, 0, input_last, 0, {1, 2, 3})).rows);
    auto second = rows_of(run(*s, feed(*s, other, 0, adapter, 0, {4, 5})).rows);
    for (std::size_t i = 0; i < first[2].size(); ++i) {
      CHECK(std::abs(rows_of(both[0].rows)[2][i] - first[2][i]) < 1e-12);
      CHECK(std::abs(rows_of(both[1].rows)[0][i] - second[1][i]) < 1e-12);
    }
    auto refused = [&](std::uint32_t stage) {
      auto bad = feed(*s, s->open(), 0, adapter, 0, {1});
      bad.want.rows_stage = stage;
      CHECK_THROWS_AS(run(*s, bad), bad_segment);
    };
    refused(head);
    refused(9);
    auto of_head = draft(*s, s->open(), 0, {1});
    of_head.want.rows_stage = last_stage_run;
    CHECK_THROWS_AS(run(*s, of_head), bad_segment);
  }
}

TEST_CASE("an adapter that does not fit is refused in one sentence", "[models][adapter]") {
  hf::model_folder base(fixture("gqa-untied")), other(fixture("mha-tied"));
  random_adapter made(base, 2, 7);
  auto load = [&](const hf::model_folder& folder, std::vector<stage> stages) {
    return complaint([&] { make_reference_shard(folder, {dtype::f64, 1u << 20, stages, made.load()}); });
  };
  CHECK(load(base, device) == "");
  CHECK(load(other, {}).find("was trained for the model \"" + base.digest()) != std::string::npos);
  CHECK(load(base, {}).find("stands between layer 1 and the head, but the engine runs embedding, layers 0-3, head")
        != std::string::npos);
  CHECK(load(base, {{stage_kind::layers, 0, 2}}).find("but the engine runs layers 0-1") != std::string::npos);
  auto damaged = [&](const char* file, const char* from, const char* to) {
    random_adapter fresh(base, 2, 7);
    edit_file(fresh.dir() / file, from, to);
    return complaint([&] { make_reference_shard(base, {dtype::f64, 1u << 20, device, fresh.load()}); });
  };
  CHECK(damaged("adapter_config.json", "\"split\":2", "\"split\":4").find("split") != std::string::npos);
  CHECK(damaged("adapter_config.json", "\"format\":1", "\"format\":2").find("format") != std::string::npos);
  CHECK(damaged("adapter_model.safetensors", "norm.weight", "n0rm.weight").find("is missing") != std::string::npos);
  CHECK(damaged("adapter_model.safetensors", "[48,60]", "[60,48]").find("has another shape") != std::string::npos);
  random_adapter nan(base, 2, 7);
  auto file = nan.dir() / "adapter_model.safetensors";
  auto bytes = read_file(file);
  bytes.replace(bytes.size() - 4, 4, "\xff\xff\xff\x7f");
  write_file(file, bytes);
  CHECK(complaint([&] { nan.load()->check(base); }).find("NaN or infinity") != std::string::npos);
  CHECK(complaint([&] { hf::adapter_folder("/nowhere"); }).find("is no folder") != std::string::npos);
}

TEST_CASE("alternatives are what would be chosen without the choice", "[models][sampler]") {
  const std::vector<double> row{1, 3, 2, 2.5, -4};
  auto greedy = choose_token(std::span<const double>(row), {}, 4, 0, {}, 2);
  CHECK(greedy.id == 1);
  CHECK(greedy.alternatives == std::vector<token_id>{3, 2});
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    sampling how{1.5, seed};
    auto c = choose_token(std::span<const double>(row), how, 9, 0, {}, 3);
    auto left = row;
    auto expected = c.id;
    for (auto next : c.alternatives) {
      left[expected] = -1e9;
      expected = choose_token(std::span<const double>(left), how, 9, 0).id;
      CHECK(next == expected);
    }
    CHECK(c.id == choose_token(std::span<const double>(row), how, 9, 0).id);
  }
  sampling narrow{1, 3, 2};  // top_k leaves two
  CHECK(choose_token(std::span<const double>(row), narrow, 1, 0, {}, 4).alternatives.size() == 1);
}
