// deploy/main.cpp: the virga command.
#include "deploy/bench/engine_worker.hpp"
#include "deploy/commands.hpp"
#include "deploy/eval_command.hpp"
#include "deploy/failures.hpp"
#include "deploy/manifest.hpp"
#include "deploy/train_command.hpp"

#include <CLI/CLI.hpp>

#include <clocale>
#include <csignal>
#include <iostream>

namespace {

constexpr const char* examples = R"(
Examples:
  virga up deploy/manifests/demo.yaml      start one cloud and two edge nodes
  virga chat --strategy split              talk to them
  virga status                             what runs
  virga down                               end it
  virga run --model models/zoo/cloud --prompt "..."   one model in one process

Exit codes: 0 done, 1 failed, 2 bad input (command line, manifest, model folder).)";

void add_commands(CLI::App& app) {
  using namespace virga::deploy;
  add_plan_command(app);
  add_doctor_command(app);
  add_up_command(app);
  add_down_command(app);
  add_status_command(app);
  add_logs_command(app);
  add_chaos_command(app);
  add_chat_command(app);
  add_run_command(app);
  add_score_command(app);
  add_tokenize_command(app);
  add_template_command(app);
  add_demo_command(app);
  add_validate_command(app);
  add_inspect_command(app);
  add_cut_command(app);
  add_quantize_command(app);
  add_certs_command(app);
  add_train_command(app);
  add_eval_command(app);
  add_node_command(app);
  add_keeper_command(app);
  add_engine_worker(app);
  add_bench_command(app);
}

int run(int argc, char** argv) {
  CLI::App app{"virga answers one LLM request with the cloud and the edge working on it together.", "virga"};
  app.set_version_flag("--version", "virga " VIRGA_VERSION);
  app.footer(examples);
  app.require_subcommand(1);
  add_commands(app);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::RuntimeError& e) {
    return e.get_exit_code();
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
}

} // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that left is an error of that write, not the end
  try {
    return run(argc, argv);
  } catch (const virga::deploy::bad_manifest& e) {
    std::cerr << e.what() << "\n" << e.count << (e.count == 1 ? " mistake\n" : " mistakes\n");
    return 2;
  } catch (const virga::deploy::bad_input& e) {
    std::cerr << "virga: " << e.what() << "\n";
    return 2;
  } catch (const std::exception& e) {
    std::cerr << "virga: " << e.what() << "\n";
    return 1;
  }
}
