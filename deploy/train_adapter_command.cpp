#include "deploy/adapter_scoring.hpp"
#include "deploy/adapter_sources.hpp"
#include "deploy/train_command.hpp"
#include "deploy/train_reporter.hpp"
#include "models/train/adapter_card.hpp"
#include "models/train/gates.hpp"

#include <CLI/CLI.hpp>

#include <fstream>
#include <iostream>

namespace virga::deploy {
namespace {

namespace train = models::train;

struct options {
  adapter_source_options from;
  train::adapter_recipe recipe;
  double million_tokens = 10, checkpoint_seconds = 60;
  std::uint64_t stop_after_steps = 0;
  std::uint32_t threads = 0;
  world_drafts drafts;
  bool as_json = false;
};

/// Requests whose answers shall be drafted: the world's, or those held out of the model's own answers.
std::vector<train::drafted_request> requests_to_draft(const options& o, adapter_sources& from, std::string& what) {
  std::vector<train::drafted_request> out;
  if (from.world()) {
    what = o.drafts.description();
    return requests_of(o.drafts, "adapter " + o.from.out, *from.world(), from.words(), from.features().model());
  }
  if (o.from.data != std::vector<std::string>{"own"})
    return out;
  what = "the held-out prompts with the model's own answers";
  for (auto& e : from.data().held_out()) {
    auto answer = e.ids.begin() + static_cast<std::ptrdiff_t>(e.answer);
    out.push_back({{e.ids.begin(), answer}, {answer, e.ids.end()}, {}});
  }
  return out;
}

/// Asks the folder that was written, not the net in memory.
train::adapter_scores score(const options& o, adapter_sources& from) {
  auto device = load_device(from.folder(), o.from.out, dtype_named(o.from.dtype), from.data().longest());
  train::adapter_scores out;
  out.agreement = train::agreement(*device, from.features().model(), from.data().held_out());
  if (auto requests = requests_to_draft(o, from, out.drafted_on); !requests.empty())
    out.drafts = train::measure_acceptance(*device, requests, {}, from.stop());
  return out;
}

std::string number(double v) { return CLI::detail::to_string(v); }

std::string data_words(const adapter_source_options& o) {
  const adapter_source_options usual;
  std::string text;
  for (std::size_t i = 0; i < o.data.size(); ++i)
    text += (i == 0 ? " --data " : " ") + o.data[i];
  auto add = [&](const char* name, std::uint32_t value, std::uint32_t otherwise) {
    text += value == otherwise ? "" : std::string(name) + std::to_string(value);
  };
  text += o.prompts.empty() ? "" : " --prompts " + o.prompts;
  text += o.chat ? " --chat" : "";
  add(" --prompt-count ", o.prompt_count, usual.prompt_count);
  add(" --answer-tokens ", o.answer_tokens, usual.answer_tokens);
  add(" --width ", o.width, usual.width);
  add(" --batch-tokens ", o.batch_tokens, usual.batch_tokens);
  return text + (o.dtype == usual.dtype ? "" : " --dtype " + o.dtype);
}

/// That repeats the run, for the card.
std::string command_line(const options& o, const train::adapter_recipe& r) {
  auto text = "virga train adapter --model " + o.from.model + " --split " + std::to_string(o.from.split) + " --out "
            + o.from.out + data_words(o.from) + " --million-tokens " + number(o.million_tokens) + " --seed "
            + std::to_string(r.seed) + " --rate " + number(r.peak_rate);
  if (r.weights != train::loss_weights{})
    text += " --hidden-weight " + number(r.weights.hidden) + " --token-weight " + number(r.weights.tokens);
  return text;
}

void print(const options& o, const train::adapter_scores& scores) {
  if (o.as_json)
    std::cout << train::to_json(scores.rows()) << "\n";
  else
    std::cout << train::to_table(scores.rows()) << "\n" << o.from.out << " is ready.\n";
}

train::adapter_recipe recipe_of(const options& o) {
  auto r = o.recipe;
  r.split = o.from.split;
  r.batch_tokens = o.from.batch_tokens;
  r.tokens = static_cast<std::uint64_t>(o.million_tokens * 1e6);
  return r;
}

void train_adapter(const options& o) {
  use_threads_for({.model = o.from.model, .dtype = o.from.dtype, .threads = o.threads, .reference = false});
  train::prepare_process(0);
  train::check_free(o.from.out);
  adapter_sources from(o.from);
  warn_of_slow_products(train::product_type::f32);
  train::adapter_trainer t(from.folder(), recipe_of(o), from.features(), from.data());
  train::run_options how;
  how.checkpoint_seconds = o.checkpoint_seconds;
  how.stop_after_steps = o.stop_after_steps;
  how.report = train_reporter();
  if (!train::run(t, o.from.out, how)) {
    std::cerr << "Stopped after " << t.state().step << " steps; the same command goes on from there.\n";
    return;
  }
  auto scores = score(o, from);
  train::card_facts facts;
  facts.command = command_line(o, t.how());
  facts.machine = train::machine_name();
  std::ofstream(std::filesystem::path(o.from.out) / "MODEL_CARD.md")
      << train::adapter_card(t, from.data(), scores, facts);
  print(o, scores);
}

void add_data_options(CLI::App& c, adapter_source_options& o) {
  c.add_option("--data", o.data,
               "world (of the shipped models, and then the default), own (the model's own greedy answers), or "
               "text files");
  c.add_option("--prompts", o.prompts, "For own: a file with a prompt on each line; else the world's training split");
  c.add_flag("--chat", o.chat, "For own: each prompt is a user's message, for the model's chat template");
  c.add_option("--prompt-count", o.prompt_count, "For own: prompts of the world (4000)")
      ->check(CLI::Range(1u, 10'000'000u));
  c.add_option("--answer-tokens", o.answer_tokens, "For own: of each answer at most (128)")
      ->check(CLI::Range(1u, 1u << 20));
  c.add_option("--width", o.width, "For text files: tokens of a row (512)")->check(CLI::Range(2u, 1u << 20));
  c.add_option("--batch-tokens", o.batch_tokens, "Of one step, about (3072)")->check(CLI::Range(1u, 1u << 24));
  c.add_option("--dtype", o.dtype, "Of the frozen model's weights: f32 (default), or bf16 for half the memory")
    ->check(CLI::IsMember({"f32", "bf16"}));
}

void add_run_options(CLI::App& c, options& o) {
  c.add_option("--million-tokens", o.million_tokens, "Tokens to see (10); 0 writes the fresh adapter, for comparison")
    ->check(CLI::Range(0.0, 1e6));
  c.add_option("--seed", o.recipe.seed, "Of weights and batches (1)");
  c.add_option("--rate", o.recipe.peak_rate, "Peak learning rate; default 0.48 / width of the model")
      ->check(CLI::Range(0.0, 10.0));
  c.add_option("--hidden-weight", o.recipe.weights.hidden, "Of SmoothL1 in the loss (1)")->check(CLI::Range(0.0, 1e6));
  c.add_option("--token-weight", o.recipe.weights.tokens, "Of the cross-entropy in the loss (0.1)")
      ->check(CLI::Range(0.0, 1e6));
  c.add_option("--threads", o.threads, "Default: all cores for large models, 1 for small ones")
      ->check(CLI::Range(1u, 1024u));
  c.add_option("--checkpoint-seconds", o.checkpoint_seconds, "Between checkpoints (60)");
  c.add_option("--stop-after-steps", o.stop_after_steps, "End this call early with a checkpoint");
  c.add_option("--questions", o.drafts.questions, "Requests to draft for the scores, of the world (1000)")
      ->check(CLI::Range(1u, 1'000'000u));
  c.add_option("--score-on", o.drafts.split, "test is for the card, validation for choosing anything")
    ->check(CLI::IsMember({"test", "validation"}));
  c.add_option("--read-log", o.drafts.read_log, "Where each read of the test split is written down");
  c.add_flag("--json", o.as_json, "Scores for programs");
}

} // namespace

void add_train_adapter_command(CLI::App& train_command) {
  auto* command = train_command.add_subcommand(
      "adapter", "Train the adapter that lets a device draft for a model, from any model folder");
  auto o = std::make_shared<options>();
  command->add_option("--model", o->from.model, "The whole model's folder")->required();
  command->add_option("--split", o->from.split, "Decoder layers on the device, below the adapter")->required();
  command->add_option("--out", o->from.out, "The adapter's folder; also holds the checkpoint while it runs")
      ->required();
  add_data_options(*command, o->from);
  add_run_options(*command, *o);
  command->footer(
      "Examples:\n  virga train adapter --model models/zoo/cloud --split 1 --out my-adapter\n"
      "  virga train adapter --model my-qwen --split 2 --out my-adapter --data own --prompts questions.txt --chat\n\n"
      "JSON: {\"scores\": [{\"name\", \"value\", \"low\", \"high\", \"n\"}]}.\n"
      "Exit codes: 0 done, 1 failed, 2 bad input (command line, model folder, data).");
  command->callback([o] {
    blaming_input([&] {
      try {
        train_adapter(*o);
      } catch (const std::invalid_argument& e) {
        throw bad_input(e.what());
      }
    });
  });
}

} // namespace virga::deploy
