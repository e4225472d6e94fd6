#include "actors/roles/pipeline.hpp"

#include "actors/answers.hpp"
#include "actors/guarded.hpp"
#include "models/wire_rows.hpp"

namespace virga {

template <class T>
void pipeline_state::begin(call<T>& c) {
  auto [at, fresh] = walks_.try_emplace(key_of(c.hdr));
  if (!fresh && at->second.from != c.from)
    return fail_to(c.reply, c.hdr, ec::unknown_session, "another peer has opened this session");
  if (!fresh) {  // a repeat of a call that is still on its way
    at->second.reply = c.reply;
    return;
  }
  at->second.hdr = c.hdr;
  at->second.reply = c.reply;
  at->second.from = c.from;
  if constexpr (std::is_same_v<T, open_session>)
    if (c.body.first_layer != options.first_layer || c.body.last_layer != options.last_layer)
      return end(at, failure{ec::model_mismatch, 0,
                             "the device leaves layers " + std::to_string(c.body.first_layer) + " to "
                               + std::to_string(c.body.last_layer) + " to the cloud, whose parts hold "
                               + std::to_string(options.first_layer) + " to " + std::to_string(options.last_layer)
                               + ": cut both from one model"});
  if constexpr (std::is_same_v<T, verify>) {
    at->second.wire = c.body.rows.type;
    auto rows = guarded([&] { return models::converted(std::move(c.body.rows), options.compute); });
    if (!rows)
      return end(at, to_failure(rows.error()));
    c.body.rows = std::move(*rows);
    // To the parts the rows are as wide as they are between them; the uplink looks as much faster.
    auto cols = c.body.rows.cols;
    auto wider = models::row_bytes(options.compute, cols) / std::max<std::uint64_t>(models::row_bytes(at->second.wire, cols), 1);
    c.body.up_bytes_per_s *= wider;
  }
  at->second.ask = std::move(c.body);
  send(at->second);
}

/// Asks the part that the walk has reached.
void pipeline_state::send(walk& w) {
  const auto& part = options.parts[w.part];
  if (auto* open = std::get_if<open_session>(&w.ask)) {
    auto body = *open;
    body.first_layer = part.first_layer;
    body.last_layer = part.last_layer;
    body.wire = options.compute;
    return self->send(part.at, call<open_session>{w.hdr, std::move(body), sink{self}, w.from});
  }
  auto& whole = std::get<verify>(w.ask);
  const bool last = w.part + 1 == options.parts.size();
  verify body{whole.base, last ? whole.want : rows_wanted::all, std::move(whole.rows), whole.up_bytes_per_s};
  self->send(part.at, call<verify>{w.hdr, std::move(body), sink{self}, w.from});
}

void pipeline_state::on_answer(answer& a) {
  auto at = walks_.find(key_of(a.hdr));
  if (at == walks_.end())
    return;
  const bool opens = std::holds_alternative<open_session>(at->second.ask);
  if (auto* by = std::get_if<opened>(&a.body); by && opens)
    take(at, *by);
  else if (auto* rows = std::get_if<verified>(&a.body); rows && !opens)
    take(at, *rows);
  else if (auto* why = std::get_if<failure>(&a.body))
    end(at, std::move(*why));
  else
    end(at, failure{ec::internal, 0, "a part of the model answered with something else"});
}

void pipeline_state::take(walk_map::iterator at, opened& by) {
  auto& w = at->second;
  w.length = std::min(w.length, by.length);
  w.kv_tokens = std::min(w.kv_tokens, by.kv_tokens);
  w.chunk_rows = std::max(w.chunk_rows, by.chunk_rows);
  if (!next(at))
    end(at, opened{w.length, w.kv_tokens, w.chunk_rows});
}

void pipeline_state::take(walk_map::iterator at, verified& by) {
  auto& w = at->second;
  w.times.queue_us += by.times.queue_us;
  w.times.compute_us += by.times.compute_us;
  w.batch_rows = std::max(w.batch_rows, by.batch_rows);
  w.chunk_rows = std::max(w.chunk_rows, by.chunk_rows);
  std::get<verify>(w.ask).rows = std::move(by.rows);
  if (next(at))
    return;
  auto rows = guarded([&] { return models::converted(std::move(std::get<verify>(w.ask).rows), w.wire); });
  if (rows)
    end(at, verified{by.base, std::move(*rows), w.times, w.batch_rows, w.chunk_rows});
  else
    end(at, to_failure(rows.error()));
}

/// @returns false behind the last part
bool pipeline_state::next(walk_map::iterator at) {
  if (++at->second.part == options.parts.size())
    return false;
  send(at->second);
  return true;
}

template <class Body>
void pipeline_state::end(walk_map::iterator at, Body body) {
  reply_to(at->second.reply, at->second.hdr, std::move(body));
  walks_.erase(at);
}

void pipeline_state::close(const call<close_session>& c) {
  for (const auto& part : options.parts)
    self->send(part.at, c);
}

pipeline_actor::behavior_type make_pipeline(pipeline_actor::stateful_pointer<pipeline_state> self, pipeline_options options) {
  auto& st = self->state;
  st.options = std::move(options);
  return {[&st](call<open_session>& c) { st.begin(c); },
          [&st](call<verify>& c) { st.begin(c); },
          [&st](const call<close_session>& c) { st.close(c); },
          [&st](answer& a) { st.on_answer(a); }};
}

} // namespace virga
