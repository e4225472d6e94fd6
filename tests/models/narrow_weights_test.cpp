// What narrow weights cost: each text is scored by the same folder in f32 and narrower, teacher-forced. The figures are
// printed; the bounds below are far outside of them and would only be left by a mistake.
#include "models/make_shard.hpp"
#include "models/tokenizer.hpp"
#include "models/world/question.hpp"
#include "tests/models/random_folder.hpp"
#include "tests/models/shard_contract.hpp"

#include <cmath>
#include <iostream>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;

namespace {

/// A dtype of weights, and what it may cost on the shipped models.
struct narrow {
  dtype type;
  double agreement, change;
};

shard_options in(dtype t, bool libtorch_only = false) {
  shard_options o;
  o.compute = t;
  o.libtorch_only = libtorch_only;
  return o;
}

struct comparison {
  std::size_t positions = 0, flips = 0, clear = 0, clear_flips = 0;  ///< clear: the margin in f32 is above 0.1
  double f32_loss = 0, narrow_loss = 0;                              ///< sums of -log p of the text

  double agreement() const { return 1 - static_cast<double>(flips) / static_cast<double>(positions); }
  double perplexity(double loss) const { return std::exp(loss / static_cast<double>(positions)); }
  double change() const { return perplexity(narrow_loss) / perplexity(f32_loss) - 1; }
};

std::vector<double> logits_of(shard& s, const std::vector<token_id>& ids) {
  auto seq = s.open();
  auto one = feed(s, seq, 0, static_cast<std::uint32_t>(s.info().stages.size() - 1), 0, ids);
  one.want = {};
  one.want.logits = rows_wanted::all;
  auto out = numbers(run(s, one).logits);
  s.close(seq);
  return out;
}

double loss(std::span<const double> row, token_id id) {
  double best = *std::max_element(row.begin(), row.end()), sum = 0;
  for (auto v : row)
    sum += std::exp(v - best);
  return best + std::log(sum) - row[id];
}

void compare(comparison& c, shard& f32, shard& other, const std::vector<token_id>& ids) {
  auto a = logits_of(f32, ids), b = logits_of(other, ids);
  std::size_t vocab = f32.info().vocab;
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    auto x = std::span(a).subspan(i * vocab, vocab), y = std::span(b).subspan(i * vocab, vocab);
    bool flip = argmax(x) != argmax(y), clear = margin({x.begin(), x.end()}) > 0.1;
    ++c.positions;
    c.flips += flip;
    c.clear += clear;
    c.clear_flips += flip && clear;
    c.f32_loss += loss(x, ids[i + 1]);
    c.narrow_loss += loss(y, ids[i + 1]);
  }
}

void print(const std::string& what, dtype t, const comparison& c) {
  std::cout << what << ": " << to_string(t) << " agrees with f32 at " << 100 * c.agreement() << " % of " << c.positions
            << " positions (" << c.flips << " flips, " << c.clear_flips
            << " where the margin is above 0.1), perplexity " << c.perplexity(c.f32_loss) << " -> "
            << c.perplexity(c.narrow_loss) << " (" << 100 * c.change() << " %)\n";
}

std::vector<token_id> some_ids(const hf::model_folder& folder, std::mt19937& random, std::size_t count) {
  std::vector<token_id> ids(count);
  for (auto& id : ids)
    id = random() % folder.config().vocab_size;
  return ids;
}

/// One of models/zoo with what it is asked.
struct shipped {
  explicit shipped(const std::string& name)
      : dir(fs::path(VIRGA_SOURCE_DIR) / "models/zoo" / name), folder(dir), tok(load_tokenizer(dir)),
        f32(make_torch_shard(folder, {})),
        questions(world::make_questions(world::world(), world::split::validation, 7, world::demo_mixture(), 60)) {}

  comparison beside(shard& other) const {
    comparison c;
    for (auto& q : questions)
      compare(c, *f32, other, tok->encode(q.prompt + " " + q.answer));
    return c;
  }

  fs::path dir;
  hf::model_folder folder;
  std::shared_ptr<const tokenizer> tok;
  std::unique_ptr<shard> f32;
  std::vector<world::question> questions;
};

} // namespace

TEST_CASE("narrow weights agree with f32 on the shipped models", "[models][narrow]") {
  auto name = GENERATE(as<std::string>{}, "edge-s", "edge-m", "cloud");
  shipped model(name);
  for (auto& n : {narrow{dtype::bf16, 0.97, 0.05}, {dtype::int8, 0.97, 0.05}, {dtype::int4, 0.7, 0.8}}) {
    auto other = make_torch_shard(model.folder, in(n.type));
    auto c = model.beside(*other);
    print(name, n.type, c);
    CHECK(c.positions > 1000);
    CHECK(c.agreement() > n.agreement);
    CHECK(std::abs(c.change()) < n.change);
  }
}

