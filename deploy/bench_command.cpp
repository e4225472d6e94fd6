#include "deploy/bench/engine_bench.hpp"
#include "deploy/bench/fault_bench.hpp"
#include "deploy/bench/hat_bench.hpp"
#include "deploy/bench/link_bench.hpp"
#include "deploy/bench/load_bench.hpp"
#include "deploy/bench/plan_bench.hpp"
#include "deploy/commands.hpp"
#include "deploy/plan.hpp"
#include "deploy/run_dir.hpp"
#include "deploy/table.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct options {
  bool quick = false, as_json = false;
  std::string only, out;
  std::string manifest = "deploy/manifests/cluster.yaml", plan_manifest = "deploy/manifests/demo.yaml";
  std::string prompt = "describe taylor bennett : town job pet ?";
  fault_options faults;
  hat_options hat;
  engine_options engine;
  load_options load;
  std::string system = "hat";
};

std::string text(const json::value& v) { return v.is_string() ? std::string(v.as_string()) : json::serialize(v); }

void print(const json::object& result) {
  std::vector<std::vector<std::string>> table{{"what", "value", "goal", "reached"}};
  for (auto& r : result.at("rows").as_array())
    table.push_back({text(r.at("what")), fixed(r.at("value").to_number<double>(), 2) + " " + text(r.at("unit")),
                     "at " + text(r.at("at")) + " " + fixed(r.at("goal").to_number<double>(), 1), r.at("reached").as_bool() ? "yes" : "NO"});
  print_table(std::cout, table);
}

void print_faults(const json::object& result) {
  std::vector<std::vector<std::string>> table{
    {"victim", "spare", "strategy", "ok", "fallback", "error", "wrong", "unresolved", "recovery", "goal", "reached"}};
  for (auto& r : result.at("rows").as_array())
    table.push_back({text(r.at("victim")), r.at("spare").as_bool() ? "yes" : "no", text(r.at("strategy")), text(r.at("ok")),
                     text(r.at("declared_fallback")), text(r.at("error")), text(r.at("wrong")), text(r.at("unresolved")),
                     fixed(r.at("recovery_s").to_number<double>(), 2) + " s", text(r.at("goal")),
                     r.at("reached").as_bool() ? "yes" : "NO"});
  print_table(std::cout, table);
}

std::string number(const json::object& r, const char* key, int digits, double scale = 1) {
  return r.contains(key) ? fixed(r.at(key).to_number<double>() * scale, digits) : std::string("-");
}

void print_engine(const json::object& result) {
  std::vector<std::vector<std::string>> pairs{{"dtype", "threads", "prompt", "depth", "against", "prefill tokens/s", "ratio", "decode tokens/s",
                                               "ratio", "of memory's pace", "logits apart"}};
  for (auto& v : result.at("rows").as_array()) {
    auto& r = v.as_object();
    auto ratio = [&](const char* key, const char* between) {
      auto& s = r.at(between).as_array();
      return number(r, key, 2) + " (" + fixed(s[0].to_number<double>(), 2) + "-" + fixed(s[1].to_number<double>(), 2) + ")";
    };
    pairs.push_back({text(r.at("dtype")), text(r.at("threads")), text(r.at("prompt")), text(r.at("depth")), text(r.at("against")),
                     number(r, "prefill_tokens_per_s", 0), ratio("prefill_ratio", "prefill_spread"), number(r, "decode_tokens_per_s", 1),
                     ratio("decode_ratio", "decode_spread"), number(r, "decode_bandwidth_share", 2), number(r, "logits_difference", 5)});
  }
  print_table(std::cout, pairs);
  std::vector<std::vector<std::string>> alone{{"dtype", "threads", "8 sequences over 1", "32 over 1", "8 beside a chunk", "first token, prefix seen", "outside kernels", "idle, of a core",
                                               "beside a busy process", "the other beside it"}};
  for (auto& v : result.at("alone").as_array()) {
    auto& r = v.as_object();
    alone.push_back({text(r.at("dtype")), text(r.at("threads")), number(r, "batch8_ratio", 2), number(r, "batch32_ratio", 2),
                     number(r, "beside_chunk", 2), number(r, "prefix_ratio", 2), number(r, "outside_kernels", 3), number(r, "idle_core_share", 4), number(r, "busy_ratio", 2), number(r, "busy_ratio_other", 2)});
  }
  print_table(std::cout, alone);
}

