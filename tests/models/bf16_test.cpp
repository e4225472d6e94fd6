// What bf16 weights cost: each text is scored by the same folder in f32 and in bf16, teacher-forced. The figures are
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

shard_options bf16_options() {
  shard_options o;
  o.compute = dtype::bf16;
  return o;
}

struct comparison {
  std::size_t positions = 0, flips = 0, clear = 0, clear_flips = 0;  ///< clear: the margin in f32 is above 0.1
  double f32_loss = 0, bf16_loss = 0;                                ///< sums of -log p of the text

  double agreement() const { return 1 - static_cast<double>(flips) / static_cast<double>(positions); }
  double perplexity(double loss) const { return std::exp(loss / static_cast<double>(positions)); }
  double change() const { return perplexity(bf16_loss) / perplexity(f32_loss) - 1; }
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

void compare(comparison& c, shard& f32, shard& bf16, const std::vector<token_id>& ids) {
  auto a = logits_of(f32, ids), b = logits_of(bf16, ids);
  std::size_t vocab = f32.info().vocab;
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    auto x = std::span(a).subspan(i * vocab, vocab), y = std::span(b).subspan(i * vocab, vocab);
    bool flip = argmax(x) != argmax(y), clear = margin({x.begin(), x.end()}) > 0.1;
    ++c.positions;
    c.flips += flip;
    c.clear += clear;
    c.clear_flips += flip && clear;
    c.f32_loss += loss(x, ids[i + 1]);
    c.bf16_loss += loss(y, ids[i + 1]);
  }
}

void print(const std::string& what, const comparison& c) {
  std::cout << what << ": bf16 agrees with f32 at " << 100 * c.agreement() << " % of " << c.positions << " positions (" << c.flips
            << " flips, " << c.clear_flips << " where the margin is above 0.1), perplexity " << c.perplexity(c.f32_loss) << " -> "
            << c.perplexity(c.bf16_loss) << " (" << 100 * c.change() << " %)\n";
}

} // namespace

TEST_CASE("bf16 agrees with f32 on the shipped models", "[models][bf16]") {
  auto name = GENERATE(as<std::string>{}, "edge-s", "edge-m", "cloud");
  auto dir = fs::path(VIRGA_SOURCE_DIR) / "models/zoo" / name;
  hf::model_folder folder(dir);
  auto tok = load_tokenizer(dir);
  auto f32 = make_torch_shard(folder, {}), bf16 = make_torch_shard(folder, bf16_options());
  comparison c;
  const world::world w;
  for (auto& q : world::make_questions(w, world::split::validation, 7, world::demo_mixture(), 60))
    compare(c, *f32, *bf16, tok->encode(q.prompt + " " + q.answer));
  print(name, c);
  CHECK(c.positions > 1000);
  CHECK(c.agreement() > 0.97);
  CHECK(std::abs(c.change()) < 0.05);
}

TEST_CASE("bf16 agrees with f32 on random folders where the margin is clear", "[models][bf16]") {
  comparison c;
  std::mt19937 random(9);
  for (std::uint64_t seed = 201; seed <= 216; ++seed) {
    random_folder made(seed);
    hf::model_folder folder(made.dir());
    auto f32 = make_torch_shard(folder, {}), bf16 = make_torch_shard(folder, bf16_options());
    std::vector<token_id> ids(80);
    for (auto& id : ids)
      id = random() % folder.config().vocab_size;
    compare(c, *f32, *bf16, ids);
  }
  print("random folders", c);
  CHECK(c.clear > 500);
  CHECK(c.clear_flips < c.clear / 20);
  CHECK(std::abs(c.change()) < 0.1);
}
