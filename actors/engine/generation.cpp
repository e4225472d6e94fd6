#include "actors/engine/generation.hpp"

#include "messages/type_ids.hpp"

#include <algorithm>

namespace virga {

generation::generation(engine_run ask, limits bounds) : ask_(std::move(ask)), bounds_(bounds) {
  const std::uint64_t room = bounds_.context > ask_.prompt.size() ? bounds_.context - ask_.prompt.size() : 0;
  budget_ = std::min<std::uint64_t>(ask_.max_tokens, room);
  if (ask_.choose.looks_back())
    seen_ = ask_.prompt;
}

caf::error generation::refusal() const {
  if (ask_.prompt.empty())
    return make_error(ec::bad_request, "the prompt has no tokens; give at least one");
  if (ask_.prompt.size() >= bounds_.context)
    return make_error(ec::context_exceeded,
                      "the prompt has " + std::to_string(ask_.prompt.size()) + " tokens and the model's context "
                        + std::to_string(bounds_.context) + " positions: shorten the prompt",
                      bounds_.context);
  return {};
}

std::size_t generation::chunk() const {
  return std::min<std::size_t>(ask_.prompt.size() - done_, std::max<std::uint32_t>(bounds_.prefill_rows, 1));
}

models::segment generation::next() const {
  models::segment s;
  s.last_stage = bounds_.stages - 1;
  s.base = done_;
  s.want.choose = ask_.choose;
  if (prefilling()) {
    const auto from = ask_.prompt.begin() + static_cast<std::ptrdiff_t>(done_);
    s.tokens.assign(from, from + static_cast<std::ptrdiff_t>(chunk()));
  } else {
    s.tokens = {last_};
  }
  if (s.base + s.tokens.size() >= ask_.prompt.size()) {
    s.want.tokens = rows_wanted::last;
    s.want.top_n = ask_.choose.top_logprobs;
    s.want.context = seen_;
    s.want.prompt_tokens = static_cast<std::uint32_t>(ask_.prompt.size()) - ask_.answered;
  }
  return s;
}

generation::progress generation::take(const models::segment_result& result) {
  done_ += prefilling() ? chunk() : 1;
  if (prefilling() || result.choices.empty())
    return {};
  last_ = result.choices.back().id;
  if (std::ranges::find(ask_.stop, last_) != ask_.stop.end())
    return {std::nullopt, finish_reason::stop};
  if (ask_.choose.looks_back())
    seen_.push_back(last_);
  tokens piece{emitted_++, {last_}, {}};
  if (ask_.choose.logprobs)
    piece.logprobs.push_back(models::logprobs_of(result.choices.back()));
  return {std::move(piece), emitted_ == budget_ ? finish_reason::length : finish_reason::none};
}

} // namespace virga
