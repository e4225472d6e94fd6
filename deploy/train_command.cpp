#include "deploy/train_command.hpp"

#include "deploy/failures.hpp"
#include "deploy/train_reporter.hpp"
#include "models/make_shard.hpp"
#include "models/train/card.hpp"
#include "models/train/gates.hpp"
#include "models/train/run.hpp"
#include "models/train/test_reads.hpp"

#include <CLI/CLI.hpp>

#include <fstream>
#include <iostream>

namespace virga::deploy {
namespace {

namespace train = models::train;

struct train_options {
  std::string model, out, dtype = "auto";
  double million_tokens = 0;
  std::uint64_t seed = 0, stop_after_steps = 0;
  double checkpoint_seconds = 60;
  std::uint32_t questions = 2000;
};

train::product_type choose_products(const std::string& dtype, const train::recipe& r) {
  if (dtype == "auto")  // narrow products gain nothing from bf16
    return r.shape.hidden >= 128 && train::has_fast_bf16() ? train::product_type::bf16 : train::product_type::f32;
  return dtype == "bf16" ? train::product_type::bf16 : train::product_type::f32;
}

train::recipe recipe_of(const train_options& o) {
  try {
    auto r = train::named_recipe(o.model);
    if (o.million_tokens > 0)
      r.tokens = static_cast<std::uint64_t>(o.million_tokens * 1e6);
    if (o.seed > 0)
      r.seed = o.seed;
    r.products = choose_products(o.dtype, r);
    return r;
  } catch (const std::invalid_argument& e) {
    throw bad_input(e.what());
  }
}

/// Asks the folder that was written, not the net in memory.
train::model_scores ask(const train::trainer& t, const std::string& out, std::uint32_t questions, std::uint64_t seed) {
  const models::hf::model_folder folder(out);
  const auto model = models::make_torch_shard(folder, {});
  std::cerr << train::log_test_read(train::default_test_read_log(), "model card of " + out) << "\n";
  return train::measure(t.where(), t.words(), train::score_with(*model), models::world::split::test, seed, questions);
}

std::string command_line(const train_options& o, const train::recipe& r) {
  auto text = "virga train " + o.model + " --out " + o.out;
  text += o.million_tokens > 0 ? " --million-tokens " + CLI::detail::to_string(o.million_tokens) : "";
  text += o.seed > 0 ? " --seed " + std::to_string(o.seed) : "";
  return text + " --dtype " + (r.products == train::product_type::bf16 ? "bf16" : "f32");
}

void train_model(const train_options& o) {
  constexpr std::uint64_t question_seed = 1;
  train::prepare_process();
  const auto recipe = recipe_of(o);
  warn_of_slow_products(recipe.products);
  train::trainer t(recipe);
  train::run_options how;
  how.checkpoint_seconds = o.checkpoint_seconds;
  how.stop_after_steps = o.stop_after_steps;
  how.report = train_reporter();
  if (!train::run(t, o.out, how)) {
    std::cerr << "Stopped after " << t.state().step << " steps; the same command goes on from there.\n";
    return;
  }
  const auto scores = ask(t, o.out, o.questions, question_seed);
  train::card_facts facts{command_line(o, recipe), train::machine_name(), models::world::split::test, question_seed};
  std::ofstream(std::filesystem::path(o.out) / "MODEL_CARD.md") << train::model_card(t.how(), t.state(), scores, facts);
  std::cout << train::to_table(scores.rows()) << "\n" << o.out << " is ready.\n";
}

} // namespace

void add_train_command(CLI::App& app) {
  auto* command = app.add_subcommand("train", "Train one of the shipped models from nothing; a killed run goes on when started again");
  auto o = std::make_shared<train_options>();
  command->add_option("model", o->model, "cloud, edge-m or edge-s");
  command->add_option("--out", o->out, "The model's folder; also holds the checkpoint while it runs");
  command->add_option("--million-tokens", o->million_tokens, "Tokens to see; the recipe's own number by default");
  command->add_option("--seed", o->seed, "Of weights and batches; the recipe's own by default");
  command->add_option("--dtype", o->dtype, "Of matrix products; auto takes bf16 where the CPU has it and it pays")
    ->check(CLI::IsMember({"auto", "f32", "bf16"}));
  command->add_option("--checkpoint-seconds", o->checkpoint_seconds, "Between checkpoints (60)");
  command->add_option("--stop-after-steps", o->stop_after_steps, "End this call early with a checkpoint");
  command->add_option("--questions", o->questions, "Asked of each kind for MODEL_CARD.md (2000)");
  command->footer("Examples:\n  virga train cloud --out my-cloud\n"
                  "  virga train adapter --model models/zoo/cloud --split 1 --out my-adapter");
  add_train_adapter_command(*command);
  command->callback([o, command] {
    if (!command->get_subcommands().empty())
      return;
    if (o->model.empty() || o->out.empty())
      throw bad_input("train needs the name of a model (cloud, edge-m or edge-s) and --out, or `adapter`: see virga train --help");
    train_model(*o);
  });
}

} // namespace virga::deploy
