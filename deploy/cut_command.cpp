#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/progress_line.hpp"
#include "models/hf/folder.hpp"
#include "models/memory.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

std::uint64_t weight_bytes(const models::hf::model_folder& folder) {
  std::uint64_t sum = 0;
  for (auto& [name, tensor] : folder.weights())
    sum += tensor.data.size();
  return sum;
}

void cut(const std::string& model, const std::string& stages, const std::string& out, bool as_json) {
  try {
    models::hf::model_folder whole(model, progress_line());
    auto keep = models::hf::parse_stages(stages, whole.config().num_hidden_layers);
    auto kept = models::hf::cut_folder(whole, keep, out, progress_line());
    if (as_json)
      std::cout << boost::json::object{{"out", out}, {"stages", models::describe(keep)}, {"weight_bytes", kept},
                                       {"whole_weight_bytes", weight_bytes(whole)}, {"model_digest", whole.digest()}} << "\n";
    else
      std::cout << out << ": " << models::describe(keep) << ", " << models::bytes_text(kept) << " of "
                << models::bytes_text(weight_bytes(whole)) << " of weights; model " << whole.digest().substr(0, 12) << "\n";
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  }
}

} // namespace

void add_cut_command(CLI::App& app) {
  auto* command = app.add_subcommand("cut", "Write the folder of a node that holds only a part of a model");
  struct options {
    std::string model, stages, out;
    bool as_json = false;
  };
  auto o = std::make_shared<options>();
  command->add_option("--model", o->model, "The whole model's folder")->required();
  command->add_option("--stages", o->stages, "What to keep: embedding, layers such as 0-1 (inclusive), head; with commas")->required();
  command->add_option("--out", o->out, "The new folder; must not exist")->required();
  command->add_flag("--json", o->as_json, "For programs");
  command->footer("Example, the two sides of `split` (device first):\n"
                  "  virga cut --model models/zoo/cloud --stages embedding,0-0,head --out device\n"
                  "  virga cut --model models/zoo/cloud --stages 1-3 --out middle\n\n"
                  "JSON: out, stages, weight_bytes, whole_weight_bytes, model_digest.\n"
                  "Exit codes: 0 done, 1 failed, 2 bad input (command line, model folder).");
  command->callback([o] { cut(o->model, o->stages, o->out, o->as_json); });
}

} // namespace virga::deploy
