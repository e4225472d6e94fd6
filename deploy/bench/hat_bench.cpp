#include "deploy/bench/hat_bench.hpp"

#include "deploy/bench/hat_deployment.hpp"
#include "deploy/bench/hat_run.hpp"
#include "deploy/bench/random_adapter.hpp"
#include "deploy/bench/random_model.hpp"
#include "deploy/failures.hpp"
#include "deploy/table.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace virga::deploy {
namespace {

namespace json = boost::json;
namespace world = models::world;
using strategies = std::vector<std::string>;

constexpr std::size_t long_answer = 40;    // tokens
constexpr std::uint32_t answer_tokens = 160;
constexpr std::uint32_t long_prompt = 512, after_it = 4, long_questions = 3;  // tokens, tokens, requests a device
constexpr double reference_rtt_ms = 20;    // of the summary
constexpr double void_factor = 1.15;

/// Held-out descriptions with answers of at least 40 tokens.
std::vector<world::question> questions_of(const world::world& w, std::uint32_t count) {
  world::mixture only_descriptions{0, 0, 0, 1, 0, 0, 0, 3, 5};
  auto drawn = world::make_questions(w, world::split::test, 7, only_descriptions, 2 * count);
  std::erase_if(drawn, [](auto& q) { return world::split_words(q.answer).size() < long_answer; });
  drawn.resize(std::min<std::size_t>(drawn.size(), count));
  return drawn;
}

bool is_void(const hat_row& split) { return split.tbt_ms() > void_factor * (split.link_rtt_ms + split.compute_ms()); }

const hat_row& find(const std::vector<hat_row>& rows, const std::string& strategy) {
  return *std::ranges::find(rows, strategy, &hat_row::strategy);
}

class hat_bench {
public:
  hat_bench(const hat_options& o, const std::function<void(const std::string&)>& say)
    : options_(o), say_(say), model_(std::filesystem::absolute(o.model)) {}

  json::object run() {
    json::object out;
    if (wanted("rows"))
      out["rows"] = rows();
    if (wanted("long"))
      out["long"] = long_prompts();
    if (wanted("controls"))
      out["controls"] = controls();
    if (wanted("wire"))
      out["wire"] = wire();
    if (wanted("losing"))
      out["losing"] = losing();
    if (wanted("rows") || wanted("long"))
      out["summary"] = summary();
    return out;
  }

private:
  bool wanted(const std::string& part) const { return part.find(options_.only) != std::string::npos; }

  hat_setup setup(std::uint32_t devices) const {
    hat_setup s;
    s.model = model_;
    s.split = options_.split;
    s.adapter = std::filesystem::absolute(options_.adapters / ("cloud-" + std::to_string(options_.split)));
    s.devices = devices;
    return s;
  }

  std::vector<hat_row> measure(const hat_deployment& at, const std::string& model, const link_quality& link, const strategies& how,
                               std::uint32_t questions) {
    at.shape(link);
    auto asked = questions_of(world_, std::max<std::uint32_t>(questions, static_cast<std::uint32_t>(at.ports().size())));
    say_(model + ": " + std::to_string(at.ports().size()) + " devices, " + fixed(link.rtt_ms, 0) + " ms");
    return hat_run(world_, asked, at, answer_tokens).rows(model, link.rtt_ms, how);
  }

  json::array rows() {
    json::array out;
    for (auto devices : options_.devices) {
      const hat_deployment at(setup(devices), say_);
      for (auto rtt : options_.rtts_ms) {
        auto set = measure(at, "zoo", {rtt, 0, 0, 0}, {"cloud", "split", "hat"}, options_.questions);
        for (auto& row : set) {
          auto o = row.to_json();
          o["void"] = is_void(find(set, "split"));
          out.push_back(std::move(o));
        }
        const auto &split = find(set, "split"), &hat = find(set, "hat");
        if (rtt == reference_rtt_ms && !is_void(split) && hat.identical) {
          reductions_.push_back(1 - hat.tbt_ms() / split.tbt_ms());
          accept_lengths_.push_back(hat.drafts.accept_length());
          of_bound_.push_back(hat.tbt_ms() / hat.predicted_tbt_ms());
        }
      }
    }
    return out;
  }

  /// Prompts whose upload takes as long as the cloud needs for them, of a model of a real one's shape. The adapter is
  /// random: only the first token and the bytes count.
  json::array long_prompts() {
    json::array out;
    auto s = setup(1);
    s.model = half_billion_shape(model_, say_);
    s.split = 2;
    s.adapter = log_dir("bench-hat") / "random-adapter-0.5b";
    s.dtype = "f32";
    s.whole = false;
    s.kv_mb = 512;
    write_random_adapter(s.model, s.split, s.adapter);
    for (auto [devices, rows] : {std::pair(1u, 0u), std::pair(2u, 0u), std::pair(1u, 128u)}) {
      s.devices = devices;
      s.cloud_chunk_rows = rows;
      add_long(out, s, rows == 0 ? "split" : "split, cloud cuts at 128");
    }
    return out;
  }

