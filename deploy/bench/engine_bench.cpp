#include "deploy/bench/engine_bench.hpp"

#include "deploy/bench/engine_side.hpp"
#include "deploy/bench/random_model.hpp"
#include "deploy/bench/timing.hpp"
#include "deploy/failures.hpp"
#include "deploy/local_model.hpp"
#include "models/make_shard.hpp"
#include "models/memory.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <thread>

namespace virga::deploy {
namespace {

namespace json = boost::json;
using report = std::function<void(const std::string&)>;

constexpr std::uint32_t batch_sizes[] = {1, 8, 32}, batch_steps = 8, batch_positions = 32 * 256;
constexpr std::uint32_t idle_seconds = 5, busy_tokens = 16, chunk_rows = 256;
constexpr std::uint32_t unseen = 8;  ///< of a prompt whose prefix was seen: the eighth part

double middle(const std::vector<double>& v) { return at_share(v, 0.5); }

json::array spread(const std::vector<double>& v) { return {at_share(v, 0.1), at_share(v, 0.9)}; }

/// ||a - b|| / ||b||
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size())
    throw failed("the two sides have logits for " + std::to_string(a.size()) + " and " + std::to_string(b.size()) + " tokens");
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

struct setting {
  std::uint32_t prompt = 0, depth = 0, tokens = 0, rounds = 0, threads = 0;
};

times compare(engine_side& ours, engine_side& other, const setting& s) {
  times out;
  std::array sides{&ours, &other};
  for (std::uint32_t round = 0; round <= s.rounds; ++round) {
    double prefill[2], decode[2];
    for (std::size_t k : round % 2 == 0 ? std::array{0, 1} : std::array{1, 0})
      prefill[k] = sides[k]->prefill(s.prompt);
    for (std::size_t k : round % 2 == 0 ? std::array{0, 1} : std::array{1, 0}) {
      if (s.depth > 0)
        sides[k]->prefill(s.depth);
      decode[k] = sides[k]->decode(s.tokens);
    }
    if (round == 0)
      continue;  // caches, pages and threads are made
    out.prefill.push_back(prefill[0]);
    out.decode.push_back(decode[0]);
    out.prefill_ratio.push_back(prefill[1] / prefill[0]);
    out.decode_ratio.push_back(decode[1] / decode[0]);
    out.pace.push_back(read_pace(s.threads));
  }
  return out;
}

json::object row(const std::string& name, const std::string& against, const setting& s, const times& t, double token_bytes,
                 double apart) {
  std::vector<double> shares;
  for (std::size_t i = 0; i < t.decode.size(); ++i)
    shares.push_back(token_bytes * s.tokens / t.decode[i] / t.pace[i]);
  return {{"dtype", name},
          {"threads", s.threads},
          {"prompt", s.prompt},
          {"tokens", s.tokens},
          {"depth", s.depth},
          {"against", against},
          {"decode_ratio", middle(t.decode_ratio)},
          {"decode_spread", spread(t.decode_ratio)},
          {"prefill_ratio", middle(t.prefill_ratio)},
          {"prefill_spread", spread(t.prefill_ratio)},
          {"decode_tokens_per_s", s.tokens / middle(t.decode)},
          {"prefill_tokens_per_s", s.prompt / middle(t.prefill)},
          {"decode_bandwidth_share", middle(shares)},
          {"read_gb_per_s", middle(t.pace) / 1e9},
          {"logits_difference", apart}};
}

/// Decode speed while another thread takes a core, over the speed without; alternating.
double busy_ratio(engine_side& side, std::uint32_t rounds) {
  std::vector<double> ratios;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    auto alone = side.decode(busy_tokens);
    std::atomic<bool> end{false};
    std::jthread other([&] {
      while (!end)
        ;
    });
    auto beside = side.decode(busy_tokens);
    end = true;
    ratios.push_back(alone / beside);
  }
  return middle(ratios);
}

/// A prompt's chunk in one step with the next tokens of so many others.
std::string chunk_beside(std::uint32_t sequences) { return "beside " + std::to_string(chunk_rows) + " " + std::to_string(sequences); }

