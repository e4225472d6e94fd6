#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_model.hpp"
#include "deploy/local_score.hpp"
#include "deploy/table.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>
#include <optional>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct options {
  local_options local;
  std::optional<std::string> text, ids;
  std::string against;
  std::uint32_t top_k = 5;
  bool parse_special = false, as_json = false;
};

std::vector<token_id> read_tokens(const options& o, const local_model& model) {
  if (o.ids)
    return parse_ids(*o.ids);
  auto& tok = model.need_tokenizer();
  auto text = o.text ? *o.text : read_standard_input("give --text TEXT, --ids 1,2,3, or the text on standard input");
  return tok.encode(text, {true, o.parse_special});
}

json::object to_json(const scored_position& p) {
  json::object out{{"id", p.id}};
  if (!p.scored)
    return out;
  out["logprob"] = p.logprob;
  json::array top;
  for (auto& t : p.top)
    top.push_back(json::object{{"id", t.id}, {"logprob", t.logprob}});
  out["top"] = std::move(top);
  return out;
}

json::object to_json(const score_difference& d, const std::string& against) {
  return {{"dtype", against},
          {"compared", d.compared},
          {"agreement", d.agreement()},
          {"flips", d.flips},
          {"perplexity", d.perplexity},
          {"perplexity_change", d.perplexity_change}};
}

void print_json(const options& o, const text_scores& s, const std::optional<score_difference>& d) {
  json::array tokens;
  for (auto& p : s.tokens)
    tokens.push_back(to_json(p));
  json::object out{{"tokens", std::move(tokens)}, {"perplexity", s.perplexity()}};
  if (d)
    out["against"] = to_json(*d, o.against);
  std::cout << out << "\n";
}

/// The token's text in quotes; "" where it has none.
std::string shown(const local_model& model, token_id id) {
  if (!model.tokenizer() || !model.tokenizer()->has(id))
    return "";
  return json::serialize(json::string(model.tokenizer()->decode(std::span(&id, 1), false)));
}

void print_table(const options& o, const local_model& model, const text_scores& s, const std::optional<score_difference>& d) {
  std::vector<std::vector<std::string>> rows{{"id", "logprob", "best", "token"}};
  for (auto& p : s.tokens) {
    rows.push_back({std::to_string(p.id), p.scored ? fixed(p.logprob, 4) : "-",
                    p.top.empty() ? "-" : std::to_string(p.top.front().id), shown(model, p.id)});
  }
  deploy::print_table(std::cout, rows);
  std::cout << "perplexity " << fixed(s.perplexity(), 4) << " over " << s.scored() << " tokens\n";
  if (d)
    std::cout << "against " << o.against << ": best token agrees at " << fixed(100 * d->agreement(), 2) << " % of "
              << d->compared << " positions (" << d->flips << " flips), perplexity " << fixed(d->perplexity, 4) << " there, change "
              << fixed(d->perplexity_change, 6) << "\n";
}

void run(const options& o) {
  use_threads_for(o.local);
  blaming_input([&] {
    local_model model(o.local);
    auto ids = read_tokens(o, model);
    model.check_prompt(ids, 0);
    auto s = score(*model.load(ids.size()), ids, o.top_k);
    std::optional<score_difference> d;
    if (!o.against.empty())
      d = compare(s, score(*model.load(ids.size(), dtype_named(o.against)), ids, o.top_k));
    o.as_json ? print_json(o, s, d) : print_table(o, model, s, d);
  });
}

constexpr auto footer = R"(Examples:
  virga score --model my-llama --text "The capital of France is Paris." --top-k 3
  virga score --model my-llama --ids 1,15,27 --dtype f64 --json
  virga score --model my-qwen --dtype bf16 --against f32 < text.txt     what bf16 costs

JSON: {"tokens": [{"id", "logprob", "top": [{"id", "logprob"}]}], "perplexity"}; the first token has no logprob.
Natural logarithms. Exit codes: 0 done, 1 failed, 2 bad input (command line, text, model folder).)";

} // namespace

void add_score_command(CLI::App& app) {
  auto* command = app.add_subcommand("score", "How likely a model finds a text, token by token (teacher-forced)");
  auto o = std::make_shared<options>();
  auto* text = command->add_option("--text", o->text, "The text; else standard input");
  command->add_option("--ids", o->ids, "The text as token ids, 1,2,3")->excludes(text);
  add_local_options(*command, o->local);
  command->add_option("--top-k", o->top_k, "Best tokens to name at each position (5)")->check(CLI::Range(0u, 1000u));
  command->add_option("--against", o->against, "Score in this dtype as well and compare: agreement, flips, perplexity")
    ->check(CLI::IsMember({"f64", "f32", "bf16", "int8", "int4"}));
  command->add_flag("--parse-special", o->parse_special, "Special tokens written in the text are those tokens, not text");
  command->add_flag("--json", o->as_json, "For programs");
  command->footer(footer);
  command->callback([o] { run(*o); });
}

} // namespace virga::deploy
