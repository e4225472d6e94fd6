#include "deploy/demo_run.hpp"

#include <algorithm>
#include <thread>

namespace virga::deploy {
namespace {

using models::world::check;

class asker {
public:
  asker(const models::world::world& w, const std::vector<models::world::question>& questions, const demo_options& options)
    : world_(w), questions_(questions), options_(options) {}

  /// Questions [first, last) with one strategy, by all clients at once.
  void block(demo_answers& answers, std::size_t first, std::size_t last) {
    std::atomic<std::size_t> next{first};
    std::vector<std::thread> clients;
    for (const auto& gateway : options_.gateways)
      for (std::uint32_t i = 0; i < options_.clients_per_gateway; ++i)
        clients.emplace_back([&, gateway] {
          for (auto q = next++; q < last; q = next++)
            answers.all[q] = one(q, answers.strategy, gateway);
        });
    for (auto& c : clients)
      c.join();
  }

private:
  asked one(std::size_t index, const std::string& strategy, const demo_gateway& gateway) const {
    asked a;
    a.question = index;
    a.node = gateway.node;
    question q;
    q.port = gateway.port;
    q.strategy = strategy;
    q.messages = {{"user", questions_[index].prompt}};
    q.max_tokens = options_.max_tokens;
    try {
      a.answer = ask(q);
      a.exact = check(world_, questions_[index], a.answer.text).exact;
    } catch (const std::exception& e) {
      a.error = e.what();
    }
    return a;
  }

  const models::world::world& world_;
  const std::vector<models::world::question>& questions_;
  const demo_options& options_;
};

} // namespace

std::vector<demo_answers> ask_all(const models::world::world& w, const std::vector<models::world::question>& questions,
                                  const demo_options& options,
                                  const std::function<void(std::size_t, std::size_t)>& progress) {
  std::vector<demo_answers> all;
  for (const auto& s : options.strategies)
    all.push_back({s, std::vector<asked>(questions.size())});
  asker a(w, questions, options);
  for (std::size_t first = 0, turn = 0; first < questions.size(); first += options.block, ++turn) {
    auto last = std::min<std::size_t>(first + options.block, questions.size());
    for (std::size_t i = 0; i < all.size(); ++i)
      a.block(all[(i + turn) % all.size()], first, last);
    progress(last, questions.size());
  }
  return all;
}

} // namespace virga::deploy
