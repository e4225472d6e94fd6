// How a batch becomes the numbers of a device's step, and how steps of one shape are repeated.
#include "models/defaults.hpp"
#include "models/torch/replays_impl.hpp"
#include "tests/support/catch.hpp"

#include <numeric>

using namespace virga;
using namespace virga::models;
using namespace virga::models::torch_impl;

namespace {

/// Two layers between embedding and head; sequence s has pages s * 100, s * 100 + 1, ... in lane 0 and 50 more in lane 1.
struct host {
  std::vector<stage> stages{{stage_kind::embedding}, {stage_kind::layers, 0, 2}, {stage_kind::head}};
  std::map<std::pair<sequence, std::uint32_t>, lane_kv> lanes;
  std::int64_t page_bytes = 1024;

  segment open(std::uint64_t id, std::uint64_t base, std::vector<token_id> tokens) {
    segment s;
    s.seq = sequence{id};
    s.last_stage = 2;
    s.base = base;
    s.want.tokens = rows_wanted::last;
    for (std::uint32_t lane = 0; lane < 2; ++lane) {
      auto& kv = lanes[{s.seq, lane}];
      kv.length = base;
      kv.pages.resize((base + tokens.size() + 63) / 64);
      std::iota(kv.pages.begin(), kv.pages.end(), static_cast<page_id>(id * 100 + lane * 50));
    }
    s.tokens = std::move(tokens);
    return s;
  }

  step_plan plan(const std::vector<segment>& batch) const {
    std::vector<std::size_t> all(batch.size());
    std::iota(all.begin(), all.end(), 0u);
    auto lane = [this](sequence seq, std::uint32_t i) -> const lane_kv& { return lanes.at({seq, i}); };
    auto tapped = [](const segment&) { return 3u; };
    return {batch, all, {stages, 0, 2, lane, tapped, page_bytes, 9000, 9001 * 64}};
  }
};

using list = std::vector<std::int64_t>;

list numbers(const at::Tensor& t) {
  auto flat = t.contiguous().view({-1});
  return {flat.const_data_ptr<std::int64_t>(), flat.const_data_ptr<std::int64_t>() + flat.numel()};
}

step_numbers of(const step_plan& p) { return {p.shape(), at::tensor(p.numbers(), at::kLong)}; }

} // namespace

TEST_CASE("numbers are rounded up to few", "[models][device]") {
  list got;
  for (std::int64_t n = 1; n <= 17; ++n)
    got.push_back(rounded_up(n));
  CHECK(got == list{1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16, 24});
}

TEST_CASE("a small step is filled up, and its padding reads zeros and writes nowhere", "[models][device]") {
  host h;
  const std::vector batch{h.open(1, 63, {7, 8}), h.open(2, 0, {9}), h.open(3, 130, {5, 6})};
  const auto plan = h.plan(batch);
  REQUIRE(plan.repeatable());
  auto& s = plan.shape();
  CHECK(s.rows == 6);
  CHECK(s.pages == 3);
  CHECK((s.parts == std::vector{attending{0, 1, 0, 6, 3}}));
  CHECK(s.scored == 6);
  CHECK(plan.segments()[2].scores_at == 4);
  const auto n = of(plan);
  CHECK(numbers(n.tokens) == list{7, 8, 9, 5, 6, 0});
  CHECK(numbers(n.positions) == list{63, 64, 0, 130, 131, 0});
  constexpr std::int64_t nowhere = 9001 * 64, zeros = 9000;
  CHECK(numbers(n.writes.select(0, 0)) == list{100 * 64 + 63, 101 * 64, 200 * 64, 302 * 64 + 2, 302 * 64 + 3, nowhere});
  CHECK(numbers(n.writes.select(0, 1)) == list{150 * 64 + 63, 151 * 64, 250 * 64, 352 * 64 + 2, 352 * 64 + 3, nowhere});
  CHECK(numbers(n.tables.select(0, 0))
        == list{100, zeros, zeros, 100, 101, zeros, 200, zeros, zeros, 300, 301, 302, 300, 301, 302, zeros, zeros, zeros});
  CHECK(plan.fresh_pages() == list{101, 200, 151, 250});
}

