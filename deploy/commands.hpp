// deploy/commands.hpp: the subcommands of `virga`. Each adds itself to the command line and does its work in a callback;
// bad_input and bad_manifest become exit code 2, every other exception 1, CLI::RuntimeError its own code.
#pragma once

namespace CLI {
class App;
}

namespace virga::deploy {

void add_validate_command(CLI::App& app);  ///< is a manifest sound
void add_plan_command(CLI::App& app);      ///< what would run and how fast
void add_doctor_command(CLI::App& app);    ///< why is it slow
void add_up_command(CLI::App& app);        ///< start a deployment on this machine
void add_bench_command(CLI::App& app);
void add_down_command(CLI::App& app);      ///< end it
void add_status_command(CLI::App& app);    ///< what runs
void add_logs_command(CLI::App& app);      ///< what its nodes have written
void add_chaos_command(CLI::App& app);     ///< break a link of it on purpose
void add_chat_command(CLI::App& app);      ///< talk to it
void add_demo_command(CLI::App& app);      ///< launch, ask, compare, stop
void add_run_command(CLI::App& app);       ///< one model in one process
void add_score_command(CLI::App& app);     ///< how likely a model finds a text
void add_tokenize_command(CLI::App& app);  ///< text to ids and back
void add_template_command(CLI::App& app);  ///< messages to text
void add_inspect_command(CLI::App& app);   ///< what a model folder holds
void add_cut_command(CLI::App& app);       ///< the part of a model folder that a node holds
void add_quantize_command(CLI::App& app);  ///< a model folder that is mapped and not converted
void add_certs_command(CLI::App& app);     ///< certificates of a deployment
void add_node_command(CLI::App& app);      ///< one node in the foreground
void add_keeper_command(CLI::App& app);    ///< what `up` leaves behind (hidden)

} // namespace virga::deploy
