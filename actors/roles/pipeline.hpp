// actors/roles/pipeline.hpp: a verifier whose layers are cut over several nodes of its site (pipeline stages). To its device it
// is one verifier: what is asked walks from part to part, hidden rows with it. While one session is in one part, others are in
// the others.
//
//   open:   part 0 --opened--> part 1 --opened--> ... --> opened, with the fewest positions that any part still holds
//   verify: part 0 --rows----> part 1 --rows----> ... --> verified, with the rows of the last part
//
// A long prompt walks in pieces, one behind the other, so that a part runs one while the next part runs the one before it.
//
// Safe to repeat because each part's verifier is: nothing is kept here but the walks under way. A part that lost its sessions
// says so to the device, which opens them again and hears from where.
#pragma once

#include "actors/node/config.hpp"
#include "actors/pending_table.hpp"

#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <map>
#include <variant>
#include <vector>

namespace virga {

/// Decoder layers [first_layer, last_layer) and who runs them.
struct pipeline_part {
  verifier at;  ///< a stub
  std::uint32_t first_layer = 0;
  std::uint32_t last_layer = 0;
};

struct pipeline_options {
  std::uint32_t first_layer = 0;  ///< of the whole; the parts follow each other without a gap
  std::uint32_t last_layer = 0;
  std::vector<pipeline_part> parts;
  dtype compute = dtype::f32;     ///< of the parts: rows travel between them unrounded
  std::uint32_t chunk_rows = 512; ///< of a piece at most, and 1/64 of the call's at least; 0: no pieces
};

using pipeline_actor = verifier::extend_with<sink>;

struct pipeline_state {
  explicit pipeline_state(pipeline_actor::pointer self_ptr) : self(self_ptr) {}

  template <class T>
  void begin(call<T>& c);
  void close(const call<close_session>& c);
  void on_answer(answer& a);

  pipeline_actor::pointer self;
  pipeline_options options;

private:
  /// What a device asked, until the last of its pieces has come through.
  struct asked {
    header hdr;
    sink reply;
    std::string from{};       ///< the peer that asks
    std::uint32_t pieces = 0; ///< on their way
    std::uint64_t length = UINT64_MAX;  ///< the least of what the parts hold
    std::uint64_t kv_tokens = UINT64_MAX;
    std::uint64_t base = 0;
    work_times times{};
    std::uint32_t batch_rows = 0, chunk_rows = 0;  ///< the largest of the parts
    dtype wire = dtype::f32;  ///< of a verify, as the device sent it
    tensor rows{};            ///< that came out
  };
  using asked_map = std::map<call_key, asked>;

  /// One piece of it on its way through the parts.
  struct walk {
    header hdr;
    call_key of;
    std::variant<open_session, verify> ask;  ///< as the device asked; of `verify`, the rows before the next part
    std::size_t part = 0;
  };
  using walk_map = std::map<call_key, walk>;

  std::optional<failure> prepare(asked& a, open_session& body) const;
  std::optional<failure> prepare(asked& a, verify& body) const;
  void set_out(asked& a, open_session&& body);
  void set_out(asked& a, verify&& body);
  void send_piece(asked& a, std::variant<open_session, verify> piece);
  void send(walk& w, const std::string& from);
  void take(walk_map::iterator at, asked& a, opened& by);
  void take(walk_map::iterator at, asked& a, verified& by);
  void end(call_key key, answer_body body);
  bool next(walk_map::iterator at, asked& a);

  asked_map asked_;  ///< bounded by the calls that the stub before this role lets through
  walk_map walks_;
};

pipeline_actor::behavior_type make_pipeline(pipeline_actor::stateful_pointer<pipeline_state> self, pipeline_options options);

} // namespace virga
