#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_model.hpp"
#include "models/tokenizer.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct options {
  std::string model;
  bool decode = false, no_special = false, parse_special = false, skip_special = false, as_json = false;
};

void print_ids(const options& o, const std::vector<token_id>& ids) {
  if (o.as_json) {
    std::cout << json::object{{"ids", json::value_from(ids)}} << "\n";
    return;
  }
  for (std::size_t i = 0; i < ids.size(); ++i)
    std::cout << (i > 0 ? " " : "") << ids[i];
  std::cout << "\n";
}

/// Ids as 1,2,3 or as {"ids": [1, 2, 3]}.
std::vector<token_id> read_ids(const std::string& text) {
  json::error_code error;
  auto v = json::parse(text, error);
  if (!error && v.is_object() && v.get_object().contains("ids"))
    return parse_ids(json::serialize(v.at("ids")));
  return parse_ids(text);
}

void run(const options& o) {
  blaming_input([&] {
    auto tok = models::load_tokenizer(o.model);
    auto input = read_whole_input(o.decode ? "give token ids on standard input" : "give the text on standard input");
    if (!o.decode)
      return print_ids(o, tok->encode(input, {!o.no_special, o.parse_special}));
    auto text = tok->decode(read_ids(input), o.skip_special);
    if (o.as_json)
      std::cout << json::object{{"text", text}} << "\n";
    else
      std::cout << text << std::flush;
  });
}

constexpr auto footer = R"(Examples:
  printf 'Hello, world' | virga tokenize --model my-llama --json
  echo 1,9906,11,1917 | virga tokenize --model my-llama --decode

The text is taken byte for byte, with its last line break. Special tokens that are written in it stay text, unless
--parse-special; those that the tokenizer puts around every text (such as <s>) are there, unless --no-special.
JSON: {"ids": [...]}, with --decode {"text"}; --decode reads 1,2,3 or such JSON.
Exit codes: 0 done, 1 failed, 2 bad input (command line, text, tokenizer).)";

} // namespace

void add_tokenize_command(CLI::App& app) {
  auto* command = app.add_subcommand("tokenize", "Text on standard input to token ids, or back");
  auto o = std::make_shared<options>();
  command->add_option("--model", o->model, "A folder with a tokenizer.json")->required();
  auto* decode = command->add_flag("--decode", o->decode, "Token ids on standard input to text");
  command->add_flag("--no-special", o->no_special, "Without the tokens that the tokenizer puts around every text")->excludes(decode);
  command->add_flag("--parse-special", o->parse_special, "Special tokens written in the text are those tokens, not text")
    ->excludes(decode);
  command->add_flag("--skip-special", o->skip_special, "With --decode: leave special tokens out")->needs(decode);
  command->add_flag("--json", o->as_json, "For programs");
  command->footer(footer);
  command->callback([o] { run(*o); });
}

} // namespace virga::deploy
