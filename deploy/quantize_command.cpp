#include "deploy/commands.hpp"
#include "deploy/local_model.hpp"
#include "deploy/progress_line.hpp"
#include "models/hf/quantize.hpp"
#include "models/memory.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <csignal>
#include <iostream>

namespace virga::deploy {
namespace {

volatile std::sig_atomic_t asked_to_stop = 0;

/// Ends the work at its next piece, so that what was begun is removed.
models::load_progress interruptible(models::load_progress show) {
  for (int s : {SIGINT, SIGTERM, SIGHUP})
    std::signal(s, [](int) { asked_to_stop = 1; });
  return [show = std::move(show)](std::string_view what, std::uint64_t done, std::uint64_t total) {
    if (asked_to_stop != 0)
      throw failed("interrupted; nothing was written");
    show(what, done, total);
  };
}

void quantize(const std::string& model, const std::string& out, dtype to, bool as_json) {
  const auto progress = interruptible(progress_line());
  const models::hf::model_folder from(model, progress);
  const auto written = models::hf::quantize_folder(from, to, out, progress);
  std::uint64_t before = 0;
  for (auto& [name, tensor] : from.weights())
    before += tensor.data.size();
  if (as_json)
    std::cout << boost::json::object{{"out", out}, {"dtype", to_string(to)}, {"weight_bytes", written},
                                     {"model_weight_bytes", before}, {"model_digest", from.digest()}} << "\n";
  else
    std::cout << out << ": " << to_string(to) << ", " << models::bytes_text(written) << " of weights, made from "
              << models::bytes_text(before) << "; model " << from.digest().substr(0, 12) << "\n";
}

} // namespace

void add_quantize_command(CLI::App& app) {
  auto* command =
      app.add_subcommand("quantize", "Write a model folder whose weights are mapped, not converted, when it is loaded");
  struct options {
    std::string model, out, type;
    bool as_json = false;
  };
  auto o = std::make_shared<options>();
  command->add_option("model,--model", o->model, "The model's folder, or one made by `virga cut`")->required();
  command->add_option("out,--out", o->out, "The new folder; must not exist")->required();
  command
      ->add_option("--dtype", o->type, "Of the weights: f32, bf16, int8 or int4; the folder then runs in this one only")
      ->required()
      ->check(CLI::IsMember({"f32", "bf16", "int8", "int4"}));
  command->add_flag("--json", o->as_json, "For programs");
  command->footer("Example:\n"
                  "  virga quantize my-qwen my-qwen-int4 --dtype int4\n"
                  "  virga run --model my-qwen-int4 --prompt \"...\"\n\n"
                  "The bits are those of `--dtype` with the folder that it was made from, and so is the digest: nodes "
                  "may mix both.\n"
                  "JSON: out, dtype, weight_bytes, model_weight_bytes, model_digest.\n"
                  "Exit codes: 0 done, 1 failed or interrupted, 2 bad input (command line, model folder).");
  command->callback([o] { blaming_input([&] { quantize(o->model, o->out, dtype_named(o->type), o->as_json); }); });
}

} // namespace virga::deploy
