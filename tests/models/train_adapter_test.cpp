// An adapter's trainer against definitions, finite differences and the shard that serves its result.
#include "models/train/acceptance.hpp"
#include "models/train/adapter_trainer.hpp"
#include "models/train/export.hpp"
#include "tests/models/random_folder.hpp"
#include "tests/support/catch.hpp"

#include <cmath>
#include <cstring>

using namespace virga;
using namespace virga::models;
using namespace virga::models::train;
using models::test::random_folder;
using models::test::scratch;

namespace {

/// A random model of several layers with grouped heads and this rope scaling.
std::unique_ptr<random_folder> grouped_model(hf::rope_scaling::kind rope, std::uint64_t seed) {
  for (;; seed += 1000) {
    auto folder = std::make_unique<random_folder>(seed);
    auto c = hf::read_config(folder->dir());
    if (c.num_hidden_layers >= 2 && c.num_key_value_heads < c.num_attention_heads && c.num_key_value_heads > 1
        && c.rope.type == rope)
      return folder;
  }
}

std::vector<token_id> random_ids(std::uint64_t seed, std::size_t count, std::uint32_t vocab) {
  world::random_source random(seed);
  std::vector<token_id> ids;
  while (ids.size() < count)
    ids.push_back(static_cast<token_id>(random.below(vocab)));
  return ids;
}

/// Three examples of different lengths, whose answers begin at different places.
std::vector<example> three(std::uint32_t vocab) {
  return {{random_ids(1, 30, vocab), 1}, {random_ids(2, 9, vocab), 5}, {random_ids(3, 14, vocab), 13}};
}

double difference(std::span<const float> a, std::span<const float> b) {
  double most = a.size() == b.size() ? 0 : HUGE_VAL;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

std::vector<float> floats(const tensor& t) {
  auto wide = test::numbers(t);
  return {wide.begin(), wide.end()};
}

/// Sequences that a model can learn: each token follows from the one before it.
std::vector<example> counting(std::size_t count, std::uint32_t vocab) {
  world::random_source random(4);
  std::vector<example> out;
  while (out.size() < count) {
    example e{{static_cast<token_id>(random.below(vocab))}, 1};
    for (auto step = random.below(3); e.ids.size() < 20;)
      e.ids.push_back(static_cast<token_id>((e.ids.back() * (2 + step) + 1) % vocab));
    out.push_back(std::move(e));
  }
  return out;
}

struct set_up {
  random_folder files;
  hf::model_folder base;
  adapter_features features;
  std::unique_ptr<adapter_data> data;

  explicit set_up(std::uint64_t seed = first_split_seed())
      : files(seed), base(files.dir()), features(base, 1, 512, dtype::f32),
        data(fixed_data(counting(200, base.config().vocab_size), "counting")) {}

  static std::uint64_t first_split_seed() {
    std::uint64_t seed = 1;
    while (hf::read_config(random_folder(seed).dir()).num_hidden_layers < 2)
      ++seed;
    return seed;
  }

  adapter_trainer start(std::uint64_t tokens = 20'000, std::uint64_t seed = 1) {
    adapter_recipe r;
    r.seed = seed;
    r.tokens = tokens;
    r.peak_rate = 5e-3;
    r.batch_tokens = 200;
    return {base, r, features, *data};
  }
};

/// A model of two layers that knows a little of a small world.
std::unique_ptr<trainer> knowing_model() {
  recipe r;
  r.name = "knowing";
  r.shape = {.layers = 2, .hidden = 32, .intermediate = 48, .heads = 2, .kv_heads = 2, .head_dim = 16};
  r.people = 20;
  r.tokens = 150'000;
  r.rows = 4;
  r.warmup = 20;
  auto t = std::make_unique<trainer>(r);
  while (!t->finished())
    t->step();
  return t;
}

std::vector<float> weights_of(adapter_trainer& t) { return {t.net().weights().begin(), t.net().weights().end()}; }

std::shared_ptr<const hf::adapter_folder> written(adapter_net& net, const hf::model_folder& base, std::uint32_t split,
                                                  const std::filesystem::path& dir) {
  std::vector<hf::tensor_view> tensors;
  for (auto& p : net.parameters())
    tensors.push_back({p.name, dtype::f32, p.shape, std::as_bytes(net.weights().subspan(p.offset, p.size()))});
  hf::write_adapter(dir, {base.digest(), split}, base.config().num_hidden_layers, tensors);
  return std::make_shared<hf::adapter_folder>(dir);
}

} // namespace

TEST_CASE("every gradient of an adapter agrees with finite differences", "[models][train]") {
  prepare_process();
  for (auto rope : {hf::rope_scaling::kind::llama3, hf::rope_scaling::kind::yarn}) {
    auto files = grouped_model(rope, 1);
    INFO(files->text());
    hf::model_folder base(files->dir());
    adapter_features features(base, 1, 512, dtype::f32);
    auto batch = features.of(three(base.config().vocab_size));
    adapter_net net(base, 5);
    for (loss_weights w : {loss_weights{1, 0.1}, loss_weights{0.5, 3}}) {
      net.forward_backward(batch, w);
      std::vector<float> gradient(net.gradients().begin(), net.gradients().end());
      for (auto& p : net.parameters()) {
        INFO(p.name);
        auto largest = p.offset;
        for (auto i = p.offset; i < p.offset + p.size(); ++i)
          if (std::abs(gradient[i]) > std::abs(gradient[largest]))
            largest = i;
        world::random_source random(8);
        for (int i = 0; i < 8; ++i) {
          auto at = i == 0 ? largest : p.offset + random.below(p.size());
          auto& weight = net.weights()[at];
          auto kept = weight;
          constexpr float step = 4e-3f;
          weight = kept + step;
          auto above = net.loss(batch, w).total;
          weight = kept - step;
          auto below = net.loss(batch, w).total;
          weight = kept;
          CHECK(gradient[at]
                == Approx((above - below) / (2 * step)).epsilon(0.02).margin(0.01 * std::abs(gradient[largest])));
        }
      }
    }
  }
}

TEST_CASE("an adapter's loss is what its header says", "[models][train]") {
  auto files = grouped_model(hf::rope_scaling::kind::linear, 2);
  hf::model_folder base(files->dir());
  adapter_features features(base, 1, 512, dtype::f32);
  auto& c = base.config();
  auto batch = features.of(three(c.vocab_size));
  adapter_net net(base, 5);
  auto z = net.forward(batch);
  auto head = hf::to_reals<double>(base.weight(c.tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"));
  auto log_softmax = [&](const float* row) {
    std::vector<double> l(c.vocab_size);
    for (std::size_t v = 0; v < l.size(); ++v)
      for (std::size_t i = 0; i < c.hidden_size; ++i)
        l[v] += head[v * c.hidden_size + i] * row[i];
    double sum = 0;
    for (auto x : l)
      sum += std::exp(x);
    for (auto& x : l)
      x -= std::log(sum);
    return l;
  };
  double smooth = 0, cross = 0;
  for (std::size_t n = 0; n < batch.counted.size(); ++n) {
    auto* own = z.data() + static_cast<std::size_t>(batch.counted[n]) * c.hidden_size;
    auto* goal = batch.y.data() + n * c.hidden_size;
    for (std::size_t i = 0; i < c.hidden_size; ++i) {
      auto d = std::abs(static_cast<double>(own[i]) - goal[i]);
      smooth += (d < 1 ? d * d / 2 : d - 0.5) / c.hidden_size;
    }
    auto p = log_softmax(goal), q = log_softmax(own);
    for (std::size_t v = 0; v < p.size(); ++v)
      cross -= std::exp(p[v]) * q[v];
  }
  auto places = static_cast<double>(batch.counted.size());
  auto loss = net.loss(batch, {0.7, 0.3});
  CHECK(loss.hidden == Approx(smooth / places).epsilon(1e-5));
  CHECK(loss.tokens == Approx(cross / places).epsilon(1e-5));
  CHECK(loss.total == Approx(0.7 * loss.hidden + 0.3 * loss.tokens).epsilon(1e-9));
  CHECK(batch.counted.size() == 29 + 4 + 1);
  CHECK(batch.counted[29] == 30 + 4);  // the last place of the prompt predicts the answer's first token
}

TEST_CASE("an adapter in training computes what the shard computes with it", "[models][train]") {
  std::uint32_t seen = 0;
  for (std::uint64_t seed = 1; seen < 12; ++seed) {
    random_folder files(seed);
    hf::model_folder base(files.dir());
    auto layers = base.config().num_hidden_layers;
    if (layers < 2)
      continue;
    INFO(files.text());
    ++seen;
    auto split = 1 + static_cast<std::uint32_t>(seed % (layers - 1));
    adapter_features features(base, split, 512, dtype::f32);
    adapter_net net(base, seed);
    scratch root;
    shard_options o{dtype::f32, 1u << 24, {{stage_kind::embedding}, {stage_kind::layers, 0, split}, {stage_kind::head}},
                    written(net, base, split, root / "adapter"), {}};
    auto device = make_torch_shard(base, o);
    auto whole = make_reference_shard(base, {dtype::f64, 1u << 24, {}});
    for (auto& e : three(base.config().vocab_size)) {
      auto batch = features.of(std::span(&e, 1));
      auto taps = test::feed(*device, device->open(), 0, 2, 0, e.ids);
      taps.want.rows_stage = 2;
      CHECK(difference(net.forward(batch), floats(test::run(*device, taps).rows)) < 1e-4);
      taps = test::feed(*device, device->open(), 0, 1, 0, e.ids);
      CHECK(difference(batch.x, floats(test::run(*device, taps).rows)) < 1e-6);
      auto logits = test::run(*whole, test::feed(*whole, whole->open(), 0, 2, 0, e.ids)).logits;
      auto head = hf::to_reals<float>(
          base.weight(base.config().tie_word_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"));
      auto expected = floats(logits);
      auto hidden = std::size_t{base.config().hidden_size}, vocab = std::size_t{base.config().vocab_size};
      for (std::size_t n = 0; n < batch.counted.size(); ++n)
        for (std::size_t v = 0; v < vocab; ++v) {
          float sum = 0;
          for (std::size_t i = 0; i < hidden; ++i)
            sum += head[v * hidden + i] * batch.y[n * hidden + i];
          CHECK(std::abs(sum - expected[static_cast<std::size_t>(batch.counted[n]) * vocab + v]) < 1e-3);
        }
    }
  }
}

TEST_CASE("batching examples changes no feature", "[models][train]") {
  set_up s;
  auto examples = three(s.base.config().vocab_size);
  auto together = s.features.of(examples);
  adapter_features narrow(s.base, 1, 64, dtype::f32);
  CHECK(difference(narrow.of(examples).x, together.x) < 1e-5);
  std::vector<float> x, y;
  for (auto& e : examples) {
    auto one = s.features.of(std::span(&e, 1));
    x.insert(x.end(), one.x.begin(), one.x.end());
    y.insert(y.end(), one.y.begin(), one.y.end());
  }
  CHECK(difference(x, together.x) < 1e-5);
  CHECK(difference(y, together.y) < 1e-5);
}

TEST_CASE("a resumed adapter ends with the weights of an unbroken one", "[models][train]") {
  prepare_process();
  set_up s;
  auto unbroken = s.start(), first = s.start(), second = s.start();
  scratch root;
  for (int i = 0; i < 20; ++i)
    unbroken.step();
  for (int i = 0; i < 12; ++i)
    first.step();
  first.save(root / "checkpoint");
  first.step();  // lost with the kill
  second.load(root / "checkpoint");
  CHECK(second.state().step == 12);
  for (int i = 12; i < 20; ++i)
    second.step();
  CHECK(weights_of(second) == weights_of(unbroken));
  CHECK(second.loss().total == unbroken.loss().total);
  CHECK(second.loss().agreement == unbroken.loss().agreement);
  auto other = s.start(20'000, 2);
  CHECK_THROWS_WITH(other.load(root / "checkpoint"), Catch::Contains("another run") && Catch::Contains("seed=2"));
}

TEST_CASE("training an adapter lowers the held-out loss, raises agreement and lengthens drafts", "[models][train]") {
  prepare_process();
  auto known = knowing_model();
  scratch root;
  export_folder(known->model(), known->words(), root / "model");
  hf::model_folder base(root / "model");
  adapter_features features(base, 1, 2048, dtype::f32);
  auto data = world_data(known->where(), known->words(), 100);
  adapter_recipe r{.split = 1, .tokens = 150'000, .peak_rate = 1e-2, .batch_tokens = 500};
  adapter_trainer t(base, r, features, *data);
  auto questions = describe_requests(known->where(), known->words(), world::split::validation, 1, 20, features.model());
  auto drafted = [&](const char* name) {
    auto device = make_torch_shard(base, {dtype::f32,
                                          1u << 26,
                                          {{stage_kind::embedding}, {stage_kind::layers, 0, 1}, {stage_kind::head}},
                                          written(t.net(), base, 1, root / name),
                                          {}});
    return std::pair(measure_acceptance(*device, questions, {}, base.generation().eos),
                     agreement(*device, features.model(), data->held_out()));
  };
  auto before = t.held_out_loss();
  auto [fresh, fresh_agreement] = drafted("fresh");
  while (!t.finished())
    t.step();
  CHECK(t.state().steps == 300);
  auto after = t.held_out_loss();
  auto [trained, trained_agreement] = drafted("trained");
  CHECK(after.total < 0.5 * before.total);
  CHECK(after.hidden < before.hidden);
  CHECK(after.tokens < before.tokens);
  CHECK(after.agreement > before.agreement + 0.4);
  CHECK(trained.length > fresh.length + 1);
  CHECK(fresh_agreement.value() == Approx(before.agreement).margin(0.005));
  CHECK(trained_agreement.value() == Approx(after.agreement).margin(0.005));
}

TEST_CASE("an adapter's run stops, goes on, and leaves a folder that a shard takes", "[models][train]") {
  set_up s;
  scratch root;
  auto out = root / "adapter";
  run_options how;
  how.stop_after_steps = 5;
  auto first = s.start(4000);
  CHECK_FALSE(run(first, out, how));
  CHECK(std::filesystem::exists(out / "checkpoint.bin"));
  how.stop_after_steps = 0;
  auto second = s.start(4000);
  CHECK(run(second, out, how));
  CHECK(second.state().resumed);
  CHECK_FALSE(std::filesystem::exists(out / "checkpoint.bin"));
  CHECK(test::read_file(out / "training.csv")
            .starts_with("step,tokens,seconds,processor_seconds,loss,smooth_l1,cross_entropy,agreement,"));
  hf::adapter_folder adapter(out);
  adapter.check(s.base);
  CHECK(adapter.split() == 1);
  auto third = s.start(4000);
  CHECK_THROWS_WITH(run(third, out, how), Catch::Contains("already holds an adapter"));
}

TEST_CASE("no tokens give the fresh adapter, the same for the same seed", "[models][train]") {
  set_up s;
  scratch root;
  auto a = s.start(0, 1), b = s.start(0, 1), c = s.start(0, 2);
  CHECK(run(a, root / "a", {}));
  CHECK(a.state().step == 0);
  CHECK(run(b, root / "b", {}));
  CHECK(run(c, root / "c", {}));
  auto file = [&](const char* name) {
    return test::read_file(root / (std::string(name) + "/adapter_model.safetensors"));
  };
  CHECK(file("a") == file("b"));
  CHECK(file("a") != file("c"));
}

TEST_CASE("a split that leaves nothing above or below is refused", "[models][train]") {
  set_up s;
  auto layers = s.base.config().num_hidden_layers;
  for (auto split : {0u, layers, layers + 1})
    CHECK_THROWS_WITH(adapter_features(s.base, split, 512, dtype::f32),
                      Catch::Contains("behind " + std::to_string(split) + " layers")
                          && Catch::Contains("1 to " + std::to_string(layers - 1)));
}