json::object alone(engine_side& ours, engine_side* other, const std::string& name, const setting& s) {
  json::object out{{"dtype", name}, {"threads", s.threads}};
  ours.prefill(s.prompt);
  if (s.threads == 1)
    out["outside_kernels"] = ours.best("outside " + std::to_string(s.tokens));
  out["idle_core_share"] = ours.best("idle " + std::to_string(idle_seconds));
  out["busy_ratio"] = busy_ratio(ours, s.rounds);
  if (other != nullptr) {
    other->prefill(s.prompt);
    out["busy_ratio_other"] = busy_ratio(*other, s.rounds);
  }
  std::vector<double> delays;
  for (std::uint32_t i = 0; i < s.rounds; ++i)
    delays.push_back(ours.best(chunk_beside(8)) / ours.best(chunk_beside(0)));
  out["beside_chunk"] = middle(delays);
  std::vector<double> behind;
  for (std::uint32_t i = 0; i < s.rounds; ++i)
    behind.push_back(ours.best("behind " + std::to_string(s.prompt) + " " + std::to_string(s.prompt - s.prompt / unseen))
                     / ours.prefill(s.prompt));
  out["prefix_ratio"] = middle(behind);
  std::array<std::vector<double>, std::size(batch_sizes)> seconds;
  for (std::uint32_t i = 0; i < s.rounds; ++i)
    for (std::size_t k = 0; k < seconds.size(); ++k)
      seconds[k].push_back(ours.best("batch " + std::to_string(batch_sizes[k]) + " " + std::to_string(batch_steps)));
  for (std::size_t k = 1; k < seconds.size(); ++k) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < seconds[k].size(); ++i)
      ratios.push_back(batch_sizes[k] * seconds[0][i] / seconds[k][i]);
    out["batch" + std::to_string(batch_sizes[k]) + "_ratio"] = middle(ratios);
  }
  return out;
}

class bench {
public:
  bench(const std::filesystem::path& dir, const engine_options& o, const report& say)
      : dir_(dir), folder_(dir, {}), o_(o), say_(say) {
    if (folder_.stages().size() != 3)
      throw bad_input(dir.string() + " holds only " + models::describe(folder_.stages()) + ": this needs a whole model");
    longest_ = std::max({o.prompt, chunk_rows, *std::max_element(o.depths.begin(), o.depths.end())}) + o.tokens + 8;
    if (auto most = folder_.config().max_position_embeddings; longest_ > most)
      throw bad_input(dir.string() + " takes " + std::to_string(most)
                      + " positions: ask for fewer with --prompt, --depth and --tokens");
  }

  json::object run() {
    for (auto& name : o_.dtypes)
      for (auto threads : o_.threads)
        measure(name, threads);
    return {{"rows", rows_}, {"alone", alone_}};
  }

private:
  void measure(const std::string& name, std::uint32_t threads) {
    say_(name + ", " + std::to_string(threads) + (threads == 1 ? " thread" : " threads"));
    auto room = (longest_ + o_.tokens + 255) / 256 * 256;  // busy_ratio() goes on behind the tokens
    room += busy_tokens * 2 * o_.rounds;
    auto ours = engine_side::engine(dir_, {name, threads, std::max<std::uint64_t>(2 * room, batch_positions)}, false);
    auto logits = ours.logits();
    std::optional<engine_side> other;
    for (auto& against : o_.against) {
      other.emplace(opponent(against, {name, threads, room}));
      auto apart = difference(logits, other->logits());
      for (auto depth : o_.depths) {
        const setting s{o_.prompt, depth, o_.tokens, o_.rounds, threads};
        rows_.push_back(row(name, against, s, compare(ours, *other, s), bytes_of_a_token(folder_, dtype_named(name)), apart));
      }
    }
    alone_.push_back(alone(ours, other ? &*other : nullptr, name, {o_.prompt, 0, o_.tokens, o_.rounds, threads}));
  }

  engine_side opponent(const std::string& against, side_options s) const {
    if (against == "llama.cpp")
      return engine_side::llama(dir_, s, o_.python, say_);
    // Widened to f32, libtorch would read four or seven times as much: its bf16 is the fairer one.
    if (s.dtype_name == "int8" || s.dtype_name == "int4")
      s.dtype_name = "bf16";
    s.positions *= 2;
    return engine_side::engine(dir_, s, true);
  }

  std::filesystem::path dir_;
  models::hf::model_folder folder_;
  const engine_options& o_;
  const report& say_;
  std::uint32_t longest_ = 0;
  json::array rows_, alone_;
};

} // namespace

json::object bench_engine(const engine_options& o, const report& say) {
  const auto dir = o.model.empty() ? half_billion_shape("models/zoo/cloud", say) : std::filesystem::path(o.model);
  try {
    return bench(dir, o, say).run();
  } catch (const models::bad_model& e) {
    throw bad_input(e.what());
  }
}

} // namespace virga::deploy
