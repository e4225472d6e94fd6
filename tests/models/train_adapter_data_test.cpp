// What an adapter learns from: reproducible, and nothing that is held out.
#include "models/train/adapter_data.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <set>

using namespace virga;
using namespace virga::models;
using namespace virga::models::train;
using models::test::fixture;
using models::test::scratch;

namespace {

std::vector<std::vector<token_id>> ids_of(const std::vector<example>& examples) {
  std::vector<std::vector<token_id>> out;
  for (auto& e : examples)
    out.push_back(e.ids);
  return out;
}

std::vector<example> numbered(token_id count) {
  std::vector<example> out;
  for (token_id i = 0; i < count; ++i)
    out.push_back({{1, i, i + 1, 2}, 1});
  return out;
}

} // namespace

TEST_CASE("an adapter's batches of the world hold no request of validation or test", "[models][train]") {
  const world::world w;
  const world::vocabulary words;
  auto data = world_data(w, words, 50);
  std::set<std::vector<token_id>> held_out;
  world::mixture mix{.fact = 0, .friend_of = 0, .two_hop = 1, .describe = 1, .sketch = 1, .brief = 1, .expand = 0};
  for (auto split : {world::split::validation, world::split::test}) {
    world::random_source random(1);
    for (int i = 0; i < 6000; ++i)
      held_out.insert(make_example(words, w, world::draw_request(w, split, mix, random)).ids);
  }
  std::size_t seen = 0;
  for (std::uint64_t step = 0; step < 40; ++step)
    for (auto& e : data->batch(1, step, 3000)) {
      ++seen;
      REQUIRE_FALSE(held_out.contains(e.ids));
      REQUIRE(e.ids.size() <= data->longest());
    }
  CHECK(seen > 3000);
  CHECK(ids_of(data->batch(1, 7, 3000)) == ids_of(data->batch(1, 7, 3000)));
  CHECK(ids_of(data->batch(1, 7, 3000)) != ids_of(data->batch(2, 7, 3000)));
  CHECK(ids_of(data->batch(1, 7, 3000)) != ids_of(data->batch(1, 8, 3000)));
}

TEST_CASE("a fixed list holds out one in twenty and shows the others once an epoch", "[models][train]") {
  auto data = fixed_data(numbered(1000), "numbers");
  CHECK(data->held_out().size() > 25);
  CHECK(data->held_out().size() < 80);
  std::multiset<std::vector<token_id>> seen;
  auto seen_count = 1000 - data->held_out().size();
  for (std::uint64_t step = 0; seen.size() < 2 * seen_count; ++step)
    for (auto& e : data->batch(3, step, 4))
      seen.insert(e.ids);
  for (auto& e : data->held_out())
    CHECK(seen.count(e.ids) == 0);
  for (auto& ids : seen)
    CHECK(seen.count(ids) == 2);
  CHECK(ids_of(data->batch(3, 5, 40)) == ids_of(fixed_data(numbered(1000), "numbers")->batch(3, 5, 40)));
  CHECK(data->description() != fixed_data(numbered(999), "numbers")->description());
  CHECK_THROWS_WITH(fixed_data(numbered(1), "numbers"), Catch::Contains("too few"));
}

TEST_CASE("text files become rows that each begin as a text does", "[models][train]") {
  scratch root;
  auto tok = load_tokenizer(fixture("families/llama"));
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "one line of the text number " + std::to_string(i) + "\n";
  test::write_file(root / "a.txt", text);
  auto before = tok->encode(""), all = tok->encode(text, {false, false, {}});
  std::vector<std::filesystem::path> files{root / "a.txt"};
  std::vector<token_id> joined;
  for (auto& row : text_rows(files, *tok, 40)) {
    CHECK(row.ids.size() <= 40);
    CHECK(row.answer == std::max<std::size_t>(before.size(), 1));
    CHECK(std::equal(before.begin(), before.end(), row.ids.begin()));
    joined.insert(joined.end(), row.ids.begin() + static_cast<std::ptrdiff_t>(before.size()), row.ids.end());
  }
  CHECK(joined.size() + 1 >= all.size());  // one token alone predicts nothing
  CHECK(std::equal(joined.begin(), joined.end(), all.begin()));
}

TEST_CASE("files that cannot be learnt from are refused by name", "[models][train]") {
  scratch root;
  auto tok = load_tokenizer(fixture("families/llama"));
  auto rows = [&](const char* name) {
    std::vector<std::filesystem::path> files{root / name};
    return text_rows(files, *tok, 40);
  };
  CHECK_THROWS_WITH(rows("none.txt"), Catch::Contains("none.txt cannot be read"));
  test::write_file(root / "empty.txt", "");
  CHECK_THROWS_WITH(rows("empty.txt"), Catch::Contains("empty.txt is empty"));
  test::write_file(root / "bytes.txt", "ab\xff");
  CHECK_THROWS_WITH(rows("bytes.txt"), Catch::Contains("bytes.txt: "));
  std::filesystem::create_directory(root / "folder");
  CHECK_THROWS_WITH(rows("folder"), Catch::Contains("folder cannot be read"));
}

TEST_CASE("only a tokenizer with the world's words speaks of the world", "[models][train]") {
  const world::vocabulary words;
  CHECK(speaks_of_the_world(*load_tokenizer(std::filesystem::path(VIRGA_SOURCE_DIR) / "models/zoo/cloud"), words));
  CHECK_FALSE(speaks_of_the_world(*load_tokenizer(fixture("families/llama")), words));
}
