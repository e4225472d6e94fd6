// The exported folder is the trained net: same logits from an independent implementation that only reads the folder.
#include "models/make_shard.hpp"
#include "models/chat_template.hpp"
#include "models/tokenizer.hpp"
#include "models/train/export.hpp"
#include "models/train/score.hpp"
#include "models/train/trainer.hpp"
#include "models/world/question.hpp"
#include "tests/support/catch.hpp"

#include <cstring>

using namespace virga;
using namespace virga::models;
using namespace virga::models::train;

namespace {

recipe small_recipe(std::uint32_t kv_heads) {
  recipe r;
  r.name = "small";
  r.shape = {.layers = 2, .hidden = 24, .intermediate = 40, .heads = 2, .kv_heads = kv_heads, .head_dim = 12};
  r.people = 50;
  r.tokens = 100'000;
  r.rows = 4;
  return r;
}

std::filesystem::path fresh_folder(const std::string& name) {
  const auto dir = std::filesystem::path(VIRGA_BINARY_DIR) / "train_export_test" / name;
  std::filesystem::remove_all(dir);
  return dir;
}

double largest_difference(trainer& t, shard& model, const world::question& q) {
  const auto e = make_example(t.words(), t.where(), q.ask);
  packer pack(2, 128, 1);
  pack.add(example{{1, 2, 3}, 1});  // a neighbour in the row, so that position and mask per example matter
  pack.add(e);
  const auto batch = pack.take();
  const auto ours = t.model().logits(batch);
  segment s;
  s.seq = model.open();
  s.last_stage = static_cast<std::uint32_t>(model.info().stages.size() - 1);
  s.tokens = e.ids;
  s.want.logits = rows_wanted::all;
  const auto theirs = model.step(std::span(&s, 1)).at(0).logits;
  double largest = 0;
  for (std::size_t i = 0; i < e.ids.size() * t.words().size(); ++i) {
    double value = 0;
    std::memcpy(&value, theirs.data.data() + 8 * i, 8);
    largest = std::max(largest, std::abs(value - ours[3 * t.words().size() + i]));
  }
  return largest;
}

} // namespace

TEST_CASE("an exported folder gives the logits of the net that was trained", "[models][train]") {
  for (auto kv_heads : {2u, 1u}) {
    trainer t(small_recipe(kv_heads));
    for (int i = 0; i < 30; ++i) {
      t.step();
    }
    const auto dir = fresh_folder("kv" + std::to_string(kv_heads));
    export_folder(t.model(), t.words(), dir);
    const hf::model_folder folder(dir);
    const auto model = make_reference_shard(folder, {.compute = dtype::f64, .kv_bytes = 1u << 26, .stages = {}});
    for (const auto& q : world::make_questions(t.where(), world::split::test, 3, {}, 20)) {
      CHECK(largest_difference(t, *model, q) < 2e-5);
    }
  }
}

TEST_CASE("the exported tokenizer makes one token of every word and gives the text back", "[models][train]") {
  trainer t(small_recipe(2));
  const auto dir = fresh_folder("tokenizer");
  export_folder(t.model(), t.words(), dir);
  const auto tok = load_tokenizer(dir);
  CHECK(tok->vocab_size() == t.words().size());
  for (const auto& q : world::make_questions(t.where(), world::split::test, 4, {}, 50)) {
    const auto e = make_example(t.words(), t.where(), q.ask);
    const auto prompt = tok->encode(q.prompt);
    CHECK(prompt == std::vector<token_id>(e.ids.begin(), e.ids.begin() + static_cast<std::ptrdiff_t>(e.answer)));
    CHECK(tok->decode(std::span(e.ids).subspan(e.answer)) == q.answer);
    const auto chat = load_chat_template(dir)->render(std::vector<chat_message>{{"user", "ignored"}, {"user", q.prompt}});
    CHECK(tok->encode(chat.text, {false, true, chat.user_text}) == prompt);
  }
  const hf::model_folder folder(dir);
  CHECK(folder.generation().eos == std::vector<token_id>{world::vocabulary::eos});
}
