// Drafting rounds against a device whose every choice is written down, and the model's own answers.
#include "models/make_shard.hpp"
#include "models/train/acceptance.hpp"
#include "models/train/greedy.hpp"
#include "models/train/own_data.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <map>

using namespace virga;
using namespace virga::models;
using namespace virga::models::train;
using models::test::fixture;
using models::test::scratch;

namespace {

/// What the device says behind a prefix.
using script = std::map<std::vector<token_id>, std::pair<token_id, double>>;

/// A device that follows a script and checks that it is fed what a cache needs.
class scripted_device final : public shard {
public:
  explicit scripted_device(script s) : script_(std::move(s)) {
    info_.stages = {
        {stage_kind::embedding}, {stage_kind::layers, 0, 1}, {stage_kind::adapter, 1, 1}, {stage_kind::head}};
    info_.max_positions = 100;
  }
  const shard_info& info() const override { return info_; }
  sequence open() override { return sequence{++last_}; }
  sequence fork(sequence, std::uint64_t) override { throw std::logic_error("no forks here"); }
  void truncate(sequence seq, std::uint64_t length) override {
    if (auto& held = held_[seq]; held.size() > length)
      held.resize(length);
  }
  void close(sequence seq) override { held_.erase(seq); }
  std::uint64_t length(sequence seq, std::uint32_t) const override { return held_.at(seq).size(); }
  std::uint64_t kv_bytes() const override { return 0; }
  std::uint64_t kv_bytes_limit() const override { return 1000; }
  std::uint64_t kv_bytes_for(std::uint64_t positions) const override { return positions; }
  std::uint64_t kv_bytes_held_by(std::span<const sequence>) const override { return 0; }

  std::vector<segment_result> step(std::span<const segment> batch) override {
    std::vector<segment_result> out;
    for (auto& s : batch) {
      auto& held = held_[s.seq];
      REQUIRE(s.base == held.size());
      REQUIRE_FALSE(s.tokens.empty());
      held.insert(held.end(), s.tokens.begin(), s.tokens.end());
      auto said = script_.find(held);
      auto [id, confidence] = said == script_.end() ? std::pair<token_id, double>{99, 0.9} : said->second;
      ++steps;
      out.push_back({{}, {}, {{.id = id, .confidence = confidence, .top = {}}}});
    }
    return out;
  }

  std::size_t steps = 0;

private:
  script script_;
  shard_info info_;
  std::map<sequence, std::vector<token_id>> held_;
  std::uint64_t last_ = 0;
};

using world::word_role;

} // namespace

TEST_CASE("a round keeps the right prefix of a draft and adds the model's own token", "[models][train]") {
  // Prompt 1 2, answer 10 11 12 13 14 15; the device knows what follows 10 and 11, errs behind 12 and is unsure
  // behind 14.
  scripted_device device({{{1, 2, 10}, {11, 0.9}},
                          {{1, 2, 10, 11}, {12, 0.8}},
                          {{1, 2, 10, 11, 12}, {50, 0.7}},
                          {{1, 2, 10, 11, 12, 50}, {51, 0.9}},
                          {{1, 2, 10, 11, 12, 13}, {14, 0.59}},
                          {{1, 2, 10, 11, 12, 13, 14}, {15, 0.9}}});
  drafted_request r{
      {1, 2},
      {10, 11, 12, 13, 14, 15},
      {word_role::frame, word_role::fact, word_role::frame, word_role::fact, word_role::type, word_role::frame}};
  auto a = measure_acceptance(device, std::span(&r, 1), {.most = 4, .eta = 0.6}, std::vector<token_id>{15});
  // Round 1: drafts 11 12 50 51, kept 2, correction 13. Round 2: draft 14 (unsure: stop), kept, then the model's 15.
  CHECK(a.rounds == 2);
  CHECK(a.emitted == 5);
  CHECK(a.drafted == 5);
  CHECK(a.length == Approx(2.5));
  CHECK(device.steps == 5);
  REQUIRE(a.at_position.size() == 4);
  CHECK(a.at_position[0].right == 2);
  CHECK(a.at_position[0].asked == 2);
  CHECK(a.at_position[1].right == 1);
  CHECK(a.at_position[2].right == 0);
  CHECK(a.at_position[2].asked == 1);
  CHECK(a.at_position[3].asked == 0);  // behind a wrong token nothing is judged
  CHECK(a.fact.right == 1);
  CHECK(a.fact.asked == 2);
  CHECK(a.other.right == 2);
  CHECK(a.other.asked == 2);
  CHECK(a.type.asked == 1);
  CHECK(a.all.right == 3);
}

