#include "actors/roles/device_session.hpp"

#include <algorithm>

namespace virga {

namespace {

constexpr std::uint64_t least_halved = 16;  // positions: fewer cost the cloud about as much

} // namespace

device_session::device_session(complete work, draft_config how, layout stages)
  : work_(std::move(work)), how_(how), stages_(stages) {}

// -- caches ------------------------------------------------------------------------------------------------------------

void device_session::take_over(const device_session& older) {
  auto differ = std::ranges::mismatch(work_.prompt, older.work_.prompt).in1;
  fed_ = std::min(older.fed_, static_cast<std::uint64_t>(differ - work_.prompt.begin()));
  bridge_ = older.bridge_;
  main_ = older.main_;
  last_branch_ = older.last_branch_;
  drop_ = older.drop_;
  for (auto& [branch, g] : older.guesses_)
    drop_.push_back(branch);
}

device_session::actions device_session::begin(std::uint64_t cloud_length) {
  // The last committed position always goes through: its row gives the next token.
  fed_ = std::min({fed_, cloud_length, length() - 1});
  if (drafting())
    fed_ = std::min(fed_, bridge_);
  input_ = fed_;
  crop(fed_);
  actions out;
  next_chunk(out);
  return out;
}

/// What the bridge has seen, and what it still has to see, ends before position `length`.
void device_session::crop(std::uint64_t length) {
  bridge_ = std::min(bridge_, length);
  auto late = static_cast<std::uint32_t>(std::min<std::uint64_t>(lag_.rows, length - bridge_));
  lag_ = late > 0 ? some_rows(lag_, 0, late) : tensor{};
}

// -- the prompt --------------------------------------------------------------------------------------------------------

/// @param left of the prompt. Behind its last chunk the first token waits for the cloud alone: where chunks are less than the
/// prompt that one goes in halves.
std::uint64_t device_session::next_chunk_rows(std::uint64_t left) const {
  const auto most = std::max<std::uint64_t>(plan_.chunk_rows, 1);
  const bool halves = how_.chunk_rows == 0 && most < length() && left > least_halved;
  return left > most ? most : halves ? (left + 1) / 2 : left;
}

void device_session::next_chunk(actions& out) {
  if (input_waits_ || input_ >= length() || in_flight_ >= std::max(how_.chunks_in_flight, 1u))
    return;
  auto count = next_chunk_rows(length() - input_);
  auto step = device_step(0, stages_.input_last, input_);
  auto from = work_.prompt.begin() + static_cast<std::ptrdiff_t>(input_);
  step.tokens.assign(from, from + static_cast<std::ptrdiff_t>(count));
  step.want.rows = rows_wanted::all;
  input_waits_ = true;
  ask_device(out, {kind::input, 0, static_cast<std::uint32_t>(count)}, std::move(step));
}

void device_session::on_input(actions& out, const device_ticket& t, tensor rows) {
  auto base = input_;
  input_ += t.count;
  input_waits_ = false;
  ++in_flight_;
  bool ends = input_ == length();
  if (drafting())
    append_rows(lag_, rows);
  if (ends) {  // the last position is a round without drafts
    current_.emplace(main_, length() - 1, work_.prompt.back(), draft_end{});
    current_->on_step(some_rows(rows, rows.rows - 1, 1), nullptr);
    verified_ = false;
  }
  round_ = ask_cloud(out, {t.count, ends ? rows_wanted::last : rows_wanted::none}, base, std::move(rows));
  next_chunk(out);  // before the bridge: the cloud waits for it
  if (drafting() && lag_.rows >= lag_rows)
    run_bridge(out, false);  // no guesses yet: the first token waits for nothing
}

/// The rows that the bridge has not seen yet. Through the head as well: what it says of the last one are guesses.
void device_session::run_bridge(actions& out, bool through_head) {
  if (lag_.rows == 0)
    return;
  auto step = device_step(stages_.input_last + 1, through_head ? stages_.head : stages_.head - 1, bridge_);
  bridge_ += lag_.rows;
  step.rows = std::exchange(lag_, {});
  if (through_head) {
    step.want.tokens = rows_wanted::last;
    step.want.alternatives = how_.bonus_guesses > 0 ? how_.bonus_guesses - 1 : 0;
    choose_behind(step.want, std::span(current_->tokens()).subspan(1));
  }
  ask_device(out, {kind::bridge, 0, 0}, std::move(step));
}

/// The head chooses behind everything committed and these.
void device_session::choose_behind(models::wants& want, std::span<const token_id> more) const {
  want.choose = work_.choose;
  if (!work_.choose.looks_back())
    return;
  want.context = work_.prompt;
  want.context.insert(want.context.end(), more.begin(), more.end());
  want.prompt_tokens = prompt_tokens() - work_.answered;
}

// -- asking and hearing ------------------------------------------------------------------------------------------------

engine_step device_session::device_step(std::uint32_t first, std::uint32_t last, std::uint64_t base) {
  engine_step step;
  step.first_stage = first;
  step.last_stage = last;
  step.base = base;
  step.branch = main_;
  return step;
}

void device_session::ask_device(actions& out, device_ticket t, engine_step step) {
  step.drop = std::exchange(drop_, {});
  device_[++last_ticket_] = t;
  const bool drafts = t.what == kind::draft_step, input_alone = drafts && step.last_stage == stages_.input_last;
  out.device.push_back({last_ticket_, std::move(step), drafts, input_alone});
}

std::uint32_t device_session::ask_cloud(actions& out, cloud_ticket t, std::uint64_t base, tensor rows) {
  cloud_[++last_ticket_] = t;
  out.cloud.push_back({last_ticket_, verify{base, t.want, std::move(rows)}, t.branch != 0});
  return last_ticket_;
}

std::uint32_t device_session::rows_expected(std::uint32_t ticket) const {
  auto it = cloud_.find(ticket);
  if (it == cloud_.end() || it->second.want == rows_wanted::none)
    return 0;
  return it->second.want == rows_wanted::last ? 1 : it->second.count;
}

bool device_session::ahead(std::uint32_t ticket) const {
  auto it = cloud_.find(ticket);
  return it != cloud_.end() && guesses_.contains(it->second.branch);
}

device_session::actions device_session::on_device(std::uint32_t ticket, models::segment_result& result) {
  actions out;
  auto it = device_.find(ticket);
  if (it == device_.end())
    return out;
  auto t = it->second;
  device_.erase(it);
  switch (t.what) {
    case kind::input: on_input(out, t, std::move(result.rows)); break;
    case kind::bridge:
      if (!result.choices.empty())
        guess_bonus(out, result.choices.front());
      break;
    case kind::draft_step: on_draft_step(out, result); break;
    case kind::guess_step: on_guess_step(out, t.branch, result); break;
    case kind::head: on_choices(out, result.choices); break;
  }
  return out;
}

device_session::actions device_session::on_cloud(std::uint32_t ticket, tensor rows) {
  actions out;
  auto it = cloud_.find(ticket);
  if (it == cloud_.end())
    return out;
  auto t = it->second;
  cloud_.erase(it);
  if (auto g = guesses_.find(t.branch); g != guesses_.end()) {  // it came before the round that it bets on was judged
    g->second.deep = std::move(rows);
    return out;
  }
  if (in_flight_ > 0) {  // a chunk of the prompt
    --in_flight_;
    fed_ += t.count;
  }
  if (t.want == rows_wanted::none)
    next_chunk(out);
  else
    run_head(out, std::move(rows));
  return out;
}

} // namespace virga
