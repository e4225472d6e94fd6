#include "models/train/acceptance.hpp"

#include "models/train/greedy.hpp"
#include "models/world/question.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

namespace virga::models::train {

namespace {

constexpr std::size_t requests_at_once = 32;

/// One request that is being drafted. The answer is known, so verifying is comparing.
class drafting {
public:
  drafting(shard& device, const drafted_request& r, const draft_rules& rules, std::span<const token_id> stop)
      : device_(device), request_(r), rules_(rules), stop_(stop), seq_(device.open()) {}
  ~drafting() { device_.close(seq_); }
  drafting(const drafting&) = delete;
  drafting& operator=(const drafting&) = delete;

  bool done() const { return emitted_ >= request_.answer.size(); }
  std::uint64_t rounds() const { return rounds_; }
  std::uint64_t tokens() const { return emitted_ - 1; }  ///< of all rounds

  /// What the device has not seen of prompt, answer and draft.
  segment next() const {
    segment s;
    s.seq = seq_;
    s.last_stage = static_cast<std::uint32_t>(device_.info().stages.size() - 1);
    s.base = fed_;
    for (auto at = fed_; at < committed() + draft_.size(); ++at)
      s.tokens.push_back(token_at(at));
    s.want.tokens = rows_wanted::last;
    return s;
  }

  void take(const choice& c, acceptance& counts) {
    fed_ = committed() + draft_.size();
    draft_.push_back(c.id);
    auto left = request_.answer.size() - emitted_;
    bool stopped = std::find(stop_.begin(), stop_.end(), c.id) != stop_.end();
    if (stopped || c.confidence < rules_.eta || draft_.size() >= std::min<std::size_t>(rules_.most, left))
      end_round(counts);
  }

private:
  std::size_t committed() const { return request_.prompt.size() + emitted_; }

  token_id token_at(std::size_t at) const {
    auto& r = request_;
    return at < r.prompt.size() ? r.prompt[at]
         : at < committed()     ? r.answer[at - r.prompt.size()]
                                : draft_[at - committed()];
  }

  void end_round(acceptance& counts) {
    std::size_t kept = 0;
    for (bool right = true; right && kept < draft_.size(); kept += right) {
      right = draft_[kept] == request_.answer[emitted_ + kept];
      judge(kept, emitted_ + kept, right, counts);
    }
    counts.drafted += draft_.size();
    ++rounds_;
    emitted_ = std::min(emitted_ + kept + 1, request_.answer.size());
    draft_.clear();
    fed_ = std::min<std::uint64_t>(fed_, committed() - 1);
    device_.truncate(seq_, fed_);
  }

  void judge(std::size_t position, std::size_t token, bool right, acceptance& counts) const {
    auto count = [&](world::rate& r) {
      ++r.asked;
      r.right += right ? 1 : 0;
    };
    count(counts.at_position[position]);
    count(counts.all);
    if (request_.roles.empty())
      return;
    auto role = request_.roles[token];
    count(role == world::word_role::fact ? counts.fact : counts.other);
    if (role == world::word_role::person || role == world::word_role::type)
      count(role == world::word_role::person ? counts.person : counts.type);
  }