TEST_CASE("a draft ends with the answer, at a stop token and at its longest", "[models][train]") {
  script follows;
  std::vector<token_id> so_far{7};
  for (token_id id = 20; id < 30; ++id) {
    so_far.push_back(id);
    follows[so_far] = {id + 1, 1.0};
  }
  drafted_request r{{7}, {20, 21, 22, 23, 24, 25, 26, 27, 28, 29}, {}};
  scripted_device device(follows);
  auto a = measure_acceptance(device, std::span(&r, 1), {.most = 6, .eta = 0.6}, std::vector<token_id>{29});
  // 6 kept and one more (27), then 28 and 29 end the answer without one more.
  CHECK(a.rounds == 2);
  CHECK(a.emitted == 9);
  CHECK(a.drafted == 8);
  CHECK(a.all.right == 8);
  scripted_device careful(follows);
  auto one = measure_acceptance(careful, std::span(&r, 1), {.most = 6, .eta = 1.1}, std::vector<token_id>{29});
  CHECK(one.length == Approx(9.0 / 5));  // always one draft and one more
  scripted_device lost({});
  auto none = measure_acceptance(lost, std::span(&r, 1), {.most = 6, .eta = 0.6}, std::vector<token_id>{29});
  CHECK(none.length == 1);
  CHECK(none.all.right == 0);
}

TEST_CASE("requests that are drafted side by side count as they do alone", "[models][train]") {
  hf::model_folder base(fixture("mha-tied"));
  auto whole = make_torch_shard(base, {dtype::f32, 1u << 24, {}});
  std::vector<std::vector<token_id>> prompts{{1, 5, 9}, {1, 40}, {1, 7, 7, 30, 2, 61}, {3}};
  auto answers = greedy_answers(*whole, prompts, {.stop = {2}, .most_tokens = 20});
  std::vector<drafted_request> requests;
  for (std::size_t i = 0; i < prompts.size(); ++i)
    requests.push_back({prompts[i], answers[i], {}});
  // The model drafts for itself: everything is kept, six and one more a round.
  auto all = measure_acceptance(*whole, requests, {.most = 6, .eta = 0}, {});
  CHECK(all.all.right == all.all.asked);
  std::uint64_t rounds = 0, emitted = 0;
  for (auto& r : requests) {
    auto alone = measure_acceptance(*whole, std::span(&r, 1), {.most = 6, .eta = 0}, {});
    CHECK(alone.rounds == (r.answer.size() - 1 + 6) / 7);
    rounds += alone.rounds;
    emitted += alone.emitted;
  }
  CHECK(all.rounds == rounds);
  CHECK(all.emitted == emitted);
}

TEST_CASE("greedy answers are those of one prompt alone and end where they must", "[models][train]") {
  hf::model_folder base(fixture("mha-tied"));
  auto whole = make_torch_shard(base, {dtype::f64, 1u << 24, {}});
  std::vector<std::vector<token_id>> prompts{{1, 5, 9}, {1, 40}, {1, 7, 7, 30, 2, 61}};
  auto all = greedy_answers(*whole, prompts, {.stop = {}, .most_tokens = 12, .at_once = 2});
  REQUIRE(all.size() == 3);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    REQUIRE(all[i].size() == 12);
    auto ids = prompts[i];
    for (auto id : all[i]) {
      auto logits = test::numbers(test::run(*whole, test::feed(*whole, whole->open(), 0, 2, 0, ids)).logits);
      CHECK(test::argmax(std::span(logits).last(base.config().vocab_size)) == id);
      ids.push_back(id);
    }
  }
  auto stopped = greedy_answers(*whole, prompts, {.stop = {all[0][3]}, .most_tokens = 12});
  auto first = std::find(all[0].begin(), all[0].end(), all[0][3]) - all[0].begin();
  CHECK(stopped[0] == std::vector<token_id>(all[0].begin(), all[0].begin() + first + 1));
  std::vector<std::vector<token_id>> full{std::vector<token_id>(base.config().max_position_embeddings - 2, 5)};
  auto roomy = make_torch_shard(base, {dtype::f32, 1u << 28, {}});
  CHECK(greedy_answers(*roomy, full, {.stop = {}, .most_tokens = 12})[0].size() == 2);
}

TEST_CASE("the model's own answers are kept as they come and asked once", "[models][train]") {
  hf::model_folder base(fixture("mha-tied"));
  auto whole = make_torch_shard(base, {dtype::f32, 1u << 24, {}});
  prompt_list prompts{{1, 5, 9}, {1, 40}, {1, 7, 7, 30, 2, 61}, {3}};
  greedy_options how{.stop = {2}, .most_tokens = 9, .at_once = 2};
  scratch root;
  auto file = root / "answers.txt";
  std::size_t asked = 0;
  auto count = [&](std::size_t, const std::vector<token_id>&) { ++asked; };
  auto fresh = own_examples(*whole, prompts, how, file, count);
  CHECK(asked == 4);
  CHECK(fresh[2].answer == 6);
  auto text = test::read_file(file);
  auto lines = text.substr(0, text.find('\n', text.find('\n') + 1) + 3);
  test::write_file(file, lines);  // one whole answer and a torn one
  auto resumed = own_examples(*whole, prompts, how, file, count);
  CHECK(asked == 7);
  CHECK(test::read_file(file) == text);
  for (std::size_t i = 0; i < prompts.size(); ++i)
    CHECK(resumed[i].ids == fresh[i].ids);
  CHECK_THROWS_WITH(own_examples(*whole, {{1, 5, 9}}, how, file), Catch::Contains("another model or to other prompts"));
}