  void add_long(json::array& out, const hat_setup& s, const std::string& name) {
    const hat_deployment at(s, say_);
    world::question q;
    for (std::uint32_t i = 0; i < long_prompt / 8; ++i)
      q.prompt += "describe taylor bennett : town job pet ? ";
    std::vector<world::question> asked(long_questions * s.devices, q);
    at.shape({reference_rtt_ms, 0, 0, 0});
    say_("0.5 B shape: " + std::to_string(s.devices) + " devices, " + name);
    const auto bare = hat_run(world_, {q}, at, 1).rows("0.5 B", reference_rtt_ms, {"split"}).front().answers.front().got;
    const auto cloud_s = s.devices * bare.compute_ms / 1000;  // for the prompts of all devices; the device's part of it is small
    const auto up_mbit = static_cast<double>(bare.bytes_up) * 8 / cloud_s / 1e6;
    at.shape({reference_rtt_ms, 0, up_mbit, 4 * up_mbit});
    auto set = hat_run(world_, asked, at, after_it).rows("0.5 B", reference_rtt_ms, {"split", "hat"});
    for (auto& row : set) {
      auto o = row.to_json();
      o["up_mbit"] = up_mbit;
      // No first token comes before its prompt is up.
      o["ttft_floor_ms"] = o.at("bytes_up").to_number<double>() / static_cast<double>(row.answers.size()) * 8 / up_mbit / 1e3;
      if (row.strategy == "split")
        o["strategy"] = name;
      out.push_back(std::move(o));
    }
    const auto reduction = 1 - find(set, "hat").ttft_ms() / find(set, "split").ttft_ms();
    if (s.cloud_chunk_rows == 0 && find(set, "hat").identical)
      ttft_reductions_.push_back(reduction);
  }

  /// Drafts that never stand and drafts that always do: what is measured must lie between.
  json::array controls() {
    json::array out;
    auto own = setup(1);
    own.adapter.clear();
    own.draft = "{length: fixed}";
    for (auto& [name, s] : {std::pair("zoo, random adapter", with_random_adapter()), std::pair("zoo, the cloud as its own draft", own)}) {
      const hat_deployment at(s, say_);
      for (auto& row : measure(at, name, {reference_rtt_ms, 0, 0, 0}, {"split", "hat"}, options_.questions / 2))
        out.push_back(row.to_json());
    }
    return out;
  }

  /// Narrower rows: bytes saved, and how many texts they change.
  json::array wire() {
    json::array out;
    std::vector<std::string> texts;
    for (std::string dtype : {"f32", "bf16", "f16", "i8_rows"}) {
      auto s = setup(1);
      s.draft = s.split_draft = "{wire: " + dtype + "}";
      s.whole = false;
      const hat_deployment at(s, say_);
      for (auto& row : measure(at, "zoo, wire " + dtype, {reference_rtt_ms, 0, 0, 0}, {"split", "hat"}, options_.questions)) {
        std::size_t changed = 0;
        for (std::size_t i = 0; i < row.answers.size(); ++i) {
          if (dtype == "f32" && row.strategy == "split")
            texts.push_back(row.answers[i].got.text);
          changed += row.answers[i].got.text != texts.at(i) ? 1 : 0;
        }
        auto o = row.to_json();
        o["texts_changed"] = changed;
        out.push_back(std::move(o));
      }
    }
    return out;
  }

  /// Nearer and narrower links, until drafting costs more than it saves: with the zoo's adapter, and with one that knows nothing.
  json::array losing() {
    json::array out;
    for (const auto& [name, s] : {std::pair("zoo", setup(1)), std::pair("zoo, random adapter", with_random_adapter())}) {
      const hat_deployment at(s, say_);
      for (const link_quality& link : {link_quality{2, 0, 0, 0}, {1, 0, 0, 0}, {0, 0, 0, 0}, {20, 0, 1, 1}, {20, 0, 0.2, 0.2}, {20, 0, 0.05, 0.05}}) {
        auto set = measure(at, name, link, {"split", "hat"}, link.up_mbit > 0 && link.up_mbit < 0.5 ? 4 : options_.questions / 2);
        auto o = find(set, "hat").to_json();
        o["up_mbit"] = link.up_mbit;
        o["split_tbt_ms"] = find(set, "split").tbt_ms();
        o["tbt_of_split"] = find(set, "hat").tbt_ms() / find(set, "split").tbt_ms();
        out.push_back(std::move(o));
      }
    }
    return out;
  }

  hat_setup with_random_adapter() const {
    auto s = setup(1);
    s.adapter = log_dir("bench-hat") / "random-adapter";
    write_random_adapter(model_, options_.split, s.adapter);
    return s;
  }

  /// Medians over the rows that count; what was not measured is not there.
  json::object summary() const {
    json::object out;
    auto add = [&](const std::string& name, const std::vector<double>& of_rows, double goal) {
      if (of_rows.empty())
        return;
      out[name] = median(of_rows);
      out["goal_" + name] = goal;
    };
    add("tbt_reduction", reductions_, 0.70);
    add("accept_length", accept_lengths_, 3.5);
    add("tbt_of_bound", of_bound_, 1.05);
    add("ttft_reduction", ttft_reductions_, 0.41);
    return out;
  }

  hat_options options_;
  const std::function<void(const std::string&)>& say_;
  std::filesystem::path model_;
  world::world world_;
  std::vector<double> reductions_, accept_lengths_, of_bound_, ttft_reductions_;
};

} // namespace

json::object bench_hat(const hat_options& options, const std::function<void(const std::string&)>& say) {
  return hat_bench(options, say).run();
}

} // namespace virga::deploy
