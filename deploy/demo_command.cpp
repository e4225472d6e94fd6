#include "deploy/commands.hpp"
#include "deploy/demo_page.hpp"
#include "deploy/demo_report.hpp"
#include "deploy/failures.hpp"
#include "deploy/launched.hpp"
#include "deploy/pace_meter.hpp"
#include "deploy/plan.hpp"
#include "deploy/table.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

struct options {
  std::string manifest = "deploy/manifests/demo.yaml", out = "out/demo";
  std::uint32_t questions = 200, clients = 3;
  std::uint64_t seed = 1;
};

void say(const std::string& line) { std::cout << "[demo] " << line << std::endl; }

std::vector<demo_gateway> edge_gateways(const std::vector<node_view>& nodes) {
  std::vector<demo_gateway> all;
  for (const auto& n : nodes)
    if (n.entry->kind == node_kind::edge && n.api_port != 0)
      all.push_back({n.entry->name.value, n.api_port});
  if (all.empty())
    throw bad_input("the demo asks edge nodes, but none of this manifest has a `gateway`");
  return all;
}

void print_examples(const std::vector<models::world::question>& questions, const std::vector<demo_answers>& answers) {
  std::cout << "\n";
  for (std::size_t i = 0; i < std::min<std::size_t>(2, questions.size()); ++i) {
    std::cout << "  " << questions[i].prompt << "\n";
    for (const auto& s : answers)
      std::cout << "    " << s.strategy << ": " << s.all[i].answer.text << s.all[i].error << (s.all[i].exact ? "" : "   (wrong)")
                << "\n";
  }
}

demo_report measure(const manifest& m, const options& o) {
  models::world::world w;
  auto questions = models::world::make_questions(w, models::world::split::test, o.seed, models::world::demo_mixture(), o.questions);
  auto start = std::chrono::steady_clock::now();
  std::vector<demo_answers> answers;
  demo_report report;
  {
    launched deployment(m, say);
    auto nodes = look_at(m, deployment.dir, std::chrono::seconds(2));
    demo_options how;
    how.gateways = edge_gateways(nodes);
    how.clients_per_gateway = o.clients;
    say("asking " + std::to_string(questions.size()) + " questions, each with cloud, edge, split and hat");
    answers = ask_all(w, questions, how, [](std::size_t done, std::size_t of) {
      say(std::to_string(done) + " of " + std::to_string(of) + " questions");
    });
    report = make_report(answers, measured_rtt_ms(m, deployment.dir));
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::filesystem::create_directories(o.out);
  auto data = report_json(report, answers, questions);
  write_whole(std::filesystem::path(o.out) / "report.json", data);
  write_whole(std::filesystem::path(o.out) / "report.html", demo_page(data));
  print_examples(questions, answers);
  return report;
}

void demo(const options& o) {
  auto report = measure(load_checked(o.manifest), o);
  print_report(std::cout, report);
  std::cout << "\n[demo] " << fixed(report.seconds, 1) << " s from launch to shut-down; all numbers and texts: " << o.out
            << "/report.json\n";
  if (!report.all_hold())
    throw CLI::RuntimeError(1);
}

} // namespace

void add_demo_command(CLI::App& app) {
  auto* command = app.add_subcommand("demo", "Start a deployment, ask it with every strategy, compare, end it");
  auto o = std::make_shared<options>();
  command->add_option("--manifest", o->manifest, "Default deploy/manifests/demo.yaml");
  command->add_option("--out", o->out, "Folder of report.json and report.html; default out/demo");
  command->add_option("--questions", o->questions, "Asked with each strategy")->check(CLI::Range(1u, 100'000u));
  command->add_option("--clients", o->clients, "At once at each edge node")->check(CLI::Range(1u, 64u));
  command->add_option("--seed", o->seed, "Of the questions drawn");
  command->callback([o] { demo(*o); });
}

} // namespace virga::deploy
