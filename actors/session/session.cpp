#include "actors/session/session.hpp"

#include "actors/answers.hpp"
#include "models/sampler.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

session_state::session_state(session::pointer self_ptr) : self(self_ptr) {}

void session_state::start(session_options o) {
  options_ = std::move(o);
  asker_ = asker{options_.hdr, options_.client};
  epoch_ = options_.hdr.epoch;
  auto& view = options_.source.view;
  auto& request = options_.request;
  auto now = self->clock().now();
  if (options_.hdr.deadline <= now)
    return fail(ec::deadline_exceeded, "the deadline passed before the request began");
  self->delayed_send(self, options_.hdr.deadline - now, tick_atom::value);
  if (!tokenize())
    return;
  if (prompt_.empty())
    return fail(ec::bad_request, "prompt: it is empty");
  if (prompt_.size() >= view.context)
    return fail(ec::context_exceeded,
                "prompt: " + std::to_string(prompt_.size()) + " tokens leave no room in a context of "
                  + std::to_string(view.context) + ": shorten it",
                view.context);
  auto room = static_cast<std::uint32_t>(view.context - prompt_.size());
  request.max_tokens = std::min(request.max_tokens, room);
  text_ = view.tok->stream();
  stops_ = models::stop_strings(request.stop);
  if (!adopt(request.answered))
    return;
  if (stopped_)  // only the outcome was lost
    return finish_stopped({});
  place();
}

/// What an earlier session of this request has told: said again to nobody, but all that follows depends on it.
bool session_state::adopt(const std::vector<token_id>& answered) {
  for (auto id : answered) {
    if (id >= options_.source.view.vocab) {
      fail(ec::bad_request, "answered: token " + std::to_string(id) + " is not in the model's vocabulary");
      return false;
    }
    stopped_ = stops_.push(text_->push(id)).stopped || stopped_;
  }
  emitted_ = answered;
  return true;
}

bool session_state::tokenize() {
  auto& view = options_.source.view;
  auto& request = options_.request;
  try {
    if (request.messages.empty()) {
      prompt_ = view.tok->encode(request.prompt);
    } else if (!view.chat) {
      fail(ec::unsupported, "messages: " + view.chat_error + ": send the rendered prompt to /v1/completions");
      return false;
    } else {
      auto chat = view.chat->render(request.messages);
      prompt_ = view.tok->encode(chat.text, {false, true, std::move(chat.user_text)});
    }
  } catch (const std::exception& e) {
    fail(ec::bad_request, (request.messages.empty() ? "prompt: " : "messages: ") + std::string{e.what()});
    return false;
  }
  if (auto wrong = models::complaint(request.choose, view.vocab); !wrong.empty()) {
    fail(ec::bad_request, std::move(wrong));
    return false;
  }
  return true;
}

header session_state::placement() const {
  auto hdr = options_.hdr;
  hdr.epoch = epoch_;
  return hdr;
}

void session_state::place() {
  if (ended_)
    return;
  if (emitted_.size() >= options_.request.max_tokens) {  // only the outcome was lost
    outcome end;
    end.finish = finish_reason::length;
    return finish(std::move(end));
  }
  ++attempts_;
  ++epoch_;
  placed_at_ = emitted_.size();
  waiting_ = true;
  complete work;
  work.prompt = prompt_;
  if (options_.config.planted != planted_bug::forgotten_answer)
    work.prompt.insert(work.prompt.end(), emitted_.begin(), emitted_.end());
  work.stop = options_.source.view.stop;
  work.max_tokens = options_.request.max_tokens - static_cast<std::uint32_t>(emitted_.size());
  work.choose = options_.request.choose;
  work.request_id = options_.request.request_id;
  work.answered = static_cast<std::uint32_t>(emitted_.size());
  self->send(source(), call<complete>{placement(), std::move(work), sink{self}});
}

void session_state::on_answer(answer& a) {
  if (ended_ || !waiting_ || a.hdr.epoch != epoch_)
    return;
  wire_.bytes_up += a.wire.bytes_up;
  wire_.bytes_down += a.wire.bytes_down;
  auto* end = std::get_if<outcome>(&a.body);
  auto* why = std::get_if<failure>(&a.body);
  if (stopped_ && (end || why))
    finish_stopped(end ? std::move(*end) : outcome{});
  else if (auto* piece = std::get_if<tokens>(&a.body); piece && !stopped_)
    on_tokens(*piece);
  else if (end)
    on_outcome(*end);
  else if (why)
    on_failure(*why);
}

void session_state::on_tokens(tokens& piece) {
  piece.position += placed_at_;
  if (piece.position > emitted_.size())
    return retry_or_fail({ec::stale_position, emitted_.size(), "a token was lost on the way"});
  auto known = emitted_.size() - piece.position;  // a repeat: these were emitted before
  if (known >= piece.ids.size())
    return;
  piece.ids.erase(piece.ids.begin(), piece.ids.begin() + static_cast<std::ptrdiff_t>(known));
  piece.position += known;
  if (!piece.logprobs.empty())
    piece.logprobs.erase(piece.logprobs.begin(), piece.logprobs.begin() + static_cast<std::ptrdiff_t>(known));
  retries_.progressed();
  emit(piece);
}