TEST_CASE("narrow keys and values agree with f32 on the shipped models", "[models][narrow]") {
  auto name = GENERATE(as<std::string>{}, "edge-s", "edge-m", "cloud");
  shipped model(name);
  for (auto kv : {dtype::bf16, dtype::i8_rows}) {
    auto other = make_torch_shard(model.folder, {.kv = kv});
    CHECK(other->kv_bytes_for(1) < model.f32->kv_bytes_for(1));
    auto c = model.beside(*other);
    print(name + " with KV of its own", kv, c);
    CHECK(c.positions > 1000);
    CHECK(c.flips + (c.f32_loss != c.narrow_loss) > 0);  // it is no f32
    CHECK(c.agreement() > 0.97);
    CHECK(std::abs(c.change()) < 0.05);
  }
}

TEST_CASE("narrow weights agree with f32 on random folders where the margin is clear", "[models][narrow]") {
  auto type = GENERATE(dtype::bf16, dtype::int8);  // int4's own rounding decides there
  comparison c;
  std::mt19937 random(9);
  for (std::uint64_t seed = 201; seed <= 216; ++seed) {
    random_folder made(seed);
    hf::model_folder folder(made.dir());
    auto f32 = make_torch_shard(folder, {}), other = make_torch_shard(folder, in(type));
    compare(c, *f32, *other, some_ids(folder, random, 80));
  }
  print("random folders", type, c);
  CHECK(c.clear > 500);
  CHECK(c.clear_flips < c.clear / 20);
  CHECK(std::abs(c.change()) < 0.1);
}

TEST_CASE("our kernels are libtorch's operators over the same numbers", "[models][narrow]") {
  auto type = GENERATE(dtype::f32, dtype::bf16, dtype::int8, dtype::int4);
  CAPTURE(to_string(type));
  comparison c;
  std::mt19937 random(10);
  for (std::uint64_t seed = 301; seed <= 316; ++seed) {
    random_folder made(seed);
    hf::model_folder folder(made.dir());
    auto oracle = make_torch_shard(folder, in(type, true)), ours = make_torch_shard(folder, in(type));
    compare(c, *oracle, *ours, some_ids(folder, random, 80));
  }
  print("random folders beside libtorch's operators", type, c);
  CHECK(c.clear > 500);
  CHECK(c.clear_flips < (type == dtype::f32 ? 1 : c.clear / 50));
  CHECK(std::abs(c.change()) < (type == dtype::f32 ? 1e-5 : 0.02));
}

namespace {

/// Logits of all rows, fed in pieces of these sizes in turn; with company, other sequences run in the same steps.
std::vector<double> in_pieces(shard& s, const std::vector<token_id>& ids, const std::vector<std::size_t>& sizes,
                              bool company) {
  auto last = static_cast<std::uint32_t>(s.info().stages.size() - 1);
  auto seq = s.open(), other = s.open();
  std::vector<double> out;
  std::uint64_t elsewhere = 0;
  for (std::size_t at = 0, piece = 0; at < ids.size(); ++piece) {
    auto n = std::min(sizes[piece % sizes.size()], ids.size() - at);
    auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<segment> batch{feed(s, seq, 0, last, at, {begin, begin + static_cast<std::ptrdiff_t>(n)})};
    batch.front().want = {};
    batch.front().want.logits = rows_wanted::all;
    if (company) {
      batch.insert(batch.begin(), feed(s, other, 0, last, elsewhere, {ids.rbegin(), ids.rbegin() + 3}));
      elsewhere += 3;
    }
    auto more = numbers(s.step(batch).back().logits);
    out.insert(out.end(), more.begin(), more.end());
    at += n;
  }
  s.close(seq);
  s.close(other);
  return out;
}

} // namespace

TEST_CASE("with our kernels logits are the same bits however a text is cut and whatever runs beside it",
          "[models][narrow]") {
  auto type = GENERATE(dtype::f32, dtype::bf16, dtype::int8, dtype::int4);
  auto kv = GENERATE(dtype::f32, dtype::bf16, dtype::i8_rows);
  CAPTURE(to_string(type), to_string(kv));
  std::mt19937 random(11);
  for (std::uint64_t seed = 401; seed <= 412; ++seed) {
    CAPTURE(seed);
    random_folder made(seed);
    hf::model_folder folder(made.dir());
    auto s = make_torch_shard(folder, {.compute = type, .kv = kv});
    auto ids = some_ids(folder, random, 80);  // over a page's end
    auto whole = in_pieces(*s, ids, {ids.size()}, false);
    REQUIRE(whole == in_pieces(*s, ids, {1}, false));
    REQUIRE(whole == in_pieces(*s, ids, {7, 1, 30}, true));
  }
}
