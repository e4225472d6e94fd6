#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_model.hpp"
#include "models/chat_template.hpp"
#include "models/shard.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct options {
  std::string model;
  bool no_generation_prompt = false, as_json = false;
};

/// An array of messages, or an object of "messages" and further variables of the template.
std::string split_input(const std::string& input, models::chat_options& how) {
  json::error_code error;
  auto v = json::parse(input, error);
  if (error)
    throw bad_input("the messages are no JSON (" + error.message() + "): give [{\"role\": \"user\", \"content\": \"...\"}]");
  auto* o = v.if_object();
  if (!o)
    return input;
  auto* messages = o->if_contains("messages");
  if (!messages)
    throw bad_input("the object has no \"messages\": give [{\"role\": \"user\", \"content\": \"...\"}]");
  auto list = json::serialize(*messages);
  o->erase("messages");
  how.extra_json = json::serialize(*o);
  return list;
}

void run(const options& o) {
  blaming_input([&] {
    auto chat = models::load_chat_template(o.model);
    if (!chat)
      throw bad_input(o.model + " has no chat template: neither chat_template.jinja nor chat_template in tokenizer_config.json");
    models::chat_options how;
    how.add_generation_prompt = !o.no_generation_prompt;
    auto messages = split_input(read_whole_input("give a JSON array of messages on standard input"), how);
    auto text = chat->render(messages, how).text;
    if (o.as_json)
      std::cout << json::object{{"text", text}} << "\n";
    else
      std::cout << text << std::flush;
  });
}

constexpr auto footer = R"(Examples:
  echo '[{"role": "user", "content": "Hi"}]' | virga template --model my-llama
  echo '{"messages": [{"role": "user", "content": "Hi"}], "enable_thinking": false}' | virga template --model my-qwen --json

Reads a JSON array of messages, or an object of "messages" and further variables (tools, enable_thinking, ...).
JSON: {"text"}. Exit codes: 0 done, 1 failed, 2 bad input (command line, messages, template).)";

} // namespace

void add_template_command(CLI::App& app) {
  auto* command = app.add_subcommand("template", "Messages on standard input to the text that the model gets");
  auto o = std::make_shared<options>();
  command->add_option("--model", o->model, "A folder with a chat template")->required();
  command->add_flag("--no-generation-prompt", o->no_generation_prompt, "Without the beginning of the assistant's answer");
  command->add_flag("--json", o->as_json, "For programs");
  command->footer(footer);
  command->callback([o] { run(*o); });
}

} // namespace virga::deploy
