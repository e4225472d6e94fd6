#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_generation.hpp"
#include "deploy/local_model.hpp"
#include "deploy/sampling_options.hpp"
#include "deploy/table.hpp"
#include "models/chat_template.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>
#include <optional>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct options {
  local_options local;
  sampling_options sample;
  std::optional<std::string> prompt, ids;
  std::string system;
  std::uint32_t max_tokens = 256, logprobs = 0;
  bool chat = false, parse_special = false, ignore_eos = false, as_json = false;
};

/// The folder's chat template around one message of the user.
std::vector<token_id> encode_chat(const options& o, const local_model& model, const std::string& text) {
  auto chat = models::load_chat_template(model.folder().dir());
  if (!chat)
    throw bad_input(o.local.model + " has no chat template: leave --chat out");
  std::vector<chat_message> messages{{"user", text}};
  if (!o.system.empty())
    messages.insert(messages.begin(), {"system", o.system});
  auto rendered = chat->render(messages);
  return model.need_tokenizer().encode(rendered.text, {false, true, std::move(rendered.user_text)});
}

std::vector<token_id> read_prompt(const options& o, const local_model& model) {
  if (o.ids)
    return parse_ids(*o.ids);
  auto& tok = model.need_tokenizer();
  auto text = o.prompt ? *o.prompt
                       : read_standard_input("give --prompt TEXT, --ids 1,2,3, or the prompt on standard input");
  return o.chat ? encode_chat(o, model, text) : tok.encode(text, {true, o.parse_special});
}

local_request make_request(const options& o, const local_model& model) {
  local_request r;
  r.choose = o.sample.checked(model.folder().config().vocab_size);
  if (!o.sample.stop.empty())
    model.need_tokenizer();
  r.stop = o.sample.stop;
  r.prompt = read_prompt(o, model);
  model.check_prompt(r.prompt, 1);
  if (!o.ignore_eos)
    r.stop_ids = model.folder().generation().eos;
  r.max_tokens = o.max_tokens;
  r.logprobs = o.logprobs;
  return r;
}

double rate(std::size_t tokens, double seconds) { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }

json::object timings(const local_model& model, const local_request& r, const local_answer& a) {
  return {{"open_ms", model.seconds() * 1e3},
          {"prefill_ms", a.prefill_seconds * 1e3},
          {"decode_ms", a.decode_seconds * 1e3},
          {"prefill_tokens_per_s", rate(r.prompt.size(), a.prefill_seconds)},
          {"decode_tokens_per_s", rate(a.ids.empty() ? 0 : a.ids.size() - 1, a.decode_seconds)}};
}

json::array logprobs(const local_answer& a) {
  json::array list;
  for (auto& c : a.choices) {
    json::array top;
    for (auto& t : c.top)
      top.push_back(json::object{{"id", t.id}, {"logprob", t.logprob}});
    list.push_back(json::object{{"id", c.id}, {"logprob", c.logprob}, {"top", std::move(top)}});
  }
  return list;
}

void print_json(const options& o, const local_model& model, const local_request& r, const local_answer& a) {
  json::object out{{"ids", json::value_from(a.ids)},
                   {"text", model.tokenizer() ? json::value(a.text) : json::value(nullptr)},
                   {"finish_reason", to_string(a.finish)},
                   {"prompt_tokens", r.prompt.size()},
                   {"completion_tokens", a.ids.size()},
                   {"timings", timings(model, r, a)},
                   {"model_digest", model.folder().digest()}};
  if (o.logprobs > 0)
    out["logprobs"] = logprobs(a);
  std::cout << out << "\n";
}

/// Without a tokenizer the ids are the answer.
void print_ids(const local_answer& a) {
  for (std::size_t i = 0; i < a.ids.size(); ++i)
    std::cout << (i > 0 ? " " : "") << a.ids[i];
}

void answer(const options& o) {
  local_model model(o.local);
  auto r = make_request(o, model);
  auto shard = model.load(std::uint64_t{r.prompt.size()} + o.max_tokens);
  auto show = [](const std::string& piece) { std::cout << piece << std::flush; };
  auto a = o.as_json ? generate(*shard, model.tokenizer().get(), r, {}) : generate(*shard, model.tokenizer().get(), r, show);
  if (o.as_json)
    return print_json(o, model, r, a);
  if (!model.tokenizer())
    print_ids(a);
  std::cout << std::endl;
  std::cerr << "[" << r.prompt.size() << " + " << a.ids.size() << " tokens, prefill "
            << fixed(rate(r.prompt.size(), a.prefill_seconds), 1) << " tokens/s, decode "
            << fixed(rate(a.ids.empty() ? 0 : a.ids.size() - 1, a.decode_seconds), 1) << " tokens/s]\n";
}

void run(const options& o) {
  use_threads_for(o.local);
  blaming_input([&] {
    answer(o);
  });
}

constexpr auto footer = R"(Examples:
  virga run --model my-llama --prompt "The capital of France is" --max-tokens 16
  virga run --model my-qwen --chat --prompt "Who are you?" --dtype bf16
  virga run --model my-model --ids 1,15,27 --ignore-eos --json
  echo "Once upon a time" | virga run --model my-llama --temperature 0.8 --top-p 0.95 --seed 7

JSON: ids, text (null without a tokenizer), finish_reason (stop or length), prompt_tokens, completion_tokens, timings,
model_digest, and with --logprobs the tokens' log-probabilities.
Exit codes: 0 done, 1 failed, 2 bad input (command line, prompt, model folder).)";

} // namespace

void add_run_command(CLI::App& app) {
  auto* command = app.add_subcommand("run", "Answer with one model in this one process: no nodes, no network");
  auto o = std::make_shared<options>();
  auto* prompt = command->add_option("prompt,--prompt", o->prompt, "The prompt; else standard input");
  command->add_option("--ids", o->ids, "The prompt as token ids, 1,2,3")->excludes(prompt);
  add_local_options(*command, o->local);
  command->add_option("--max-tokens", o->max_tokens, "Tokens of the answer at most (256)")->check(CLI::Range(1u, 1'000'000u));
  add_sampling_options(*command, o->sample);
  command->add_option("--logprobs", o->logprobs, "Log-probabilities of each token and of so many of the best ones, in the JSON")
    ->check(CLI::Range(0u, 1000u));
  command->add_flag("--ignore-eos", o->ignore_eos, "Go on behind the model's end token");
  auto* chat = command->add_flag("--chat", o->chat, "The prompt is a user's message: put the folder's chat template around it");
  command->add_option("--system", o->system, "The system message of --chat")->needs(chat);
  command->add_flag("--parse-special", o->parse_special, "Special tokens written in the prompt are those tokens, not text");
  command->add_flag("--json", o->as_json, "For programs");
  command->footer(footer);
  command->callback([o] { run(*o); });
}

} // namespace virga::deploy
