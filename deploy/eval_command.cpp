#include "deploy/eval_command.hpp"

#include "deploy/adapter_scoring.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_model.hpp"
#include "models/make_shard.hpp"
#include "models/train/adapter_card.hpp"
#include "models/train/gates.hpp"
#include "models/train/run.hpp"
#include "models/train/test_reads.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <iostream>

namespace virga::deploy {
namespace {

namespace train = models::train;
namespace world = models::world;
namespace fs = std::filesystem;

struct eval_options {
  std::string model, adapter, zoo = "models/zoo", split = "test", shard = "torch", dtype, read_log;
  bool gates = false, json = false;
  std::uint32_t questions = 2000;
  std::uint64_t seed = 1, world_seed = world::default_world_seed;
  std::uint32_t people = world::default_people;
};

void log_read(const eval_options& o, const std::string& what) {
  if (o.split != "test")
    return;
  const auto file = o.read_log.empty() ? train::default_test_read_log() : fs::path(o.read_log);
  std::cerr << train::log_test_read(file, what + ", seed " + std::to_string(o.seed) + ", " + std::to_string(o.questions)
                                            + " questions of each kind")
            << "\n";
}

void check_vocabulary(const models::hf::model_folder& folder, const world::vocabulary& words) {
  if (folder.config().vocab_size != words.size())
    throw bad_input(folder.dir().string() + " has a vocabulary of " + std::to_string(folder.config().vocab_size)
                    + " words, the generated world has " + std::to_string(words.size())
                    + "; only models made by `virga train` can be asked about it");
}

train::model_scores ask(const eval_options& o, const fs::path& dir) {
  const world::world where(o.world_seed, o.people);
  const world::vocabulary words;
  try {
    const models::hf::model_folder folder(dir);
    check_vocabulary(folder, words);
    models::shard_options s;
    s.compute = dtype_for(folder, o.dtype);
    const auto model = o.shard == "torch" ? models::make_torch_shard(folder, s) : models::make_reference_shard(folder, s);
    const auto from = o.split == "test" ? world::split::test : world::split::validation;
    return train::measure(where, words, train::score_with(*model), from, o.seed, o.questions);
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  }
}

/// How much of the model's answers its device part drafts.
train::adapter_scores draft(const eval_options& o) {
  const world::world where(o.world_seed, o.people);
  const world::vocabulary words;
  try {
    const models::hf::model_folder folder(o.model);
    check_vocabulary(folder, words);
    models::shard_options s;
    s.compute = dtype_for(folder, o.dtype);
    const auto device = load_device(folder, o.adapter, s.compute, folder.config().max_position_embeddings);
    const auto whole = models::make_torch_shard(folder, s);
    const world_drafts what{o.split, o.seed, o.questions, o.read_log};
    train::adapter_scores scores;
    scores.drafts = train::measure_acceptance(*device, requests_of(what, "adapter " + o.adapter, where, words, *whole), {},
                                              folder.generation().eos);
    return scores;
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  }
}

void print(const eval_options& o, const std::vector<train::score_row_text>& rows) {
  std::cout << (o.json ? train::to_json(rows) + "\n" : train::to_table(rows));
}

void judge_gates(const eval_options& o) {
  log_read(o, "gates of " + o.zoo);
  const fs::path zoo = o.zoo;
  const auto gates = train::judge(ask(o, zoo / "cloud"), ask(o, zoo / "edge-m"), ask(o, zoo / "edge-s"));
  std::cout << (o.json ? train::to_json(gates) + "\n" : train::to_table(gates));
  const auto failed = std::count_if(gates.begin(), gates.end(), [](const train::gate& g) { return !g.holds(); });
  if (failed > 0) {
    std::cerr << failed << " of " << gates.size() << " gates fail: change the world's or a model's size, not the evaluation.\n";
    throw CLI::RuntimeError(1);
  }
}

void eval(const eval_options& o) {
  train::prepare_process();
  if (o.gates)
    return judge_gates(o);
  if (o.model.empty())
    throw bad_input("eval needs a model folder, or --gates");
  if (!o.adapter.empty())
    return print(o, draft(o).rows());
  log_read(o, "scores of " + o.model);
  print(o, ask(o, o.model).rows());
}

} // namespace

void add_eval_command(CLI::App& app) {
  auto* command = app.add_subcommand("eval", "Ask a model about the generated world; --gates: is the world fit for experiments");
  auto o = std::make_shared<eval_options>();
  command->add_option("model", o->model, "A folder made by `virga train`");
  command->add_option("--adapter", o->adapter, "Adapter of this model: how much of the model's describe answers it drafts");
  command->add_flag("--gates", o->gates, "Judge cloud, edge-m and edge-s of ZOO; exit code 1 when a gate fails");
  command->add_option("--zoo", o->zoo, "Folder with cloud, edge-m and edge-s (models/zoo)");
  command->add_option("--split", o->split, "test is for reported tables, validation for choosing anything")
    ->check(CLI::IsMember({"test", "validation"}));
  command->add_option("--questions", o->questions, "Of each kind (2000)")->check(CLI::Range(1u, 1'000'000u));
  command->add_option("--seed", o->seed, "Of the questions (1)");
  command->add_option("--world-seed", o->world_seed, "Of the world that the models were trained on");
  command->add_option("--people", o->people, "In that world")->check(CLI::Range(2u, 4096u));
  command->add_option("--shard", o->shard, "What runs the model")->check(CLI::IsMember({"torch", "reference"}));
  command->add_option("--dtype", o->dtype, "Of the weights: f32 (default), f64, bf16, int8 or int4; a quantised folder has its own")
    ->check(CLI::IsMember({"f64", "f32", "bf16", "int8", "int4"}));
  command->add_option("--read-log", o->read_log, "Where each read of the test split is written down");
  command->add_flag("--json", o->json, "For programs");
  command->footer("Examples:\n  virga eval --gates\n  virga eval models/zoo/cloud --split validation\n"
                  "  virga eval models/zoo/cloud --split validation --dtype int4\n"
                  "  virga eval models/zoo/cloud --adapter models/zoo/adapters/cloud-1");
  command->callback([o] { eval(*o); });
}

} // namespace virga::deploy
