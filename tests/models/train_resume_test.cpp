// Checkpoints: a killed run goes on as if it had not been.
#include "models/hf/folder.hpp"
#include "models/train/run.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>
#include <fstream>

using namespace virga::models;
using namespace virga::models::train;

namespace {

recipe tiny_recipe() {
  recipe r;
  r.name = "tiny";
  r.shape = {.layers = 1, .hidden = 16, .intermediate = 24, .heads = 2, .kv_heads = 2, .head_dim = 8};
  r.people = 20;
  r.tokens = 10'000;
  r.rows = 2;
  r.warmup = 5;
  return r;
}

std::filesystem::path fresh_folder(const std::string& name) {
  const auto dir = std::filesystem::path(VIRGA_BINARY_DIR) / "train_resume_test" / name;
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  return dir;
}

std::vector<float> weights_of(trainer& t) { return {t.model().weights().begin(), t.model().weights().end()}; }

std::size_t lines_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(in), {}, '\n'));
}

} // namespace

TEST_CASE("a resumed run ends with the weights of an unbroken one", "[models][train]") {
  prepare_process();
  trainer unbroken(tiny_recipe()), first(tiny_recipe()), second(tiny_recipe());
  for (int i = 0; i < 20; ++i) {
    unbroken.step();
  }
  const auto file = fresh_folder("resume") / "checkpoint.bin";
  for (int i = 0; i < 12; ++i) {
    first.step();
  }
  first.save(file);
  first.step();  // lost with the kill
  second.load(file);
  CHECK(second.state().step == 12);
  CHECK(second.state().resumed);
  for (int i = 12; i < 20; ++i) {
    second.step();
  }
  CHECK(weights_of(second) == weights_of(unbroken));
  CHECK(second.state().tokens == unbroken.state().tokens);
}

TEST_CASE("loss falls on a world that fits into the model", "[models][train]") {
  auto longer = tiny_recipe();
  longer.tokens = 60'000;
  trainer t(longer);
  t.step();
  const auto start = t.state().loss.answer;
  while (!t.finished()) {
    t.step();
  }
  CHECK(t.state().loss.answer < start - 2);
}

TEST_CASE("a checkpoint of another recipe or a damaged one is refused with a reason", "[models][train]") {
  const auto dir = fresh_folder("damage");
  trainer t(tiny_recipe());
  t.save(dir / "good");
  auto other = tiny_recipe();
  other.seed = 2;
  CHECK_THROWS_WITH(trainer(other).load(dir / "good"), Catch::Contains("another run") && Catch::Contains("seed=2"));
  std::ofstream(dir / "text") << "hello\n";
  CHECK_THROWS_WITH(t.load(dir / "text"), Catch::Contains("not a training checkpoint"));
  std::filesystem::copy_file(dir / "good", dir / "short");
  std::filesystem::resize_file(dir / "short", std::filesystem::file_size(dir / "short") - 4);
  CHECK_THROWS_WITH(t.load(dir / "short"), Catch::Contains("cut short"));
}

TEST_CASE("a run stops, goes on, and leaves a model folder and its loss curve", "[models][train]") {
  const auto out = fresh_folder("run") / "tiny";
  run_options how;
  how.stop_after_steps = 5;
  trainer first(tiny_recipe());
  CHECK_FALSE(run(first, out, how));
  CHECK(std::filesystem::exists(out / "checkpoint.bin"));
  how.stop_after_steps = 0;
  std::uint64_t steps_seen = 0;
  how.report = [&](const progress&) { ++steps_seen; };
  trainer second(tiny_recipe());
  CHECK(run(second, out, how));
  CHECK(steps_seen == second.state().steps - 5);
  CHECK_FALSE(std::filesystem::exists(out / "checkpoint.bin"));
  CHECK(lines_of(out / "training.csv") == 2);  // header and the last step
  const hf::model_folder folder(out);
  CHECK(folder.config().num_hidden_layers == 1);
  trainer third(tiny_recipe());
  CHECK_THROWS_WITH(run(third, out, how), Catch::Contains("already holds a finished model"));
}

TEST_CASE("the progress line has bar, loss, rate and time left", "[models][train]") {
  progress p;
  p.step = 50;
  p.steps = 100;
  p.tokens = 2'500'000;
  p.loss.answer = 0.125;
  p.tokens_per_second = 15'200;
  p.seconds_left = 430;
  CHECK(progress_line(p) == "[##########..........]  50 %  loss 0.1250  15.2k tokens/s  2.50 M tokens  ETA 7:10");
}
