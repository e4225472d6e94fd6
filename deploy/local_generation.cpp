#include "deploy/local_generation.hpp"

#include "deploy/local_model.hpp"
#include "models/stop_strings.hpp"

#include <algorithm>
#include <chrono>

namespace virga::deploy {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Tokens to text, stop strings taken out.
class answer_text {
public:
  answer_text(const models::tokenizer* tok, const std::vector<std::string>& stops,
              const std::function<void(const std::string&)>& show)
      : stops_(stops), show_(show) {
    if (tok)
      stream_ = tok->stream();
  }

  /// @returns whether a stop string was found
  bool push(token_id id) { return stream_ && take(stream_->push(id)); }

  std::string finish() {
    if (stream_ && !take(stream_->finish()))
      emit(stops_.finish());
    return std::move(text_);
  }

private:
  bool take(const std::string& piece) {
    auto next = stops_.push(piece);
    emit(next.text);
    return stopped_ = stopped_ || next.stopped;
  }
  void emit(const std::string& piece) {
    text_ += piece;
    if (show_ && !piece.empty())
      show_(piece);
  }

  std::unique_ptr<models::text_stream> stream_;
  models::stop_strings stops_;
  const std::function<void(const std::string&)>& show_;
  std::string text_;
  bool stopped_ = false;
};

/// The one sequence of this process.
class sequence_feed {
public:
  sequence_feed(models::shard& shard, const local_request& r) : shard_(shard), request_(r), seq_(shard.open()) {
    if (r.choose.looks_back())
      seen_ = r.prompt;
  }
  ~sequence_feed() { shard_.close(seq_); }
  sequence_feed(const sequence_feed&) = delete;
  sequence_feed& operator=(const sequence_feed&) = delete;

  models::choice prefill() {
    auto& p = request_.prompt;
    std::size_t at = 0;
    for (; p.size() - at > prefill_rows; at += prefill_rows)
      step({p.begin() + static_cast<std::ptrdiff_t>(at), p.begin() + static_cast<std::ptrdiff_t>(at + prefill_rows)}, false);
    return step({p.begin() + static_cast<std::ptrdiff_t>(at), p.end()}, true);
  }

  models::choice next(token_id id) {
    if (request_.choose.looks_back())
      seen_.push_back(id);
    return step({id}, true);
  }

private:
  models::choice step(std::vector<token_id> ids, bool choose) {
    models::segment s;
    s.seq = seq_;
    s.last_stage = static_cast<std::uint32_t>(shard_.info().stages.size() - 1);
    s.base = base_;
    base_ += ids.size();
    s.tokens = std::move(ids);
    if (choose) {
      s.want.tokens = rows_wanted::last;
      s.want.choose = request_.choose;
      s.want.top_n = request_.logprobs;
      s.want.context = seen_;
      s.want.prompt_tokens = static_cast<std::uint32_t>(request_.prompt.size());
    }
    auto result = shard_.step(std::span(&s, 1));
    return choose ? std::move(result.at(0).choices.at(0)) : models::choice{};
  }

  models::shard& shard_;
  const local_request& request_;
  models::sequence seq_;
  std::uint64_t base_ = 0;
  std::vector<token_id> seen_;
};

} // namespace

local_answer generate(models::shard& shard, const models::tokenizer* tok, const local_request& r,
                      const std::function<void(const std::string&)>& show) {
  local_answer a;
  answer_text text(tok, r.stop, show);
  sequence_feed feed(shard, r);
  auto limit = std::min<std::uint64_t>(r.max_tokens, shard.info().max_positions - r.prompt.size());
  auto start = std::chrono::steady_clock::now();
  auto c = feed.prefill();
  a.prefill_seconds = seconds_since(start);
  start = std::chrono::steady_clock::now();
  while (a.finish == finish_reason::length && a.ids.size() < limit) {
    auto id = c.id;
    if (std::find(r.stop_ids.begin(), r.stop_ids.end(), id) != r.stop_ids.end()) {
      a.finish = finish_reason::stop;
      break;
    }
    a.ids.push_back(id);
    a.choices.push_back(std::move(c));
    if (text.push(id))
      a.finish = finish_reason::stop;
    else if (a.ids.size() < limit)
      c = feed.next(id);
  }
  a.decode_seconds = seconds_since(start);
  a.text = text.finish();
  return a;
}

} // namespace virga::deploy
