#include "actors/roles/pipeline.hpp"

#include "actors/answers.hpp"
#include "actors/guarded.hpp"
#include "actors/roles/draft.hpp"
#include "models/wire_rows.hpp"

#include <algorithm>

namespace virga {

namespace {

/// Of a call. A session has fewer calls than units divided by this.
constexpr std::uint32_t pieces_most = 64;

} // namespace

template <class T>
void pipeline_state::begin(call<T>& c) {
  auto [at, fresh] = asked_.try_emplace(key_of(c.hdr));
  auto& a = at->second;
  if (!fresh && a.from != c.from)
    return fail_to(c.reply, c.hdr, ec::unknown_session, "another peer has opened this session");
  a.reply = c.reply;
  if (!fresh)  // a repeat of a call that is still on its way
    return;
  a.hdr = c.hdr;
  a.from = c.from;
  if (auto no = prepare(a, c.body))
    return end(at->first, std::move(*no));
  set_out(a, std::move(c.body));
}

std::optional<failure> pipeline_state::prepare(asked&, open_session& body) const {
  if (body.first_layer == options.first_layer && body.last_layer == options.last_layer)
    return std::nullopt;
  return failure{ec::model_mismatch, 0,
                 "the device leaves layers " + std::to_string(body.first_layer) + " to " + std::to_string(body.last_layer)
                   + " to the cloud, whose parts hold " + std::to_string(options.first_layer) + " to "
                   + std::to_string(options.last_layer) + ": cut both from one model"};
}

std::optional<failure> pipeline_state::prepare(asked& a, verify& body) const {
  a.base = body.base;
  a.wire = body.rows.type;
  auto rows = guarded([&] { return models::converted(std::move(body.rows), options.compute); });
  if (!rows)
    return to_failure(rows.error());
  body.rows = std::move(*rows);
  // To the parts the rows are as wide as they are between them; the uplink looks as much faster.
  auto cols = body.rows.cols;
  body.up_bytes_per_s *= models::row_bytes(options.compute, cols) / std::max<std::uint64_t>(models::row_bytes(a.wire, cols), 1);
  return std::nullopt;
}

void pipeline_state::set_out(asked& a, open_session&& body) { send_piece(a, std::move(body)); }

void pipeline_state::set_out(asked& a, verify&& body) {
  const auto rows = body.rows.rows;
  const auto most = options.chunk_rows == 0 ? rows : std::max(options.chunk_rows, (rows + pieces_most - 1) / pieces_most);
  if (rows <= most)
    return send_piece(a, std::move(body));
  for (auto& piece : in_pieces(body, most))
    send_piece(a, std::move(piece));
}

/// The unit of a piece follows from its call's: a repeat of the call is one of the same pieces.
void pipeline_state::send_piece(asked& a, std::variant<open_session, verify> piece) {
  walk w{a.hdr, key_of(a.hdr), std::move(piece)};
  w.hdr.unit = a.hdr.unit * pieces_most + a.pieces++;
  send(walks_.insert_or_assign(key_of(w.hdr), std::move(w)).first->second, a.from);
}

/// Asks the part that the walk has reached.
void pipeline_state::send(walk& w, const std::string& from) {
  const auto& part = options.parts[w.part];
  if (auto* open = std::get_if<open_session>(&w.ask)) {
    auto body = *open;
    body.first_layer = part.first_layer;
    body.last_layer = part.last_layer;
    body.wire = options.compute;
    return self->send(part.at, call<open_session>{w.hdr, std::move(body), sink{self}, from});
  }
  auto& whole = std::get<verify>(w.ask);
  const bool last = w.part + 1 == options.parts.size();
  verify body{whole.base, last ? whole.want : rows_wanted::all, std::move(whole.rows), whole.up_bytes_per_s};
  self->send(part.at, call<verify>{w.hdr, std::move(body), sink{self}, from});
}

void pipeline_state::on_answer(answer& a) {
  auto at = walks_.find(key_of(a.hdr));
  if (at == walks_.end())
    return;
  auto of = at->second.of;
  auto& call = asked_.at(of);
  const bool opens = std::holds_alternative<open_session>(at->second.ask);
  if (auto* by = std::get_if<opened>(&a.body); by && opens)
    take(at, call, *by);
  else if (auto* rows = std::get_if<verified>(&a.body); rows && !opens)
    take(at, call, *rows);
  else if (auto* why = std::get_if<failure>(&a.body))
    end(of, std::move(*why));
  else
    end(of, failure{ec::internal, 0, "a part of the model answered with something else"});
}

void pipeline_state::take(walk_map::iterator at, asked& a, opened& by) {
  a.length = std::min(a.length, by.length);
  a.kv_tokens = std::min(a.kv_tokens, by.kv_tokens);
  a.chunk_rows = std::max(a.chunk_rows, by.chunk_rows);
  if (!next(at, a))
    end(at->second.of, opened{a.length, a.kv_tokens, a.chunk_rows});
}

void pipeline_state::take(walk_map::iterator at, asked& a, verified& by) {
  a.times.queue_us += by.times.queue_us;
  a.times.compute_us += by.times.compute_us;
  a.batch_rows = std::max(a.batch_rows, by.batch_rows);
  a.chunk_rows = std::max(a.chunk_rows, by.chunk_rows);
  std::get<verify>(at->second.ask).rows = std::move(by.rows);
  if (next(at, a))
    return;
  const auto of = at->second.of;
  if (auto& out = std::get<verify>(at->second.ask).rows; out.rows > 0)
    append_rows(a.rows, out);
  walks_.erase(at);
  if (--a.pieces > 0)
    return;
  auto rows = guarded([&] { return models::converted(std::move(a.rows), a.wire); });
  if (rows)
    end(of, verified{a.base, std::move(*rows), a.times, a.batch_rows, a.chunk_rows});
  else
    end(of, to_failure(rows.error()));
}

/// @returns false behind the last part
bool pipeline_state::next(walk_map::iterator at, asked& a) {
  if (++at->second.part == options.parts.size())
    return false;
  send(at->second, a.from);
  return true;
}

/// Pieces that are still on their way are not waited for.
void pipeline_state::end(call_key key, answer_body body) {
  auto at = asked_.find(key);
  reply_to(at->second.reply, at->second.hdr, std::move(body));
  std::erase_if(walks_, [&](auto& entry) { return entry.second.of == key; });
  asked_.erase(at);
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
