#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/processes.hpp"
#include "deploy/table.hpp"
#include "models/make_shard.hpp"
#include "models/tokenizer.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <iterator>

#include <unistd.h>

namespace virga::deploy {
namespace {

struct options {
  std::string model = "models/zoo/cloud", prompt, dtype = "f32";
  std::uint32_t max_tokens = 256;
  sampling choose;
  bool reference = false, as_json = false;
};

struct result {
  std::string text;
  std::size_t prompt_tokens = 0, tokens = 0;
  bool stopped = false;
  double seconds = 0;
};

std::string read_prompt(const options& o) {
  if (!o.prompt.empty())
    return o.prompt;
  if (::isatty(0))
    throw bad_input("no prompt: give --prompt TEXT, or the prompt on standard input");
  std::string text(std::istreambuf_iterator<char>(std::cin), {});
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  return text;
}

std::unique_ptr<models::shard> make_shard(const models::hf::model_folder& folder, const options& o) {
  models::shard_options s;
  s.compute = o.dtype == "f64" ? dtype::f64 : dtype::f32;
  auto shard = o.reference ? models::make_reference_shard(folder, s) : models::make_torch_shard(folder, s);
  const auto& stages = shard->info().stages;
  if (stages.front().kind != models::stage_kind::embedding || stages.back().kind != models::stage_kind::head)
    throw bad_input(folder.dir().string() + " holds only " + models::describe(stages) + ": `virga run` needs a whole model");
  return shard;
}

token_id next_token(models::shard& shard, models::sequence seq, std::uint64_t base, std::vector<token_id> input,
                    const sampling& choose) {
  models::segment s;
  s.seq = seq;
  s.last_stage = static_cast<std::uint32_t>(shard.info().stages.size() - 1);
  s.base = base;
  s.tokens = std::move(input);
  s.want.tokens = rows_wanted::last;
  s.want.choose = choose;
  return shard.step(std::span(&s, 1)).at(0).choices.at(0).id;
}

/// Prefill, then token by token until a stop token or the limit.
result generate(const models::hf::model_folder& folder, models::shard& shard, const options& o, const std::string& prompt) {
  auto tok = models::load_tokenizer(folder.dir());
  const auto& stop = folder.generation().eos;
  auto input = tok->encode(prompt);
  result r;
  r.prompt_tokens = input.size();
  if (input.empty() || input.size() >= shard.info().max_positions)
    throw bad_input("the prompt has " + std::to_string(input.size()) + " tokens, the model takes 1 to "
                    + std::to_string(shard.info().max_positions - 1));
  models::text_stream text(tok);
  auto show = [&](std::string piece) {
    r.text += piece;
    if (!o.as_json)
      std::cout << piece << std::flush;
  };
  auto seq = shard.open();
  auto limit = std::min<std::uint64_t>(o.max_tokens, shard.info().max_positions - input.size());
  std::uint64_t base = 0;
  while (r.tokens < limit) {
    auto count = input.size();
    auto id = next_token(shard, seq, base, std::move(input), o.choose);
    base += count;
    r.stopped = std::find(stop.begin(), stop.end(), id) != stop.end();
    if (r.stopped)
      break;
    ++r.tokens;
    show(text.push(id));
    input = {id};
  }
  show(text.finish());
  return r;
}

void print_json(const models::hf::model_folder& folder, const result& r) {
  std::cout << boost::json::object{{"text", r.text}, {"finish", r.stopped ? "stop" : "length"}, {"prompt_tokens", r.prompt_tokens},
                                   {"tokens", r.tokens}, {"seconds", r.seconds}, {"model_digest", folder.digest()}}
            << "\n";
}

void run(const options& o) {
  use_threads(1);  // one is fastest for one token at a time of a small model; OMP_NUM_THREADS says otherwise
  auto prompt = read_prompt(o);
  try {
    models::hf::model_folder folder(o.model);
    auto shard = make_shard(folder, o);
    auto start = std::chrono::steady_clock::now();
    auto r = generate(folder, *shard, o, prompt);
    r.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (o.as_json)
      return print_json(folder, r);
    std::cout << std::endl;
    std::cerr << "[" << r.prompt_tokens << " + " << r.tokens << " tokens, " << fixed(static_cast<double>(r.tokens) / r.seconds, 1)
              << " tokens/s]\n";
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  } catch (const models::bad_segment& e) {
    throw bad_input(e.what());
  }
}

} // namespace

void add_run_command(CLI::App& app) {
  auto* command = app.add_subcommand("run", "Answer with one model in this one process: no nodes, no network");
  auto o = std::make_shared<options>();
  command->add_option("prompt,--prompt", o->prompt, "The prompt; else standard input");
  command->add_option("--model", o->model, "Its folder; default models/zoo/cloud");
  command->add_option("--max-tokens", o->max_tokens, "Tokens of the answer at most")->check(CLI::Range(1u, 1'000'000u));
  command->add_option("--temperature", o->choose.temperature, "0: always the most likely token")->check(CLI::Range(0.0, 2.0));
  command->add_option("--seed", o->choose.seed, "Of the draws with a temperature");
  command->add_option("--dtype", o->dtype, "f32 or f64")->check(CLI::IsMember({"f32", "f64"}));
  command->add_flag("--reference", o->reference, "The plain C++ shard in place of libtorch's: slow, bit-identical everywhere");
  command->add_flag("--json", o->as_json, "For programs");
  command->callback([o] { run(*o); });
}

} // namespace virga::deploy