void session_state::emit(const tokens& piece) {
  tokens out{piece.position, {}, {}, {}, alone_};
  for (std::size_t i = 0; i < piece.ids.size(); ++i) {
    out.ids.push_back(piece.ids[i]);
    if (i < piece.logprobs.size())
      name_tokens(out.logprobs.emplace_back(piece.logprobs[i]));
    emitted_.push_back(piece.ids[i]);
    unverified_ += alone_ ? 1 : 0;
    auto shown = stops_.push(text_->push(piece.ids[i]));
    out.text += shown.text;
    stopped_ = shown.stopped;
    if (stopped_)
      break;
  }
  asker_.tell(std::move(out));
  if (stopped_)
    stop_source();
}

/// What each adds behind the token before it: many vocabularies write the space between two words with neither.
void session_state::name_tokens(token_logprobs& of) const {
  auto& tok = *options_.source.view.tok;
  std::vector<token_id> pair(emitted_.end() - (emitted_.empty() ? 0 : 1), emitted_.end());
  auto before = tok.decode(pair, false);
  pair.push_back(0);
  auto name = [&](scored_token& t) {
    if (!tok.has(t.id))
      return;
    pair.back() = t.id;
    auto both = tok.decode(pair, false);
    t.text = both.starts_with(before) ? both.substr(before.size()) : tok.decode({&t.id, 1}, false);
  };
  name(of.chosen);
  std::ranges::for_each(of.top, name);
}

/// Its asker has found it again, perhaps on another way.
void session_state::resume(call<generate>& c) {
  if (!asker_.returned(c, emitted_.size()))
    fail(ec::bad_request, "answered: it has tokens that this session never told");
}

/// A stop string was found: the text is complete. The source says where and how long it was made.
void session_state::stop_source() {
  self->send(source(), call<cancel>{placement(), cancel{}, sink{self}});
}

void session_state::finish_stopped(outcome end) {
  waiting_ = false;
  end.error = ec::none;
  end.error_text.clear();
  end.finish = finish_reason::stop;
  finish(std::move(end));
}

void session_state::on_outcome(outcome& end) {
  if (end.error != ec::none)
    return on_failure({end.error, end.error_detail, end.error_text});
  if (end.finish == finish_reason::none)
    return on_failure({ec::cancelled, 0, "the answer was cancelled"});
  finish(std::move(end));
}

void session_state::on_failure(const failure& why) {
  waiting_ = false;
  if (curable(why.code))
    return retry_or_fail(why);
  fail(why.code, why.text, why.detail);
}

void session_state::retry_or_fail(const failure& why) {
  waiting_ = false;
  if (!retries_.again(self->clock().now(), options_.config.patience, options_.hdr.deadline) && !goes_on_alone(why.code))
    return fail(why.code, why.text, why.detail);
  spdlog::info("request {} session {} lost its place ({}); trying again", options_.request.request_id,
               to_string(options_.hdr.session), to_string(why.code));
  self->delayed_send(self, retry_delay, begin_atom::value);
}

/// @returns false when it did already, or nobody can
bool session_state::goes_on_alone(ec why) {
  if (alone_ || !options_.source.alone)
    return false;
  spdlog::warn("request {} session {} goes on without the cloud ({}) after {} tokens: what follows is unverified",
               options_.request.request_id, to_string(options_.hdr.session), to_string(why), emitted_.size());
  release();
  alone_ = true;
  return true;
}

void session_state::on_deadline() {
  if (!ended_ && stopped_)
    finish_stopped({});
  else if (!ended_)
    fail(ec::deadline_exceeded, "the deadline passed after " + std::to_string(emitted_.size()) + " tokens");
}

void session_state::on_cancel() {
  if (!ended_)
    fail(ec::cancelled, "the client went away");
}

void session_state::fail(ec code, std::string text, std::uint64_t detail) {
  outcome end;
  end.error = code;
  end.error_text = std::move(text);
  end.error_detail = detail;
  finish(std::move(end));
}

void session_state::release() {
  if (attempts_ > 0)
    self->send(source(), call<cancel>{placement(), cancel{}, sink{self}});
  waiting_ = false;
}

void session_state::finish_text(outcome& end) {
  auto last = stops_.push(text_->finish());
  if (last.stopped)
    end.finish = finish_reason::stop;
  if (auto rest = last.text + stops_.finish(); !rest.empty())
    asker_.tell({emitted_.size(), {}, std::move(rest), {}, alone_});
}

void session_state::finish(outcome end) {
  if (end.error != ec::none)
    release();
  ended_ = options_.config.planted != planted_bug::second_end;
  if (text_ && end.error == ec::none)
    finish_text(end);
  end.how = options_.request.how;
  end.attempts = attempts_;
  end.prompt_tokens = static_cast<std::uint32_t>(prompt_.size());
  end.completion_tokens = static_cast<std::uint32_t>(emitted_.size());
  end.bytes_up = wire_.bytes_up;
  end.bytes_down = wire_.bytes_down;
  end.unverified_tokens = unverified_;
  spdlog::info("request {} session {} ended: {}, {} tokens, {} placements", options_.request.request_id,
               to_string(options_.hdr.session), to_string(end.error), end.completion_tokens, attempts_);
  asker_.end(std::move(end));
  if (ended_)
    self->quit();
}

session::behavior_type make_session(session::stateful_pointer<session_state> self, session_options options) {
  auto& st = self->state;
  st.start(std::move(options));
  return {[&st](answer& a) { st.on_answer(a); },
          [&st](begin_atom) { st.place(); },
          [&st](tick_atom) { st.on_deadline(); },
          [&st](call<cancel>&) { st.on_cancel(); },
          [&st](call<generate>& c) { st.resume(c); }};
}

} // namespace virga
