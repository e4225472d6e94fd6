#include "actors/roles/verifier.hpp"

#include "actors/answers.hpp"
#include "actors/guarded.hpp"
#include "actors/roles/draft.hpp"
#include "models/wire_rows.hpp"

#include <spdlog/spdlog.h>

namespace virga {

namespace {

constexpr auto sweep = std::chrono::seconds(1);

template <class T>
std::string text_of(const T& value) {
  if constexpr (std::is_arithmetic_v<T>)
    return std::to_string(value);
  else
    return std::string{value};
}

/// "<what>: the device has A, the cloud has B", when they differ.
template <class T>
std::optional<failure> differs(const char* what, const T& device, const T& cloud) {
  if (device == cloud)
    return std::nullopt;
  return failure{ec::model_mismatch, 0,
                 std::string{what} + ": the device has " + text_of(device) + ", the cloud has " + text_of(cloud)
                   + ": cut both from one model"};
}

} // namespace

verifier_state::verifier_state(verifier_actor::pointer self_ptr) : self(self_ptr) {}

std::optional<failure> verifier_state::mismatch(const open_session& asked) const {
  auto& mine = options.config;
  if (auto f = differs("model digest", asked.model_digest, mine.model_digest))
    return f;
  if (auto f = differs("first layer of the cloud", asked.first_layer, mine.first_layer))
    return f;
  if (auto f = differs("last layer of the cloud", asked.last_layer, mine.last_layer))
    return f;
  if (auto f = differs("hidden size", asked.hidden, mine.hidden))
    return f;
  if (!can_travel_as(asked.wire))
    return differs("dtype of the wire", to_string(asked.wire), to_string(mine.compute));
  return std::nullopt;
}

/// Rows travel as they are computed or narrower: a wider dtype means that the device computes in another one.
bool verifier_state::can_travel_as(dtype wire) const {
  return wire == options.config.compute || (wire != dtype::f64 && wire != dtype::f32)
         || (wire == dtype::f32 && options.config.compute == dtype::f64);
}

void verifier_state::open(call<open_session>& c) {
  if (auto f = mismatch(c.body))
    return reply_to(c.reply, c.hdr, std::move(*f));
  if (is_foreign(c.hdr.session, c.from))
    return fail_to(c.reply, c.hdr, ec::unknown_session, "another peer has opened this session");
  auto it = sessions_.find(c.hdr.session);
  if (it != sessions_.end() && it->second.hdr.epoch > c.hdr.epoch)
    return fail_to(c.reply, c.hdr, ec::stale_epoch, "a newer placement of the session is open", it->second.hdr.epoch);
  if (it == sessions_.end() && sessions_.size() >= options.max_sessions)
    return fail_to(c.reply, c.hdr, ec::queue_full, "the verifier holds as many sessions as it may", 1000);
  if (it != sessions_.end())
    for (auto& [unit, r] : it->second.running) {
      auto old = it->second.hdr;
      old.unit = unit;
      fail_to(r.reply, old, ec::stale_epoch, "a newer placement of the session was opened", c.hdr.epoch);
    }
  // A newer placement keeps the sequence: its first verify rolls the cache back to the base it names.
  auto length = it == sessions_.end() ? 0 : it->second.length;
  spdlog::info("request {} session {} placement {} opened at {}", c.body.request_id, to_string(c.hdr.session), c.hdr.epoch,
               options.node);
  auto opened_as = it == sessions_.end() ? ++last_opened_ : it->second.opened_as;
  sessions_[c.hdr.session] = held{c.hdr, {}, {}, length, c.from, c.body.wire, opened_as, c.body.prompt_tokens};
  schedule();
  reply_to(c.reply, c.hdr,
           opened{length, std::uint64_t{c.body.prompt_tokens} + c.body.max_tokens,
                  monitor_.suggest(models::row_bytes(c.body.wire, c.body.hidden), c.body.up_bytes_per_s, c.body.prompt_tokens)});
}

bool verifier_state::is_foreign(const session_id& id, const std::string& from) const {
  auto it = sessions_.find(id);
  return it != sessions_.end() && it->second.from != from;
}

void verifier_state::close(const header& hdr, const std::string& from) {
  auto it = sessions_.find(hdr.session);
  if (it == sessions_.end() || it->second.hdr.epoch > hdr.epoch || it->second.from != from)
    return;
  auto of_engine = hdr;
  of_engine.incarnation = options.incarnation;
  spdlog::info("session {} closed at {}", to_string(hdr.session), options.node);
  self->send(model, call<close_session>{of_engine, close_session{}, sink{self}});
  sessions_.erase(it);
  wake_waiting();
}

void verifier_state::schedule() {
  if (!ticking_) {
    ticking_ = true;
    self->delayed_send(self, sweep, tick_atom::value);
  }
}

void verifier_state::expire() {
  ticking_ = false;
  auto now = self->clock().now();
  std::vector<std::pair<header, std::string>> gone;
  for (auto& [id, h] : sessions_)
    if (h.hdr.deadline < now)
      gone.emplace_back(h.hdr, h.from);
  for (auto& [hdr, from] : gone)
    close(hdr, from);
  if (!sessions_.empty())
    schedule();
}

verifier_actor::behavior_type make_verifier(verifier_actor::stateful_pointer<verifier_state> self,
                                            verifier_options options, engine model) {
  auto& st = self->state;
  st.options = std::move(options);
  st.model = std::move(model);
  st.start();
  return {[&st](call<open_session>& c) { st.open(c); },
          [&st](call<verify>& c) { st.run(c); },
          [&st](call<close_session>& c) { st.close(c.hdr, c.from); },
          [&st](answer& a) { st.on_answer(a); },
          [&st](tick_atom) { st.expire(); }};
}

} // namespace virga
