#include "deploy/bench/hat_run.hpp"

#include "deploy/failures.hpp"

#include <algorithm>
#include <thread>

namespace virga::deploy {
namespace {

using clock = std::chrono::steady_clock;

/// All texts against those of all others.
void compare(std::vector<hat_row>& rows) {
  for (auto& row : rows) {
    row.identical = true;
    for (const auto& other : rows)
      for (std::size_t i = 0; i < row.answers.size(); ++i)
        row.identical = row.identical && row.answers[i].got.text == other.answers[i].got.text;
  }
}

} // namespace

hat_run::hat_run(const models::world::world& w, std::vector<models::world::question> questions, const hat_deployment& at,
                 std::uint32_t max_tokens)
  : world_(w), questions_(std::move(questions)), at_(at), max_tokens_(max_tokens) {}

std::vector<hat_row> hat_run::rows(const std::string& model, double rtt_ms, const std::vector<std::string>& strategies) {
  std::vector<hat_row> out;
  for (const auto& s : strategies) {
    hat_row row;
    row.model = model;
    row.strategy = s;
    row.devices = static_cast<std::uint32_t>(at_.ports().size());
    row.rtt_ms = rtt_ms;
    out.push_back(std::move(row));
  }
  block(out, 0, true);
  std::size_t turn = 0;
  for (std::size_t first = 0; first < questions_.size(); first += at_.ports().size())
    block(out, first, false, turn++);
  for (auto& row : out) {
    row.drafts = summarise(world_, row.answers);
    row.link_rtt_ms = at_.link_rtt_ms();
  }
  compare(out);
  return out;
}

void hat_run::block(std::vector<hat_row>& rows, std::size_t first, bool warm_up, std::size_t turn) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto& row = rows[(i + turn) % rows.size()];
    const auto begun = clock::now();
    auto answers = ask_all(row.strategy, first);
    if (warm_up)
      continue;
    row.wall_s += std::chrono::duration<double>(clock::now() - begun).count();
    std::ranges::move(answers, std::back_inserter(row.answers));
  }
}

/// One question for each device.
std::vector<hat_answer> hat_run::ask_all(const std::string& strategy, std::size_t first) const {
  auto count = std::min(at_.ports().size(), questions_.size() - first);
  std::vector<hat_answer> out(count);
  std::vector<std::string> errors(count);
  std::vector<std::thread> clients;
  for (std::size_t i = 0; i < count; ++i)
    clients.emplace_back([&, i] {
      try {
        out[i] = {&questions_[first + i], ask(request(questions_[first + i], strategy, at_.ports()[i]))};
      } catch (const std::exception& e) {
        errors[i] = e.what();
      }
    });
  for (auto& c : clients)
    c.join();
  for (const auto& e : errors)
    if (!e.empty())
      throw failed(strategy + ": " + e);
  return out;
}

question hat_run::request(const models::world::question& from, const std::string& strategy, std::uint16_t port) const {
  question q;
  q.port = port;
  q.strategy = strategy;
  q.messages = {{"user", from.prompt}};
  q.max_tokens = max_tokens_;
  q.limit = std::chrono::minutes(5);
  return q;
}

} // namespace virga::deploy
