#include "tests/sim/profile/report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ostream>
#include <sstream>
#include <sys/resource.h>

namespace virga::testing {

namespace {

std::string fixed(double value, int digits) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, value);
  return text.data();
}

std::string told(double value) { return value > 0 ? fixed(value, 1) : "-"; }

void print_line(std::ostream& out, const std::vector<std::string>& cells) {
  for (auto& c : cells)
    out << "| " << c << " ";
  out << "|\n";
}

const published& paper_of(const run_figures& r) {
  return r.options.profile.rows.at(static_cast<std::size_t>(r.options.how));
}

void print_row(std::ostream& out, const run_figures& r) {
  auto& f = r.found;
  auto of = [&](double bound) { return r.options.how == method::ahead ? "-" : fixed(bound / f.tbt, 2); };
  print_line(out,
             {name_of(r.options.how), told(paper_of(r).ttft), fixed(f.ttft, 1), fixed(f.ttft_floor / f.ttft, 2),
              told(paper_of(r).tbt), fixed(f.tbt, 1), of(f.tbt_floor), of(f.tbt_bound), fixed(f.unhidden_ms, 1), told(f.tokens_a_round),
              fixed(f.guessed, 2), fixed(f.batch_ms, 1) + " (" + fixed(f.batch_sd, 1) + "), " + fixed(f.batch_rows, 1),
              fixed(f.busy, 2), fixed(f.load, 2)});
}

const run_figures* find(const std::vector<run_figures>& runs, method how) {
  auto it = std::ranges::find(runs, how, [](auto& r) { return r.options.how; });
  return it == runs.end() ? nullptr : &*it;
}

/// "TTFT: 47 % below U-shape ... "
void print_cut(std::ostream& out, const char* what, double base, double now, double floor, double paper_base,
               double paper_now, double goal) {
  auto cut = [](double from, double to) { return fixed(100 * (1 - to / from), 1) + " %"; };
  out << "- " << what << ": HAT is " << cut(base, now) << " below U-shape; the paper's tables say "
      << cut(paper_base, paper_now) << ", its headline up to " << fixed(100 * goal, 0) << " %. Floor "
      << fixed(floor, 1) << " ms: nothing can be more than " << cut(base, floor) << " below this U-shape; the floor is "
      << fixed(floor / now, 2) << " of HAT.\n";
}

} // namespace

void print(std::ostream& out, const std::vector<run_figures>& runs) {
  if (runs.empty())
    return;
  auto& o = runs.front().options;
  auto& f = runs.front().found;
  out << o.profile.name << ": " << o.devices << " devices, " << fixed(o.rate(), 1) << " requests/s, " << o.clouds
      << " cloud(s) of " << pipeline_stages << " stages, " << f.requests << " requests counted, prompts of "
      << fixed(f.prompt_mean, 0) << " tokens (90 %: " << fixed(f.prompt_p90, 0) << "), answers of " << o.answer_tokens
      << "\n\n";
  print_line(out, {"", "TTFT, paper", "TTFT ms", "floor / it", "TBT, paper", "TBT ms", "floor / it", "bound / it", "unhidden", "tokens a round",
                   "guessed", "batch ms (sd), rows", "busy", "load"});
  out << "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (auto& r : runs)
    print_row(out, r);
  out << "\n";
  auto *base = find(runs, method::u_shape), *hat = find(runs, method::hat);
  if (base == nullptr || hat == nullptr)
    return;
  print_cut(out, "TTFT", base->found.ttft, hat->found.ttft, hat->found.ttft_floor, paper_of(*base).ttft,
            paper_of(*hat).ttft, published_ttft_cut);
  print_cut(out, "TBT", base->found.tbt, hat->found.tbt, hat->found.tbt_floor, paper_of(*base).tbt, paper_of(*hat).tbt,
            published_tbt_cut);
  auto& h = hat->found;
  out << "- TBT's bound under load: (rows / uplink + round trip + " << pipeline_stages
      << " x batch + rows / downlink + head + drafting not hidden) / tokens a round = "
      << fixed(h.tbt_bound, 1) << " ms, of which the stages are " << fixed(pipeline_stages * h.batch_ms / h.tokens_a_round, 1)
      << " and drafting " << fixed(h.unhidden_ms / h.tokens_a_round, 1) << ": " << fixed(h.tbt_bound / h.tbt, 2) << " of HAT.\n";
  out << "- The paper's mean batch delay: " << fixed(o.profile.batch_ms, 1) << " ms.\n\n";
}

std::string as_json(const std::vector<run_figures>& runs) {
  std::ostringstream out;
  auto sep = "[";
  for (auto& r : runs) {
    auto& f = r.found;
    out << sep << R"({"profile":")" << r.options.profile.name << R"(","method":")" << name_of(r.options.how)
        << R"(","devices":)" << r.options.devices << R"(,"clouds":)" << r.options.clouds << R"(,"requests_per_s":)"
        << r.options.rate() << R"(,"requests":)" << f.requests << R"(,"wrong":)" << f.wrong << R"(,"ttft_ms":)"
        << f.ttft << R"(,"ttft_p90_ms":)" << f.ttft_p90 << R"(,"ttft_floor_ms":)" << f.ttft_floor << R"(,"tbt_ms":)"
        << f.tbt << R"(,"tbt_floor_ms":)" << f.tbt_floor << R"(,"tbt_bound_ms":)" << f.tbt_bound << R"(,"unhidden_ms":)" << f.unhidden_ms
        << R"(,"tokens_a_round":)" << f.tokens_a_round
        << R"(,"guessed":)" << f.guessed << R"(,"batch_ms":)" << f.batch_ms << R"(,"batch_sd_ms":)" << f.batch_sd
        << R"(,"batch_rows":)" << f.batch_rows << R"(,"busy":)" << f.busy << R"(,"load":)" << f.load
        << R"(,"paper_ttft_ms":)" << paper_of(r).ttft << R"(,"paper_tbt_ms":)" << paper_of(r).tbt << R"(,"wall_s":)"
        << r.wall_s << "}";
    sep = ",\n ";
  }
  out << (runs.empty() ? "[]" : "]");
  return out.str();
}

std::uint64_t peak_mib() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  return static_cast<std::uint64_t>(use.ru_maxrss) / 1024;
}

} // namespace virga::testing
