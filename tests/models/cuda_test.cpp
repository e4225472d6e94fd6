// Needs a GPU and a build with CUDA (preset `cuda`). Where there is none each test says so and CTest calls the file skipped.
#include "models/torch/device_shard.hpp"
#include "tests/models/agreement.hpp"

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;

namespace {

constexpr const char* gpu = "cuda:0";

/// Whether there is a GPU; says why not.
bool found_gpu() {
  auto reason = complaint([] { free_memory_on(gpu); });
  if (!reason.empty())
    std::cout << "SKIPPED: " << reason << "\n";
  return reason.empty();
}

std::unique_ptr<shard> on_gpu(const hf::model_folder& f, shard_options o) {
  o.device = gpu;
  return make_torch_shard(f, o);
}

} // namespace

TEST_CASE("the shard on a GPU does what shards promise", "[models][gpu]") {
  if (!found_gpu())
    return;
  check_refusals(on_gpu);
  check_positions(on_gpu);
  check_memory(on_gpu);
  check_mixed_stages(on_gpu, 1e-12);
  check_nan(on_gpu);
  check_wants(on_gpu);
}

TEST_CASE("cuts, chunks, forks, truncations and ragged batches stay at the reference (GPU)", "[models][gpu]") {
  if (!found_gpu())
    return;
  for (auto compute : {dtype::f32, dtype::f64}) {
    double worst = 0;
    for (auto* name : {"gqa-untied", "mha-tied"})
      for (std::uint64_t seed = 1; seed <= 8; ++seed)
        worst = std::max(worst, check_walk(on_gpu, hf::model_folder(fixture(name)), compute, seed, 40, 1e-5));
    for (std::uint64_t seed = 101; seed <= 124; ++seed) {
      random_folder made(seed);
      INFO(made.text());
      worst = std::max(worst, check_walk(on_gpu, hf::model_folder(made.dir()), compute, seed, 25, 5e-5));
    }
    std::cout << to_string(compute) << ": GPU within " << worst << " of the reference\n";
  }
}

TEST_CASE("in bf16 a GPU agrees with the processor", "[models][gpu]") {
  if (!found_gpu())
    return;
  auto found = agreement_of(make_torch_shard, on_gpu, dtype::bf16, 501);
  found.print("bf16, GPU beside our kernels");
  CHECK(found.clear > 500);
  CHECK(found.clear_flips < found.clear / 20);
}

TEST_CASE("in bf16 a GPU agrees with the processor on a shipped model", "[models][gpu]") {
  if (!found_gpu())
    return;
  hf::model_folder folder(fs::path(VIRGA_SOURCE_DIR) / "models/zoo/cloud");
  shard_options o;
  o.compute = dtype::bf16;
  auto cpu = make_torch_shard(folder, o), other = on_gpu(folder, o);
  std::mt19937 random(3);
  agreement found;
  for (int i = 0; i < 8; ++i) {
    auto ids = random_ids(folder, random, 120);
    found.add(logits_in_pieces(*cpu, ids, {120}), logits_in_pieces(*other, ids, {60, 1, 5, 1}), folder.config().vocab_size);
  }
  found.print("models/zoo/cloud in bf16, GPU beside our kernels");
  CHECK(found.flips < found.positions / 20);
}

TEST_CASE("replayed graphs give the bits of steps that run kernel by kernel", "[models][gpu]") {
  if (!found_gpu())
    return;
  hf::model_folder folder(fs::path(VIRGA_SOURCE_DIR) / "models/zoo/cloud");
  shard_options o;
  o.compute = dtype::bf16;
  o.device = gpu;
  device_counts counts;
  auto graphs = make_device_shard(folder, o, true, &counts), kernels = make_device_shard(folder, o, false);
  std::mt19937 random(4);
  std::vector<sequence> a, b;
  for (int i = 0; i < 5; ++i) {
    a.push_back(graphs->open());
    b.push_back(kernels->open());
  }
  auto last = static_cast<std::uint32_t>(graphs->info().stages.size() - 1);
  for (std::uint64_t position = 0; position < 130; ++position) {
    std::vector<segment> x, y;
    for (std::size_t i = 0; i < a.size(); ++i) {
      auto ids = random_ids(folder, random, 1);
      x.push_back(feed(*graphs, a[i], 0, last, position, ids));
      y.push_back(feed(*kernels, b[i], 0, last, position, ids));
    }
    auto got = graphs->step(x), expected = kernels->step(y);
    for (std::size_t i = 0; i < a.size(); ++i)
      REQUIRE(got[i].logits.data == expected[i].logits.data);
  }
  CHECK(counts.repeated == 130);
  CHECK(counts.graphs == 3);  // one, two and three pages
}

TEST_CASE("a model larger than the GPU is refused", "[models][gpu]") {
  if (!found_gpu())
    return;
  hf::model_folder folder(fixture("mha-tied"));
  shard_options o;
  o.kv_bytes = 1ull << 45;
  CHECK(complaint([&] { on_gpu(folder, o); }).find("has no room for its weights") != std::string::npos);
}
