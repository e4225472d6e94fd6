#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "models/hf/folder.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

std::uintmax_t bytes_of(const std::filesystem::path& dir) { return std::filesystem::file_size(dir / "model.safetensors"); }

void cut(const std::string& model, const std::string& stages, const std::string& out) {
  try {
    models::hf::model_folder whole(model);
    auto keep = models::hf::parse_stages(stages, whole.config().num_hidden_layers);
    models::hf::cut_folder(whole, keep, out);
    std::cout << out << ": " << models::describe(keep) << ", " << bytes_of(out) << " of " << bytes_of(model)
              << " bytes of weights; model " << whole.digest().substr(0, 12) << "\n";
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  }
}

} // namespace

void add_cut_command(CLI::App& app) {
  auto* command = app.add_subcommand("cut", "Write the folder of a node that holds only a part of a model");
  struct options {
    std::string model, stages, out;
  };
  auto o = std::make_shared<options>();
  command->add_option("--model", o->model, "The whole model's folder")->required();
  command->add_option("--stages", o->stages, "What to keep: embedding, layers such as 0-1 (inclusive), head; with commas")->required();
  command->add_option("--out", o->out, "The new folder; must not exist")->required();
  command->footer("Example, the two sides of `split` (device first):\n"
                  "  virga cut --model models/zoo/cloud --stages embedding,0-0,head --out device\n"
                  "  virga cut --model models/zoo/cloud --stages 1-3 --out middle");
  command->callback([o] { cut(o->model, o->stages, o->out); });
}

} // namespace virga::deploy
