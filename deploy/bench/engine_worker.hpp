// deploy/bench/engine_worker.hpp: the engine's side of `virga bench engine`: one shard in a process of its own, so that
// it has the threads that it would have anywhere. Commands on standard input, one answer a line (line_process.hpp):
//
//   prefill N    seconds of a new sequence's prompt, its first token chosen
//   decode N     seconds of N tokens more
//   logits FILE  after the tokens 1, 2, 3 more, as f32
//   batch B N    seconds of N steps of B sequences that begin behind 32 to 96 tokens
//   beside N B   seconds of one step of B sequences' next tokens and of N tokens of a prompt
//   outside N    share of the time of N tokens more that is spent outside the kernels
//   idle S       share of one core that the process uses in S seconds after a token
#pragma once

namespace CLI {
class App;
}

namespace virga::deploy {

/// The hidden subcommand `engine-worker`.
void add_engine_worker(CLI::App& app);

} // namespace virga::deploy