void print_load(const json::object& result) {
  std::vector<std::vector<std::string>> table{{"dtype", "quantised", "bytes", "read", "ready", "ready when cached", "ready to read", "goal", "reached"}};
  for (auto& v : result.at("rows").as_array()) {
    auto& r = v.as_object();
    auto number = [&](const char* key) { return fixed(r.at(key).to_number<double>(), 2); };
    auto& s = r.at("ratio_spread").as_array();
    table.push_back({text(r.at("dtype")), r.at("quantised").as_bool() ? "yes" : "no", text(r.at("bytes")), number("read_s") + " s",
                     number("ready_s") + " s", number("warm_ready_s") + " s",
                     number("ratio") + " (" + fixed(s[0].to_number<double>(), 2) + "-" + fixed(s[1].to_number<double>(), 2) + ")",
                     "at most " + number("goal"), r.at("reached").as_bool() ? "yes" : "NO"});
  }
  print_table(std::cout, table);
}

void print_plan(const json::object& result) {
  std::vector<std::vector<std::string>> table{{"edge", "strategy", "what", "link", "forecast", "measured", "ratio", "reached"}};
  for (auto& r : result.at("rows").as_array())
    table.push_back({text(r.at("edge")), text(r.at("strategy")), text(r.at("what")), text(r.at("link")),
                     fixed(r.at("forecast_ms").to_number<double>(), 2) + " ms", fixed(r.at("measured_ms").to_number<double>(), 2) + " ms",
                     fixed(r.at("value").to_number<double>(), 2), r.at("reached").as_bool() ? "yes" : "NO"});
  print_table(std::cout, table);
}

void print_hat(const json::object& result) {
  std::vector<std::vector<std::string>> table{
    {"model", "devices", "RTT", "strategy", "TTFT", "TBT", "of bound", "accept length", "facts", "tokens/s", "kB up", "kB down", "identical", "texts changed"}};
  for (const char* part : {"rows", "long", "controls", "wire", "losing"})
    for (auto& v : result.contains(part) ? result.at(part).as_array() : json::array{}) {
      auto& r = v.as_object();
      auto bound = r.contains("predicted_tbt_ms") ? fixed(r.at("tbt_ms").to_number<double>() / r.at("predicted_tbt_ms").to_number<double>(), 2) : "-";
      auto link = number(r, "rtt_ms", 0) + " ms" + (r.contains("up_mbit") && r.at("up_mbit").to_number<double>() > 0 ? ", " + number(r, "up_mbit", 2) + " Mbit/s" : "");
      table.push_back({text(r.at("model")), text(r.at("devices")), link, text(r.at("strategy")),
                       number(r, "ttft_ms", 1), number(r, "tbt_ms", 2), bound, number(r, "accept_length", 2), number(r, "fact_acceptance", 2),
                       number(r, "tokens_per_s", 0), number(r, "bytes_up", 1, 1e-3), number(r, "bytes_down", 1, 1e-3),
                       r.at("identical").as_bool() ? "yes" : "NO", number(r, "texts_changed", 0)});
    }
  print_table(std::cout, table);
  if (result.contains("summary"))
    std::cout << json::serialize(result.at("summary")) << "\n";
}

/// Progress goes to standard error, and nowhere when a program listens.
std::function<void(const std::string&)> progress_of(const options& o) {
  return [quiet = o.as_json](const std::string& line) {
    if (!quiet)
      std::cerr << line << std::endl;
  };
}

void show(const options& o, const json::object& result, void (*as_table)(const json::object&)) {
  if (!o.out.empty())
    write_whole(o.out, json::serialize(result) + "\n");
  o.as_json ? void(std::cout << json::serialize(result) << "\n") : as_table(result);
}

void add_output_options(CLI::App& app, options& o) {
  app.add_flag("--json", o.as_json, "For programs");
  app.add_option("--out", o.out, "Also write the JSON to this file");
}

} // namespace