  shard& device_;
  const drafted_request& request_;
  const draft_rules& rules_;
  std::span<const token_id> stop_;
  sequence seq_;
  std::size_t emitted_ = 1;  ///< tokens of the answer; the first came with the prompt
  std::uint64_t fed_ = 0;    ///< positions the device holds
  std::vector<token_id> draft_;
  std::uint64_t rounds_ = 0;
};

void finish(shard& device, std::vector<std::unique_ptr<drafting>>& all, acceptance& counts) {
  for (;;) {
    std::vector<segment> batch;
    std::vector<drafting*> members;
    for (auto& d : all)
      if (!d->done()) {
        batch.push_back(d->next());
        members.push_back(d.get());
      }
    if (batch.empty())
      return;
    auto results = device.step(batch);
    for (std::size_t i = 0; i < members.size(); ++i)
      members[i]->take(results[i].choices.at(0), counts);
  }
}

/// Tokens a round, as a ratio of sums over requests (Cochran 1977, ratio estimator).
void set_length(acceptance& a, std::span<const std::pair<double, double>> tokens_and_rounds) {
  a.length = a.rounds > 0 ? static_cast<double>(a.emitted) / static_cast<double>(a.rounds) : 0;
  double squares = 0, n = static_cast<double>(tokens_and_rounds.size());
  for (auto [tokens, rounds] : tokens_and_rounds)
    squares += std::pow(tokens - a.length * rounds, 2);
  auto error = n > 1 && a.rounds > 0 ? std::sqrt(squares * n / (n - 1)) / static_cast<double>(a.rounds) : 0;
  a.length_range = {a.length - 1.96 * error, a.length + 1.96 * error};
}

std::vector<world::word_role> roles_of(const world::text& reference, std::size_t answer_tokens) {
  std::vector<world::word_role> roles;
  if (answer_tokens != reference.size() + 1)  // <eos>
    return roles;
  for (auto& word : reference)
    roles.push_back(word.role);
  roles.push_back(world::word_role::frame);
  return roles;
}

std::vector<choice> choices_of(shard& model, const std::vector<token_id>& ids) {
  segment s;
  s.seq = model.open();
  s.last_stage = static_cast<std::uint32_t>(model.info().stages.size() - 1);
  s.tokens = ids;
  s.want.tokens = rows_wanted::all;
  auto choices = model.step(std::span(&s, 1)).at(0).choices;
  model.close(s.seq);
  return choices;
}

} // namespace

acceptance measure_acceptance(shard& device, std::span<const drafted_request> requests, const draft_rules& rules,
                              std::span<const token_id> stop) {
  acceptance out;
  out.at_position.resize(rules.most);
  std::vector<std::pair<double, double>> by_request;
  std::vector<std::uint64_t> positions;
  for (auto& r : requests)
    positions.push_back(r.prompt.size() + r.answer.size());
  while (!requests.empty()) {
    std::vector<std::unique_ptr<drafting>> some;
    auto count = fitting(device, std::span(positions).last(requests.size()), requests_at_once);
    for (auto& r : requests.first(count))
      some.push_back(std::make_unique<drafting>(device, r, rules, stop));
    requests = requests.subspan(count);
    finish(device, some, out);
    for (auto& d : some)
      if (d->rounds() > 0) {
        ++out.requests;
        out.rounds += d->rounds();
        out.emitted += d->tokens();
        by_request.emplace_back(d->tokens(), d->rounds());
      }
  }
  set_length(out, by_request);
  return out;
}

std::vector<drafted_request> describe_requests(const world::world& w, const world::vocabulary& words, world::split s,
                                               std::uint64_t seed, std::uint32_t count, shard& whole) {
  world::mixture mix{.fact = 0, .friend_of = 0, .two_hop = 0, .describe = 1, .sketch = 0, .brief = 0, .expand = 0};
  mix.min_keys = 3;
  std::vector<drafted_request> out;
  std::vector<std::vector<token_id>> prompts;
  auto questions = world::make_questions(w, s, seed, mix, count);
  for (auto& q : questions) {
    auto e = make_example(words, w, q.ask);
    e.ids.resize(e.answer);
    prompts.push_back(std::move(e.ids));
  }
  auto answers = greedy_answers(whole, prompts, {.stop = {world::vocabulary::eos}});
  for (std::size_t i = 0; i < questions.size(); ++i) {
    auto roles = roles_of(world::answer_of(w, questions[i].ask), answers[i].size());
    out.push_back({std::move(prompts[i]), std::move(answers[i]), std::move(roles)});
  }
  return out;
}

world::rate agreement(shard& device, shard& whole, std::span<const example> examples) {
  world::rate out;
  for (auto& e : examples) {
    auto drafted = choices_of(device, e.ids), own = choices_of(whole, e.ids);
    for (auto at = e.answer - 1; at + 1 < e.ids.size(); ++at) {
      ++out.asked;
      out.right += drafted[at].id == own[at].id ? 1 : 0;
    }
  }
  return out;
}

} // namespace virga::models::train
