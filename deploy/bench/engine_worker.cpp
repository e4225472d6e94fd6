#include "deploy/bench/engine_worker.hpp"

#include "deploy/bench/timing.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_model.hpp"
#include "models/kernels/timed.hpp"
#include "models/make_shard.hpp"
#include "models/memory.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>

#include <sys/resource.h>

namespace virga::deploy {
namespace {

using clock = std::chrono::steady_clock;

/// Tokens in the middle that sequences of a batch begin behind: half to three halves of it.
constexpr std::uint32_t batch_depth = 64;

double cpu_seconds() {
  ::rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  auto seconds = [](const ::timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

struct worker_options {
  std::string model, dtype_name = "f32";
  std::uint64_t positions = 1024;
  bool libtorch_only = false;
};

/// A sequence and what it would say next.
struct speaker {
  models::sequence seq{};
  std::uint64_t base = 0;
  token_id token = 0;
};

class worker {
public:
  worker(const models::hf::model_folder& folder, const worker_options& o) {
    models::shard_options s;
    s.compute = dtype_named(o.dtype_name);
    s.libtorch_only = o.libtorch_only;
    s.kv_bytes = o.positions * models::kv_bytes_per_token(folder.config(), models::kv_type(s.compute));
    shard_ = models::make_torch_shard(folder, s);
    last_ = static_cast<std::uint32_t>(shard_->info().stages.size() - 1);
  }

  double prefill(std::uint32_t tokens) {
    auto ids = prompt(tokens);
    shard_->close(one_.seq);
    one_ = {shard_->open(), 0, 0};
    auto begun = clock::now();
    step({&one_, 1}, ids);
    return since(begun);
  }

  double decode(std::uint32_t tokens) {
    auto begun = clock::now();
    for (std::uint32_t i = 0; i < tokens; ++i)
      step({&one_, 1}, {});
    return since(begun);
  }

  double logits(const std::string& file) {
    auto work = segment_of(one_, {1, 2, 3});
    work.want.logits = rows_wanted::last;
    auto x = shard_->step({&work, 1}).front().logits.data;
    one_.base += 3;
    std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(x.data()), static_cast<std::streamsize>(x.size()));
    return 0;
  }

  double batch(std::uint32_t size, std::uint32_t steps) {
    auto all = speakers(size);
    step(all, {});
    auto begun = clock::now();
    for (std::uint32_t i = 0; i < steps; ++i)
      step(all, {});
    auto seconds = since(begun);
    close(all);
    return seconds;
  }

  double beside(std::uint32_t tokens, std::uint32_t size) {
    auto all = speakers(size);
    all.push_back({shard_->open(), 0, 0});
    std::vector<models::segment> work;
    for (auto& s : all)
      work.push_back(segment_of(s, &s == &all.back() ? prompt(tokens) : std::vector{s.token}));
    auto begun = clock::now();
    shard_->step(work);
    auto seconds = since(begun);
    close(all);
    return seconds;
  }

  /// The first token of a prompt of which the first `seen` tokens are there already, as the prefix cache keeps them.
  double behind(std::uint32_t tokens, std::uint32_t seen) {
    prefill(tokens);
    auto whole = one_.token;
    auto ids = prompt(tokens);
    auto begun = clock::now();
    speaker s{shard_->fork(one_.seq, seen), seen, 0};
    step({&s, 1}, {ids.begin() + seen, ids.end()});
    auto seconds = since(begun);
    shard_->close(s.seq);
    if (s.token != whole)
      throw failed("a prompt whose prefix was seen goes on with another token than the same prompt at once");
    return seconds;
  }

  double outside(std::uint32_t tokens) {
    models::kernels::time_kernels(true);
    auto seconds = decode(tokens);
    auto inside = models::kernels::seconds_in_kernels();
    models::kernels::time_kernels(false);
    return 1 - inside / seconds;
  }

  double idle(std::uint32_t seconds) {
    step({&one_, 1}, {});
    auto used = cpu_seconds();
    auto begun = clock::now();
    std::this_thread::sleep_for(std::chrono::seconds(seconds));
    return (cpu_seconds() - used) / since(begun);
  }

private:
  /// Sequences behind prompts of different lengths; the one of before is closed.
  std::vector<speaker> speakers(std::uint32_t size) {
    shard_->close(one_.seq);
    one_ = {};
    std::vector<speaker> all(size);
    for (std::uint32_t i = 0; i < size; ++i) {
      all[i].seq = shard_->open();
      step({&all[i], 1}, prompt(batch_depth / 2 + batch_depth * (2 * i + 1) / (2 * size)));
    }
    return all;
  }

  void close(const std::vector<speaker>& all) {
    for (auto& s : all)
      shard_->close(s.seq);
  }

  std::vector<token_id> prompt(std::uint32_t tokens) const {
    std::vector<token_id> ids(tokens);
    for (std::uint32_t i = 0; i < tokens; ++i)
      ids[i] = i * 7919 % shard_->info().vocab;
    return ids;
  }

  models::segment segment_of(const speaker& s, std::vector<token_id> ids) const {
    models::segment out;
    out.seq = s.seq;
    out.last_stage = last_;
    out.base = s.base;
    out.tokens = std::move(ids);
    out.want.tokens = rows_wanted::last;
    return out;
  }

  /// One step of all, each with `ids` or its own next token.
  void step(std::span<speaker> all, const std::vector<token_id>& ids) {
    std::vector<models::segment> work;
    for (auto& s : all)
      work.push_back(segment_of(s, ids.empty() ? std::vector{s.token} : ids));
    auto results = shard_->step(work);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i].token = results[i].choices.front().id;
      all[i].base += work[i].tokens.size();
    }
  }

  std::unique_ptr<models::shard> shard_;
  std::uint32_t last_ = 0;
  speaker one_;
};

double answer(worker& w, const std::string& line) {
  std::istringstream in(line);
  std::string command, file;
  std::uint32_t a = 0, b = 0;
  in >> command;
  if (command == "logits" && in >> file)
    return w.logits(file);
  in >> a >> b;
  if (command == "prefill")
    return w.prefill(a);
  if (command == "decode")
    return w.decode(a);
  if (command == "batch")
    return w.batch(a, b);
  if (command == "beside")
    return w.beside(a, b);
  if (command == "behind")
    return w.behind(a, b);
  if (command == "outside")
    return w.outside(a);
  if (command == "idle")
    return w.idle(a);
  throw bad_input("no command: " + line);
}

void serve(const worker_options& o) {
  const models::hf::model_folder folder(o.model, {});
  worker w(folder, o);
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(w, line) << std::endl;
}

} // namespace

void add_engine_worker(CLI::App& app) {
  auto* command = app.add_subcommand("engine-worker", "One side of `virga bench engine`");
  command->group("");
  auto o = std::make_shared<worker_options>();
  command->add_option("--model", o->model)->required();
  command->add_option("--dtype", o->dtype_name);
  command->add_option("--positions", o->positions, "Room for KV");
  command->add_flag("--libtorch", o->libtorch_only);
  command->callback([o] { serve(*o); });
}

} // namespace virga::deploy