void add_bench_command(CLI::App& app) {
  auto* command = app.add_subcommand("bench", "Measure: each figure with its goal");
  command->require_subcommand(1);
  auto o = std::make_shared<options>();
  auto* of_link = command->add_subcommand("link", "Links against the raw TLS and TCP connections that they stand on");
  of_link->add_flag("--quick", o->quick, "Fewer repetitions");
  of_link->add_option("--only", o->only, "Those whose name contains this: echo, bulk, prompt, delay, idle");
  add_output_options(*of_link, *o);
  of_link->callback([o] { show(*o, bench_link(o->quick, o->only, progress_of(*o)), print); });

  auto* of_engine = command->add_subcommand("engine", "Prefill and decode of the torch shard beside llama.cpp or libtorch's own operators");
  of_engine->add_option("--model", o->engine.model, "Its folder; default: random weights in the shape of Qwen2.5-0.5B");
  of_engine->add_option("--dtype", o->engine.dtypes, "Default bf16 int8 int4")->check(CLI::IsMember({"f64", "f32", "bf16", "int8", "int4"}));
  of_engine->add_option("--against", o->engine.against, "Default llama.cpp; libtorch's side of int8 and int4 is bf16")
    ->check(CLI::IsMember({"llama.cpp", "libtorch"}));
  of_engine->add_option("--threads", o->engine.threads, "Default 1 2")->check(CLI::Range(1u, 256u));
  of_engine->add_option("--prompt", o->engine.prompt, "Tokens; default 512")->check(CLI::Range(1u, 1'000'000u));
  of_engine->add_option("--tokens", o->engine.tokens, "Decoded; default 128")->check(CLI::Range(1u, 1'000'000u));
  of_engine->add_option("--depth", o->engine.depths, "Decode behind so many tokens; default 0: behind the prompt")->check(CLI::Range(0u, 1'000'000u));
  of_engine->add_option("--rounds", o->engine.rounds, "Pairs; default 5")->check(CLI::Range(1u, 1000u));
  of_engine->add_option("--python", o->engine.python, "That has llama-cpp-python and gguf; default what `deploy/setup/setup.sh --bench` made");
  add_output_options(*of_engine, *o);
  of_engine->callback([o] { show(*o, bench_engine(o->engine, progress_of(*o)), print_engine); });

  auto* of_load = command->add_subcommand("load", "Time until a folder on a cold disk answers, beside reading its files once");
  of_load->add_option("--model", o->load.model, "Its folder; default: random weights in the shape of Qwen2.5-0.5B, quantised");
  of_load->add_option("--dtype", o->load.dtypes, "Default: that of a quantised folder, else f32 bf16 int8 int4")
    ->check(CLI::IsMember({"f64", "f32", "bf16", "int8", "int4"}));
  of_load->add_option("--threads", o->load.threads, "Default: all cores")->check(CLI::Range(1u, 256u));
  of_load->add_option("--rounds", o->load.rounds, "Default 5")->check(CLI::Range(1u, 1000u));
  add_output_options(*of_load, *o);
  of_load->callback([o] { show(*o, bench_load(o->load, progress_of(*o)), print_load); });

  auto* of_faults = command->add_subcommand("faults", "What a killed node costs clients; launches the manifest for each victim");
  of_faults->add_option("--manifest", o->manifest, "Default deploy/manifests/cluster.yaml");
  of_faults->add_option("--requests", o->faults.requests, "For each victim; default 800")->check(CLI::Range(8u, 1'000'000u));
  of_faults->add_option("--clients", o->faults.clients, "At once; default 8")->check(CLI::Range(1u, 64u));
  of_faults->add_option("--only", o->faults.only, "Victims whose name contains this");
  add_output_options(*of_faults, *o);
  of_faults->callback([o] { show(*o, bench_faults(load_checked(o->manifest), o->faults, progress_of(*o)), print_faults); });

  auto* of_systems = command->add_subcommand("systems", "A strategy against its baselines, real processes over shaped links");
  of_systems->add_option("--system", o->system, "hat")->check(CLI::IsMember({"hat"}))->capture_default_str();
  of_systems->add_option("--devices", o->hat.devices, "Numbers of devices; default 1 2 8")->check(CLI::Range(1u, 64u));
  of_systems->add_option("--rtt", o->hat.rtts_ms, "Milliseconds; default 5 20 50 100")->check(CLI::Range(0.0, 10'000.0));
  of_systems->add_option("--questions", o->hat.questions, "Of each setting; default 24")->check(CLI::Range(2u, 10'000u));
  of_systems->add_option("--split", o->hat.split, "Layers on the device; default 1")->check(CLI::Range(1u, 3u));
  of_systems->add_option("--only", o->hat.only, "Parts whose name contains this: rows, long, controls, wire, losing");
  add_output_options(*of_systems, *o);
  of_systems->callback([o] { show(*o, bench_hat(o->hat, progress_of(*o)), print_hat); });

  auto* of_plan = command->add_subcommand("plan", "Forecasts of `virga plan` at four links, against what requests then take");
  of_plan->add_option("--manifest", o->plan_manifest, "Default deploy/manifests/demo.yaml");
  of_plan->add_option("--prompt", o->prompt, "Of the requests")->capture_default_str();
  add_output_options(*of_plan, *o);
  of_plan->callback([o] { show(*o, bench_plan(load_checked(o->plan_manifest), o->prompt, progress_of(*o)), print_plan); });
}

} // namespace virga::deploy
