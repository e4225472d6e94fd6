// The shipped models, as a user gets them: folders that load, and gates that hold.
#include "models/make_shard.hpp"
#include "models/tokenizer.hpp"
#include "models/train/gates.hpp"
#include "models/train/run.hpp"
#include "tests/support/catch.hpp"

using namespace virga::models;
using namespace virga::models::train;

namespace {

std::filesystem::path zoo(const std::string& name) { return std::filesystem::path(VIRGA_SOURCE_DIR) / "models/zoo" / name; }

model_scores ask(const std::string& name, std::uint32_t questions) {
  const world::world w;
  const world::vocabulary words;
  const hf::model_folder folder(zoo(name));
  const auto model = make_torch_shard(folder, {});
  return measure(w, words, score_with(*model), world::split::validation, 2, questions);
}

} // namespace

TEST_CASE("the gates of the shipped models hold on validation questions", "[models][world]") {
  prepare_process();
  for (const auto& g : judge(ask("cloud", 1000), ask("edge-m", 1000), ask("edge-s", 1000))) {
    INFO(g.name << ": " << g.value << " of " << g.asked);
    CHECK(g.holds());
  }
}

TEST_CASE("greedy decoding token by token gives the answer that one pass predicts", "[models][world]") {
  const world::world w;
  const hf::model_folder folder(zoo("edge-s"));
  const auto tok = load_tokenizer(zoo("edge-s"));
  const auto model = make_reference_shard(folder, {});
  const auto score = score_with(*model);
  const world::vocabulary words;
  int right = 0;
  for (const auto& q : world::make_questions(w, world::split::validation, 3, {}, 40)) {
    const auto e = make_example(words, w, q.ask);
    segment s;
    s.seq = model->open();
    s.last_stage = static_cast<std::uint32_t>(model->info().stages.size() - 1);
    s.tokens = tok->encode(q.prompt);
    s.want.tokens = virga::rows_wanted::last;
    std::vector<virga::token_id> answer;
    while (answer.size() < 100) {
      const auto next = model->step(std::span(&s, 1)).at(0).choices.at(0).id;
      if (next == folder.generation().eos.at(0)) {
        break;
      }
      answer.push_back(next);
      s.base += s.tokens.size();
      s.tokens = {next};
    }
    const bool exactly = world::check(w, q, tok->decode(answer)).exact;
    CHECK(exactly == exact(e, score(std::span(&e, 1)).at(0)));
    right += exactly ? 1 : 0;
  }
  CHECK(right > 10);
  CHECK(right < 40);  // so that both outcomes were compared
}
