// The rounds of a device session: drafts, the cloud's verdict on them, and guesses at how the next round begins.
#include "actors/roles/device_session.hpp"

#include <algorithm>

namespace virga {

namespace {

bool is_stop(const std::vector<token_id>& stop, token_id id) { return std::ranges::find(stop, id) != stop.end(); }

} // namespace

// -- drafting ----------------------------------------------------------------------------------------------------------

/// How far a line may go whose first token stands at `position` when `emitted` tokens are out, that one included.
draft_end device_session::end_for(std::uint64_t position, std::uint32_t emitted) const {
  auto left = work_.max_tokens > emitted ? work_.max_tokens - emitted : 0;  // of which the round itself gives one
  auto room = stages_.context > position + 1 ? stages_.context - position - 1 : 0;
  auto most = std::min<std::uint64_t>({std::min(plan_.most, how_.most), left > 0 ? left - 1 : 0, room});
  return {how_.unsure_below, drafting() ? static_cast<std::uint32_t>(most) : 0, work_.stop};
}

/// The current line's next step, or the round when it is complete.
void device_session::draft_on(actions& out) {
  if (!current_->next())
    return send_round(out);
  if (current_->next()->through_head && lag_.rows > 0)
    run_bridge(out, false);
  ask_device(out, {kind::draft_step, 0, 0}, step_of(*current_, std::span(current_->tokens()).subspan(1)));
}

/// @param behind the tokens behind those committed, up to the line's last one
engine_step device_session::step_of(const draft& line, std::span<const token_id> behind) {
  auto next = *line.next();
  auto step = device_step(0, next.through_head ? stages_.head : stages_.input_last, next.position);
  step.branch = line.branch();
  step.tokens = {next.id};
  step.want.rows = rows_wanted::all;
  step.want.rows_stage = stages_.input_last;
  if (!next.through_head)
    return step;
  step.want.tokens = rows_wanted::last;
  step.want.alternatives = how_.last_guesses;
  choose_behind(step.want, behind);
  return step;
}

void device_session::on_draft_step(actions& out, models::segment_result& result) {
  current_->on_step(result.rows, result.choices.empty() ? nullptr : &result.choices.front());
  draft_on(out);
}

void device_session::send_round(actions& out) {
  auto& d = *current_;
  verified_ = false;
  round_ = ask_cloud(out, {d.drafted() + 1, d.drafted() > 0 ? rows_wanted::all : rows_wanted::last}, d.base(), d.rows());
  if (drafting())
    while_waiting(out);
}

/// What the device does between a round and its answer.
void device_session::while_waiting(actions& out) {
  auto& d = *current_;
  if (d.drafted() > 0) {
    bridge_ = d.bridged();
    lag_ = {};
  }
  append_rows(lag_, some_rows(d.rows(), d.drafted(), 1));
  if (plan_.hidden_steps > 0 && !verified_) {
    guess_last(out);
    if (!d.ends_answer())
      run_bridge(out, how_.bonus_guesses > 0);
  } else if (lag_.rows >= lag_rows) {
    run_bridge(out, false);
  }
}

// -- guesses -----------------------------------------------------------------------------------------------------------

/// The round after this one, before this one's answer: right when every draft stands and the bonus is the guess.
void device_session::send_ahead(actions& out, guess_line& g) {
  g.ticket = ask_cloud(out, {g.line.drafted() + 1, rows_wanted::all, g.line.branch()}, g.line.base(), g.line.rows());
}

/// The last draft is wrong, and this stands in its place: worth a step where the device was unsure of it.
void device_session::guess_last(actions& out) {
  auto& d = *current_;
  if (!d.unsure())
    return;
  for (auto id : d.alternatives())
    if (d.drafted() > 0)
      add_guess(out, draft_source::last_guess, d.drafted() - 1, id);
}

/// All drafts are right, and this comes behind them; something else only where the device is unsure of it.
/// @param chosen the bridge's view of the last draft
void device_session::guess_bonus(actions& out, const models::choice& chosen) {
  if (verified_)
    return;
  auto accepted = current_->drafted();
  add_guess(out, draft_source::bonus_guess, accepted, chosen.id, true);
  if (chosen.confidence < how_.unsure_below)
    for (auto id : chosen.alternatives)
      add_guess(out, draft_source::bonus_guess, accepted, id);
}

void device_session::add_guess(actions& out, draft_source reading, std::uint32_t accepted, token_id first, bool likeliest) {
  auto position = current_->base() + accepted + 1;
  auto emitted = emitted_ + accepted + 1;
  if (is_stop(work_.stop, first) || emitted >= work_.max_tokens || position >= stages_.context)
    return;
  auto branch = ++last_branch_;
  auto& g = guesses_.try_emplace(branch, guess_line{{branch, position, first, end_for(position, emitted)},
                                                    {current_->branch(), position}, accepted, reading})
              .first->second;
  g.likeliest = likeliest;
  step_guess(out, g);
}

void device_session::step_guess(actions& out, guess_line& g) {
  if (g.steps >= plan_.hidden_steps || plan_.due || !g.line.next())
    return;
  auto drafts = std::span(current_->tokens()).subspan(1, g.accepted);
  std::vector<token_id> behind(drafts.begin(), drafts.end());
  behind.insert(behind.end(), g.line.tokens().begin(), g.line.tokens().end());
  auto step = step_of(g.line, behind);
  if (g.steps++ == 0)
    step.from = g.from;
  g.waits = true;
  ask_device(out, {kind::guess_step, g.line.branch(), 0}, std::move(step));
}

void device_session::on_guess_step(actions& out, std::uint32_t branch, models::segment_result& result) {
  auto* chosen = result.choices.empty() ? nullptr : &result.choices.front();
  if (current_ && current_->branch() == branch) {  // it has come true meanwhile
    current_->on_step(result.rows, chosen);
    return draft_on(out);
  }
  auto it = guesses_.find(branch);
  if (it == guesses_.end())
    return;
  auto& g = it->second;
  g.line.on_step(result.rows, chosen);
  g.waits = false;
  if (verified_)
    return;
  if (g.line.next())
    step_guess(out, g);
  else if (g.likeliest && plan_.ahead && g.line.drafted() > 0)
    send_ahead(out, g);
}

// -- the verdict -------------------------------------------------------------------------------------------------------

/// The head over the cloud's rows: what the whole model says behind each token of the round.
void device_session::run_head(actions& out, tensor rows) {
  verified_ = true;
  auto& d = *current_;
  auto step = device_step(stages_.head, stages_.head, d.base());
  step.rows = std::move(rows);
  step.want.tokens = rows_wanted::all;
  step.want.top_n = work_.choose.top_logprobs;
  choose_behind(step.want, std::span(d.tokens()).subspan(1));
  ask_device(out, {kind::head, 0, 0}, std::move(step));
}

void device_session::on_choices(actions& out, const std::vector<models::choice>& choices) {
  auto drafted = std::span(current_->tokens()).subspan(1);
  std::uint32_t accepted = 0;
  while (accepted < drafted.size() && drafted[accepted] == choices[accepted].id)
    ++accepted;
  out.round = draft_round{static_cast<std::uint16_t>(drafted.size()), static_cast<std::uint16_t>(accepted), source_};
  emit(out, choices, accepted);
  if (out.finish == finish_reason::none)
    next_round(out, accepted, choices[accepted].id);
}

void device_session::emit(actions& out, const std::vector<models::choice>& choices, std::uint32_t accepted) {
  tokens piece{emitted_, {}, {}};
  for (std::uint32_t i = 0; i <= accepted && out.finish == finish_reason::none; ++i) {
    if (is_stop(work_.stop, choices[i].id)) {
      out.finish = finish_reason::stop;
      break;
    }
    piece.ids.push_back(choices[i].id);
    if (work_.choose.logprobs)
      piece.logprobs.push_back(models::logprobs_of(choices[i]));
    work_.prompt.push_back(choices[i].id);
    if (++emitted_ >= work_.max_tokens)
      out.finish = finish_reason::length;
  }
  if (!piece.ids.empty())
    out.piece = std::move(piece);
}

void device_session::next_round(actions& out, std::uint32_t accepted, token_id pending) {
  fed_ = input_ = length() - 1;
  auto true_one = std::ranges::find_if(guesses_, [&](auto& entry) {
    auto& line = entry.second.line;
    return entry.second.accepted == accepted && line.tokens().front() == pending && line.rows().rows > 0;
  });
  if (true_one == guesses_.end()) {
    source_ = draft_source::fresh;
    forget_guesses(main_);
    crop(fed_);
    current_.emplace(main_, fed_, pending, end_for(fed_, emitted_));
    return draft_on(out);
  }
  auto g = std::move(true_one->second);
  guesses_.erase(true_one);
  source_ = g.reading;
  adopt(out, std::move(g));
}

/// The guess becomes the current line, and its branch the session's history.
void device_session::adopt(actions& out, guess_line g) {
  forget_guesses(g.line.branch());
  drop_.push_back(std::exchange(main_, g.line.branch()));
  bridge_ = g.line.bridged();
  lag_ = {};
  current_.emplace(std::move(g.line));
  if (g.waits)
    return;
  if (g.ticket == 0)
    return draft_on(out);
  verified_ = false;
  round_ = g.ticket;
  if (g.deep)
    run_head(out, std::move(*g.deep));
  while_waiting(out);
}

void device_session::forget_guesses(std::uint32_t kept) {
  for (auto& [branch, g] : guesses_)
    drop_.push_back(branch);
  guesses_.clear();
  std::erase_if(device_, [&](auto& entry) {
    return entry.second.what == kind::bridge || (entry.second.what == kind::guess_step && entry.second.branch != kept);
  });
  std::erase_if(cloud_, [&](auto& entry) { return entry.second.branch != 0 && entry.second.branch != kept; });
}

} // namespace virga
