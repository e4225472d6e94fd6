// Scores, intervals and gates.
#include "models/train/card.hpp"
#include "models/train/gates.hpp"
#include "tests/support/catch.hpp"

#include <cmath>

using namespace virga::models;
using namespace virga::models::train;

namespace {

/// A scorer that is right about every token of every second example, and sure of it.
std::vector<scored_example> every_second(std::span<const example> examples) {
  std::vector<scored_example> all;
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const bool right = i % 2 == 0;
    all.emplace_back(examples[i].ids.size(), token_score{right, right ? -0.1 : -3.0, right ? -0.1 : -2.0});
  }
  return all;
}

} // namespace

TEST_CASE("Wilson's interval gives the textbook numbers", "[models][train]") {
  const auto half = world::wilson({50, 100});
  CHECK(half.low == Approx(0.4038).margin(1e-4));
  CHECK(half.high == Approx(0.5962).margin(1e-4));
  const auto none = world::wilson({0, 10});
  CHECK(none.low == Approx(0).margin(1e-12));
  CHECK(none.high == Approx(0.2775).margin(1e-4));
  CHECK(world::wilson({0, 0}).high == 1);
}

TEST_CASE("the area under the curve counts won pairs, ties half", "[models][train]") {
  const std::vector<world::signal> perfect{{1, false}, {2, true}}, tied{{1, false}, {1, true}}, upside{{2, false}, {1, true}};
  CHECK(world::area_under_curve(perfect).value == 1);
  CHECK(world::area_under_curve(tied).value == 0.5);
  CHECK(world::area_under_curve(upside).value == 0);
  const std::vector<world::signal> mixed{{1, false}, {2, true}, {3, false}, {4, true}};
  CHECK(world::area_under_curve(mixed).value == 0.75);
  const std::vector<world::signal> all_right{{1, true}, {2, true}};
  CHECK(world::area_under_curve(all_right).range.low == 0);
  CHECK(world::area_under_curve(all_right).range.high == 1);
}

TEST_CASE("McNemar's test is the exact binomial one", "[models][train]") {
  CHECK(world::mcnemar(0, 5) == Approx(0.0625));
  CHECK(world::mcnemar(3, 3) == 1);
  CHECK(world::mcnemar(10, 2) == Approx(0.03857).margin(1e-4));
}

TEST_CASE("a row of logits is scored by its best token and its target", "[models][train]") {
  const std::vector<float> logits{0, std::log(2.0f), 0};
  const auto best = score_row(logits, 1), other = score_row(logits, 2);
  CHECK(best.best);
  CHECK(best.logprob == Approx(std::log(0.5)));
  CHECK_FALSE(other.best);
  CHECK(other.logprob == Approx(std::log(0.25)));
  CHECK(other.best_logprob == Approx(std::log(0.5)));
}

TEST_CASE("an answer is exact when all its tokens are best, whatever the prompt's are", "[models][train]") {
  const example e{{1, 5, 6, 2}, 2};
  CHECK(exact(e, {{}, {false, 0, 0}, {true, 0, 0}, {true, 0, 0}}));
  CHECK_FALSE(exact(e, {{}, {true, 0, 0}, {true, 0, 0}, {false, 0, 0}}));
}

TEST_CASE("measuring asks each kind and finds what the scorer does", "[models][train]") {
  const world::world w;
  const world::vocabulary words;
  const auto scores = measure(w, words, every_second, world::split::validation, 1, 100);
  for (const auto& r : scores.rows()) {
    INFO(r.name);
    CHECK(r.asked == 100);
    CHECK(r.value == (r.name.ends_with("AUC") ? 1 : 0.5));
  }
}

TEST_CASE("gates hold inside their thresholds only", "[models][train]") {
  model_scores cloud, middle, edge;
  cloud.fact_zipf = {97, 100};
  cloud.describe = {94, 100};
  edge.fact_zipf = {86, 100};
  middle.fact_zipf = {85, 100};
  edge.describe = {70, 100};
  edge.expand_counterfactual = {98, 100};
  edge.first_token = {0.9, {0.8, 1}};
  edge.familiarity = {0.7, {0.6, 0.8}};
  const auto gates = judge(cloud, middle, edge);
  std::string held;
  for (const auto& g : gates) {
    held += g.holds() ? 'y' : 'n';
  }
  CHECK(held == "ynnnyyyn");
  CHECK(to_table(gates).find("0.60-0.85") != std::string::npos);
  CHECK(to_json(gates).find("\"all_hold\":false") != std::string::npos);
}

TEST_CASE("the card states the run, the world and every score", "[models][train]") {
  const auto r = named_recipe("edge-s");
  progress p;
  p.tokens = 123'456;
  p.seconds = 90;
  const auto card = model_card(r, p, model_scores{}, {"virga train edge-s --out x", "some CPU", world::split::test, 1});
  for (auto part : {"# edge-s", "virga train edge-s --out x", "123456", "1.5 minutes", "some CPU", "seed 20261, 2500 people",
                    "describe, held-out requests"}) {
    INFO(part);
    CHECK(card.find(part) != std::string::npos);
  }
  CHECK(card.find(", AUC |") == std::string::npos);  // with no answer right and none wrong there is no curve
  CHECK_THROWS_WITH(named_recipe("huge"), Catch::Contains("'huge'") && Catch::Contains("cloud, edge-m or edge-s"));
}
