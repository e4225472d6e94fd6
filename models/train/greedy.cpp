#include "models/train/greedy.hpp"

#include <algorithm>

namespace virga::models::train {

namespace {

struct running {
  sequence seq{};
  std::vector<token_id> feed;    ///< what goes in next
  std::vector<token_id> answer;
  std::uint64_t most = 0;        ///< tokens of the answer
  std::uint64_t base = 0;
  bool done = false;
};

running begin(shard& whole, const std::vector<token_id>& prompt, const greedy_options& how) {
  auto room = whole.info().max_positions - prompt.size();
  return {whole.open(), prompt, {}, std::min<std::uint64_t>(how.most_tokens, room), 0, false};
}

segment next_of(const shard& whole, const running& r) {
  segment s;
  s.seq = r.seq;
  s.last_stage = static_cast<std::uint32_t>(whole.info().stages.size() - 1);
  s.base = r.base;
  s.tokens = r.feed;
  s.want.tokens = rows_wanted::last;
  return s;
}

void take(running& r, token_id id, const greedy_options& how) {
  r.base += r.feed.size();
  r.feed = {id};
  r.answer.push_back(id);
  r.done = r.answer.size() >= r.most || std::find(how.stop.begin(), how.stop.end(), id) != how.stop.end();
}

/// Steps all until each is done.
void finish(shard& whole, std::vector<running>& all, const greedy_options& how) {
  for (;;) {
    std::vector<segment> batch;
    std::vector<running*> members;
    for (auto& r : all)
      if (!r.done) {
        batch.push_back(next_of(whole, r));
        members.push_back(&r);
      }
    if (batch.empty())
      return;
    auto results = whole.step(batch);
    for (std::size_t i = 0; i < members.size(); ++i)
      take(*members[i], results[i].choices.at(0).id, how);
  }
}

/// Positions that each prompt and its answer take.
std::vector<std::uint64_t> lengths(const shard& whole, std::span<const std::vector<token_id>> prompts,
                                   const greedy_options& how) {
  std::vector<std::uint64_t> out;
  for (auto& prompt : prompts)
    out.push_back(std::min<std::uint64_t>(prompt.size() + how.most_tokens, whole.info().max_positions));
  return out;
}

} // namespace

std::size_t fitting(const shard& s, std::span<const std::uint64_t> positions, std::size_t most) {
  std::uint64_t bytes = 0;
  std::size_t count = 0;
  for (; count < positions.size() && count < most; ++count)
    if (bytes += s.kv_bytes_for(positions[count]); count > 0 && bytes > s.kv_bytes_limit())
      break;
  return count;
}

std::vector<std::vector<token_id>> greedy_answers(shard& whole, std::span<const std::vector<token_id>> prompts,
                                                  const greedy_options& how, const answer_told& told) {
  std::vector<std::vector<token_id>> out;
  auto positions = lengths(whole, prompts, how);
  while (!prompts.empty()) {
    auto some = prompts.first(fitting(whole, std::span(positions).subspan(out.size()), how.at_once));
    std::vector<running> all;
    for (auto& prompt : some)
      all.push_back(begin(whole, prompt, how));
    finish(whole, all, how);
    for (auto& r : all) {
      whole.close(r.seq);
      out.push_back(std::move(r.answer));
      if (told)
        told(out.size() - 1, out.back());
    }
    prompts = prompts.subspan(some.size());
  }
  return out;
}

} // namespace virga::models::train
