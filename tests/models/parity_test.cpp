// Both shards against transformers, whose results lie in tests/parity/fixtures (see make_fixtures.py).
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <iostream>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;

namespace {

using maker = std::unique_ptr<shard> (*)(const hf::model_folder&, const shard_options&);

struct named_maker {
  const char* name;
  maker make;
};

const std::vector<named_maker> makers{{"reference", make_reference_shard}, {"torch", make_torch_shard}};

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

/// The fixtures of make_fixtures.py and of make_architecture_fixtures.py, all by name.
std::vector<std::string> models_of_all_families() {
  std::vector<std::string> out{"gqa-untied", "mha-tied"};
  for (auto& entry : fs::directory_iterator(fixture("architectures")))
    if (entry.is_directory())
      out.push_back("architectures/" + entry.path().filename().string());
  std::sort(out.begin(), out.end());
  return out;
}

/// The whole prompt in one segment; the last rows are compared where the fixture has only these.
double difference(const named_maker& m, const std::string& model, dtype compute, const std::string& expected) {
  hf::model_folder folder(fixture(model));
  hf::safetensors_file truth(fixture(model + ".expected.safetensors"));
  auto s = m.make(folder, {compute, 16u << 20, {}});
  auto got = numbers(run(*s, feed(*s, s->open(), 0, 2, 0, token_ids(numbers(truth, "prompt")))).logits);
  auto rows = numbers(truth, expected);
  got.erase(got.begin(), got.end() - static_cast<std::ptrdiff_t>(rows.size()));
  auto worst = largest_difference(got, rows);
  std::cout << m.name << " " << to_string(compute) << " " << model << ": " << worst << " from transformers\n";
  return worst;
}

} // namespace

TEST_CASE("there is a fixture for every family and option", "[models][parity]") {
  CHECK(models_of_all_families().size() == 16);
}

TEST_CASE("f64 logits are those of a transformers model put into f64", "[models][parity]") {
  for (auto& m : makers)
    for (auto& model : models_of_all_families())
      CHECK(difference(m, model, dtype::f64, "logits_f64") < 1e-9);
}

TEST_CASE("f32 logits are those of stock transformers", "[models][parity]") {
  for (auto& m : makers)
    for (auto& model : models_of_all_families())
      CHECK(difference(m, model, dtype::f32, "logits_f32") < 1e-4);
}

TEST_CASE("64 greedy tokens are those of stock transformers", "[models][parity]") {
  for (auto& m : makers)
    for (auto& model : models_of_all_families())
      for (auto compute : {dtype::f32, dtype::f64}) {
        INFO(m.name << " " << model << " " << to_string(compute));
        hf::model_folder folder(fixture(model));
        hf::safetensors_file truth(fixture(model + ".expected.safetensors"));
        auto s = m.make(folder, {compute, 16u << 20, {}});
        auto seq = s->open();
        auto next = token_ids(numbers(truth, "prompt"));
        std::uint64_t base = 0;
        std::vector<token_id> answer;
        while (answer.size() < 64) {
          segment one{seq, 0, 2, base, next, {}, {}};
          one.want.tokens = rows_wanted::last;
          base += next.size();
          answer.push_back(run(*s, one).choices.at(0).id);
          next = {answer.back()};
        }
        CHECK(answer == token_ids(numbers(truth, "greedy")));
      }
}