TEST_CASE("a long segment gathers once and the short ones stand before it", "[models][device]") {
  host h;
  const std::vector batch{h.open(1, 10, std::vector<token_id>(100, 4)), h.open(2, 64, {9})};
  const auto plan = h.plan(batch);
  CHECK_FALSE(plan.repeatable());
  auto& s = plan.shape();
  CHECK(s.rows == 101);
  CHECK((s.parts == std::vector{attending{0, 1, 0, 1, 2}, attending{1, 100, 1, 1, 2}}));
  CHECK(plan.segments()[0].index == 1);
  const auto n = of(plan);
  CHECK(numbers(n.tables.select(0, 0)) == list{200, 201, 100, 101});
  CHECK(numbers(n.scored) == list{0, 100});
  CHECK(plan.segments()[1].scores_at == 1);
}

TEST_CASE("what is too much to gather at once is gathered in pieces", "[models][device]") {
  host h;
  h.page_bytes = defaults::device_gather_bytes / 5;
  std::vector<segment> batch;
  for (std::uint64_t id = 1; id <= 5; ++id)
    batch.push_back(h.open(id, 64, {1}));  // two pages each, and five fit
  const auto plan = h.plan(batch);
  CHECK_FALSE(plan.repeatable());
  CHECK((plan.shape().parts == std::vector{attending{0, 1, 0, 2, 2}, attending{2, 1, 2, 2, 2}, attending{4, 1, 4, 1, 2}}));
}

namespace {

/// Stands for CUDA: a recording repeats the work that it was made of.
struct pretended final : recorder {
  struct kept final : recording {
    explicit kept(std::function<void()> w) : work(std::move(w)) {}
    void replay() override { work(); }
    std::function<void()> work;
  };

  explicit pretended(bool w) : works(w) {}
  std::unique_ptr<recording> record(const std::function<void()>& work) override {
    TORCH_CHECK(works, "an operation is not permitted while the stream is recorded");
    return std::make_unique<kept>(work);
  }
  bool works;
};

/// Runs a step of this shape whose work says what it was given, times two.
std::int64_t doubled(replays& r, std::int64_t rows, std::int64_t value, int& made) {
  step_shape shape;
  shape.rows = rows;
  auto& out = r.run(shape, at::full({1}, value, at::kLong), {}, [n = ++made](const at::Tensor& numbers, const at::Tensor&) {
    return step_output{{at::full({1}, n, at::kLong)}, numbers * 2};
  });
  return out.logits.item<std::int64_t>();
}

} // namespace

TEST_CASE("the second step of a shape is recorded, and later ones replay it with their own numbers", "[models][device]") {
  replays r(at::kCPU, std::make_unique<pretended>(true), 2);
  int made = 0;
  CHECK(doubled(r, 1, 10, made) == 20);
  CHECK(r.recorded() == 0);
  CHECK(doubled(r, 1, 11, made) == 22);
  CHECK(r.recorded() == 1);
  CHECK(doubled(r, 1, 12, made) == 24);
  CHECK(doubled(r, 2, 13, made) == 26);
  CHECK(doubled(r, 1, 14, made) == 28);
  CHECK(r.recorded() == 1);
  CHECK(doubled(r, 3, 15, made) == 30);  // the shape of two rows goes
  CHECK(doubled(r, 1, 16, made) == 32);
  CHECK(r.recorded() == 1);
  CHECK(doubled(r, 2, 17, made) == 34);
  CHECK(doubled(r, 2, 18, made) == 36);
  CHECK(r.recorded() == 2);
}

TEST_CASE("a device that cannot record runs every step as the first", "[models][device]") {
  replays r(at::kCPU, std::make_unique<pretended>(false), 2);
  int made = 0;
  for (std::int64_t i = 0; i < 4; ++i)
    CHECK(doubled(r, 1, i, made) == 2 * i);
  CHECK(r.recorded() == 0);
}
