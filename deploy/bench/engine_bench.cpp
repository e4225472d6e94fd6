#include "deploy/bench/engine_bench.hpp"

#include "deploy/bench/random_model.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_model.hpp"
#include "deploy/processes.hpp"
#include "models/make_shard.hpp"
#include "models/memory.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <thread>

namespace virga::deploy {
namespace {

namespace json = boost::json;
using clock = std::chrono::steady_clock;

double since(clock::time_point begun) { return std::chrono::duration<double>(clock::now() - begun).count(); }

/// One loaded shard and a sequence of it.
class contender {
public:
  contender(const models::hf::model_folder& folder, const engine_options& o, dtype t, bool libtorch_only) {
    models::shard_options s;
    s.compute = t;
    s.libtorch_only = libtorch_only;
    auto positions = std::uint64_t{o.prompt} + o.tokens + o.depth + 64;
    s.kv_bytes = 2 * positions * models::kv_bytes_per_token(folder.config(), models::kv_type(t));
    shard_ = models::make_torch_shard(folder, s);
    last_ = static_cast<std::uint32_t>(shard_->info().stages.size() - 1);
  }

  /// Seconds of a new sequence's prompt, its first token chosen.
  double prefill(std::uint32_t tokens) {
    shard_->close(seq_);
    seq_ = shard_->open();
    base_ = 0;
    std::vector<token_id> ids(tokens);
    for (std::uint32_t i = 0; i < tokens; ++i)
      ids[i] = i * 7919 % shard_->info().vocab;
    auto begun = clock::now();
    token_ = step(std::move(ids)).choices.front().id;
    return since(begun);
  }

  /// Seconds of so many tokens more.
  double decode(std::uint32_t tokens) {
    auto begun = clock::now();
    for (std::uint32_t i = 0; i < tokens; ++i)
      token_ = step({token_}).choices.front().id;
    return since(begun);
  }

  std::vector<float> logits() {
    auto out = step({1, 2, 3}, true).logits;
    std::vector<float> x(out.data.size() / sizeof(float));
    std::memcpy(x.data(), out.data.data(), out.data.size());
    return x;
  }

private:
  models::segment_result step(std::vector<token_id> ids, bool logits = false) {
    models::segment s;
    s.seq = seq_;
    s.last_stage = last_;
    s.base = base_;
    s.tokens = std::move(ids);
    s.want.tokens = rows_wanted::last;
    if (logits)
      s.want.logits = rows_wanted::last;
    base_ += s.tokens.size();
    return std::move(shard_->step({&s, 1}).front());
  }

  std::unique_ptr<models::shard> shard_;
  std::uint32_t last_ = 0;
  models::sequence seq_{};
  std::uint64_t base_ = 0;
  token_id token_ = 0;
};

/// Bytes a second that so many threads read together from memory, the better of two.
double read_pace(std::uint32_t threads) {
  using wide = std::uint64_t __attribute__((vector_size(64)));
  constexpr std::size_t lines = (std::size_t{256} << 20) / sizeof(wide);
  const std::unique_ptr<wide[]> all(new wide[lines * threads]());
  double best = 0;
  for (int round = 0; round < 2; ++round) {
    auto begun = clock::now();
    std::vector<std::jthread> workers;
    for (std::uint32_t t = 0; t < threads; ++t)
      workers.emplace_back([&, t] {
        wide sums[4] = {};
        auto* from = all.get() + t * lines;
        for (std::size_t i = 0; i < lines; i += 4)
          for (std::size_t k = 0; k < 4; ++k)
            sums[k] ^= from[i + k];
        auto sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
        asm volatile("" : : "m"(sum));
      });
    workers.clear();
    best = std::max(best, static_cast<double>(lines * threads * sizeof(wide)) / since(begun));
  }
  return best;
}

double at_share(std::vector<double> v, double share) {
  std::sort(v.begin(), v.end());
  return v[static_cast<std::size_t>(share * static_cast<double>(v.size() - 1) + 0.5)];
}

json::array spread(const std::vector<double>& v) { return {at_share(v, 0.1), at_share(v, 0.9)}; }

/// ||a - b|| / ||b||
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double apart = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    apart += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    size += double{b[i]} * b[i];
  }
  return std::sqrt(apart / size);
}

