#include "deploy/bench/link_bench.hpp"
#include "deploy/commands.hpp"
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
};

std::string text(const json::value& v) { return v.is_string() ? std::string(v.as_string()) : json::serialize(v); }

void print(const json::object& result) {
  std::vector<std::vector<std::string>> table{{"what", "value", "goal", "reached"}};
  for (auto& r : result.at("rows").as_array())
    table.push_back({text(r.at("what")), fixed(r.at("value").to_number<double>(), 2) + " " + text(r.at("unit")),
                     "at " + text(r.at("at")) + " " + fixed(r.at("goal").to_number<double>(), 1), r.at("reached").as_bool() ? "yes" : "NO"});
  print_table(std::cout, table);
}

void bench(const options& o) {
  auto say = [&](const std::string& line) {
    if (!o.as_json)
      std::cerr << line << std::endl;
  };
  auto result = bench_link(o.quick, o.only, say);
  if (!o.out.empty())
    write_whole(o.out, json::serialize(result) + "\n");
  o.as_json ? void(std::cout << json::serialize(result) << "\n") : print(result);
}

} // namespace

void add_bench_command(CLI::App& app) {
  auto* command = app.add_subcommand("bench", "Measure: ratios inside one interleaved run, each with its goal");
  command->require_subcommand(1);
  auto o = std::make_shared<options>();
  auto* of_link = command->add_subcommand("link", "Links against the raw TLS and TCP connections that they stand on");
  of_link->add_flag("--quick", o->quick, "Fewer repetitions");
  of_link->add_flag("--json", o->as_json, "For programs");
  of_link->add_option("--only", o->only, "Those whose name contains this: echo, bulk, prompt, delay, idle");
  of_link->add_option("--out", o->out, "Also write the JSON to this file");
  of_link->callback([o] { bench(*o); });
}

} // namespace virga::deploy