/// Bytes of weights that a token reads: all matrices but the table of embeddings, unless the head is that table.
double bytes_of_a_token(const models::hf::model_folder& folder, dtype t) {
  models::shard_options s;
  s.compute = t;
  auto& c = folder.config();
  auto need = models::need_of(folder, s, 1);
  auto table = c.tie_word_embeddings ? 0 : static_cast<double>(c.vocab_size) * c.hidden_size;
  return static_cast<double>(need.weights) * (1 - table / static_cast<double>(need.numbers));
}

struct times {
  std::vector<double> prefill, decode, prefill_ratio, decode_ratio;
  std::vector<double> pace;  ///< of memory, bytes/s, in the same rounds: it changes from minute to minute
};

void turn(contender& who, const engine_options& o, double& prefill, double& decode) {
  prefill = who.prefill(o.prompt);
  if (o.depth > 0)
    who.prefill(o.depth);
  decode = who.decode(o.tokens);
}

times compare(contender& ours, contender& other, const engine_options& o) {
  times out;
  for (std::uint32_t round = 0; round <= o.rounds; ++round) {
    double prefill[2], decode[2];
    for (int k : round % 2 == 0 ? std::array{0, 1} : std::array{1, 0})
      turn(k == 0 ? ours : other, o, prefill[k], decode[k]);
    if (round == 0)
      continue;  // caches, pages and threads are made
    out.prefill.push_back(prefill[0]);
    out.decode.push_back(decode[0]);
    out.prefill_ratio.push_back(prefill[1] / prefill[0]);
    out.decode_ratio.push_back(decode[1] / decode[0]);
    out.pace.push_back(read_pace(o.threads));
  }
  return out;
}

json::object row(const models::hf::model_folder& folder, const engine_options& o, const std::string& name,
                 const times& t, double apart) {
  auto per_token = at_share(t.decode, 0.5) / o.tokens;
  std::vector<double> shares;
  for (std::size_t i = 0; i < t.decode.size(); ++i)
    shares.push_back(bytes_of_a_token(folder, dtype_named(name)) * o.tokens / t.decode[i] / t.pace[i]);
  return {{"dtype", name},
          {"threads", o.threads},
          {"prompt", o.prompt},
          {"tokens", o.tokens},
          {"depth", o.depth},
          {"against", "libtorch's operators"},
          {"decode_ratio", at_share(t.decode_ratio, 0.5)},
          {"decode_spread", spread(t.decode_ratio)},
          {"prefill_ratio", at_share(t.prefill_ratio, 0.5)},
          {"prefill_spread", spread(t.prefill_ratio)},
          {"decode_tokens_per_s", 1 / per_token},
          {"prefill_tokens_per_s", o.prompt / at_share(t.prefill, 0.5)},
          {"decode_bandwidth_share", at_share(shares, 0.5)},
          {"read_gb_per_s", at_share(t.pace, 0.5) / 1e9},
          {"logits_difference", apart}};
}

json::object measure(const models::hf::model_folder& folder, const engine_options& o, const std::string& name) {
  // Widened to f32, libtorch would read four or seven times as much: its bf16 is the fairer one.
  auto narrow = name == "int8" || name == "int4";
  contender ours(folder, o, dtype_named(name), false), other(folder, o, narrow ? dtype::bf16 : dtype_named(name), true);
  ours.prefill(16);
  other.prefill(16);
  auto apart = difference(ours.logits(), other.logits());
  return row(folder, o, name, compare(ours, other, o), apart);
}

} // namespace

json::object bench_engine(const engine_options& o, const std::function<void(const std::string&)>& say) {
  use_threads(o.threads);
  const auto dir = o.model.empty() ? half_billion_shape("models/zoo/cloud", say) : std::filesystem::path(o.model);
  json::array rows;
  try {
    const models::hf::model_folder folder(dir, {});
    if (folder.stages().size() != 3)
      throw bad_input(dir.string() + " holds only " + models::describe(folder.stages()) + ": this needs a whole model");
    if (auto most = folder.config().max_position_embeddings; std::max(o.prompt, o.depth) + o.tokens + 8 > most)
      throw bad_input(dir.string() + " takes " + std::to_string(most)
                      + " positions: ask for fewer with --prompt, --depth and --tokens");
    for (auto& name : o.dtypes) {
      say(name + ", " + std::to_string(o.threads) + (o.threads == 1 ? " thread" : " threads"));
      rows.push_back(measure(folder, o, name));
    }
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  }
  return {{"rows", rows}};
}

} // namespace virga::deploy
