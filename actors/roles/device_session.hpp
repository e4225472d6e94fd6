// actors/roles/device_session.hpp: the bookkeeping of one request on the device side of `split` and `hat`: what goes
// through the device's stages next, what the cloud is asked, what its rows mean. Events go in, actions come out; the
// DRAFTER carries them.
//
//   prompt:  input stages -> chunk to the cloud ... -> its last deep row -> head -> the first token
//   round:   draft d1..dk from the pending token -> their k+1 rows to the cloud -> deep rows -> head -> g0..gk
//            the first a drafts that equal g stand; d1..da and ga are emitted, ga is the next pending token
//   between: guesses: how the next round would begin if (a, ga) were this or that; one that comes true is its draft
//
// Without drafting k is 0: `split`. Caches are cropped by the base that the next step names, on both sides.
// Source: HAT (arXiv 2503.18989), drafting, verification and parallel drafting; tokens never leave the device.
#pragma once

#include "actors/calls.hpp"
#include "actors/roles/draft.hpp"
#include "actors/roles/draft_config.hpp"

#include <map>

namespace virga {

class device_session {
public:
  /// Stages of the device's shard: input stages [0, input_last], the bridge (an adapter, or layers that the cloud has
  /// too) between them and the head.
  struct layout {
    std::uint32_t input_last = 1;
    std::uint32_t head = 2;
    std::uint32_t context = UINT32_MAX;  ///< positions
    bool bridged() const { return head > input_last + 1; }
  };
  /// What suits now; the drafter renews it before events.
  struct plan {
    std::uint32_t most = 0;          ///< tokens of the next draft
    std::uint32_t hidden_steps = 0;  ///< draft steps that a round's waiting has time for; 0: no guesses
    std::uint32_t chunk_rows = 512;
    bool ahead = false;              ///< a guess that is complete goes to the cloud before the round's answer is there
    bool due = false;                ///< the round's answer is so near that no further step of a guess should begin
  };
  struct device_work {
    std::uint32_t ticket = 0;  ///< from 2 on
    engine_step step;  ///< without its owner
    bool drafts = false;  ///< a step of the draft that the answer waits for
    bool input_alone = false;  ///< the last of those, which goes through the input stages alone
  };
  struct cloud_work {
    std::uint32_t ticket = 0;
    verify ask;
    bool ahead = false;  ///< the answer does not wait for it, unless the guess comes true
  };
  struct actions {
    std::vector<device_work> device;
    std::vector<cloud_work> cloud;
    std::optional<tokens> piece;         ///< emitted now
    std::optional<draft_round> round;    ///< that ended now
    finish_reason finish = finish_reason::none;
  };

  device_session(complete work, draft_config how, layout stages);

  /// The caches of this placement are not what was thought: the next one begins anew.
  void lose_caches() { fed_ = 0; }

  /// Continues an older placement of the same request: what both have in common stays in the device's caches.
  void take_over(const device_session& older);

  /// Begins, or goes on: the cloud holds so many positions, of a new session 0.
  actions begin(std::uint64_t cloud_length);

  /// A device step came back. One that nobody waits for any more is ignored.
  actions on_device(std::uint32_t ticket, models::segment_result& result);

  /// The cloud's rows came back: none, the last one, or one for each asked.
  actions on_cloud(std::uint32_t ticket, tensor rows);

  bool expects(std::uint32_t ticket) const { return device_.contains(ticket) || cloud_.contains(ticket); }
  /// That the answer waits for at the cloud; 0: nothing.
  std::uint32_t round_ticket() const { return round_; }
  /// The answer to this ticket bets on a round that is not judged yet.
  bool ahead(std::uint32_t ticket) const;
  /// Rows that the answer to this ticket must have.
  std::uint32_t rows_expected(std::uint32_t ticket) const;

  void set(const plan& p) { plan_ = p; }
  /// Both caches surely hold these positions of the committed tokens.
  std::uint64_t fed() const { return fed_; }
  const sampling& choose() const { return work_.choose; }
  std::uint32_t emitted() const { return emitted_; }
  std::uint32_t prompt_tokens() const { return static_cast<std::uint32_t>(work_.prompt.size()) - emitted_; }
  std::uint32_t max_tokens() const { return work_.max_tokens; }
  /// Everything committed: prompt and answer.
  const std::vector<token_id>& committed() const { return work_.prompt; }

private:
  /// The bridge falls behind while nothing is drafted; so many rows are worth a step of their own.
  static constexpr std::uint32_t lag_rows = 32;

  enum class kind : std::uint8_t { input, bridge, draft_step, guess_step, head };
  struct device_ticket {
    kind what = kind::input;
    std::uint32_t branch = 0;  ///< of a guess
    std::uint32_t count = 0;   ///< of input
  };
  struct cloud_ticket {
    std::uint32_t count = 0;
    rows_wanted want = rows_wanted::none;
    std::uint32_t branch = 0;  ///< of the guess that it went ahead with; 0: of none
  };
  /// A way in which the round could end.
  struct guess_line {
    draft line;
    branch_point from;
    std::uint32_t accepted = 0;
    draft_source reading = draft_source::fresh;
    std::uint32_t steps = 0;
    bool waits = false;  ///< for a step
    bool likeliest = false;    ///< of all ways
    std::uint32_t ticket = 0;  ///< of its round at the cloud; 0: not sent
    std::optional<tensor> deep{};  ///< that round's rows, which came before the guess did
  };

  std::uint64_t length() const { return work_.prompt.size(); }
  bool drafting() const { return how_.most > 0 && stages_.bridged(); }

  // device_session.cpp: prompt, tickets, caches
  void next_chunk(actions& out);
  std::uint64_t next_chunk_rows(std::uint64_t left) const;
  void on_input(actions& out, const device_ticket& t, tensor rows);
  void run_bridge(actions& out, bool through_head);
  void choose_behind(models::wants& want, std::span<const token_id> more) const;
  engine_step device_step(std::uint32_t first, std::uint32_t last, std::uint64_t base);
  void ask_device(actions& out, device_ticket t, engine_step step);
  std::uint32_t ask_cloud(actions& out, cloud_ticket t, std::uint64_t base, tensor rows);
  void crop(std::uint64_t length);

  // device_rounds.cpp: drafts, guesses, verdicts
  void draft_on(actions& out);
  engine_step step_of(const draft& line, std::span<const token_id> behind);
  void on_draft_step(actions& out, models::segment_result& result);
  void send_round(actions& out);
  void send_ahead(actions& out, guess_line& g);
  void while_waiting(actions& out);
  void guess_last(actions& out);
  void guess_bonus(actions& out, const models::choice& chosen);
  void add_guess(actions& out, draft_source reading, std::uint32_t accepted, token_id first, bool likeliest = false);
  void step_guess(actions& out, guess_line& g);
  void on_guess_step(actions& out, std::uint32_t branch, models::segment_result& result);
  void run_head(actions& out, tensor rows);
  void on_choices(actions& out, const std::vector<models::choice>& choices);
  void emit(actions& out, const std::vector<models::choice>& choices, std::uint32_t accepted);
  void next_round(actions& out, std::uint32_t accepted, token_id pending);
  void adopt(actions& out, guess_line g);
  void forget_guesses(std::uint32_t kept);
  draft_end end_for(std::uint64_t position, std::uint32_t emitted) const;

  complete work_;  ///< its prompt grows by the emitted tokens: all that is committed
  draft_config how_;
  layout stages_;
  plan plan_;
  std::uint64_t input_ = 0;   ///< positions through the input stages, in the prompt
  std::uint64_t bridge_ = 0;  ///< positions through the bridge
  std::uint64_t fed_ = 0;
  tensor lag_;                ///< rows of the positions from bridge_ on that the bridge has not seen
  std::uint32_t in_flight_ = 0;  ///< chunks at the cloud
  bool input_waits_ = false;
  std::optional<draft> current_;
  draft_source source_ = draft_source::fresh;  ///< of the current line
  std::uint32_t round_ = 0;   ///< ticket of the current round
  bool verified_ = false;     ///< the round's deep rows are there
  std::map<std::uint32_t, guess_line> guesses_;  ///< by branch
  std::uint32_t main_ = 0, last_branch_ = 0;
  std::vector<std::uint32_t> drop_;  ///< branches to free with the next step
  std::uint32_t last_ticket_ = 1, emitted_ = 0;
  std::map<std::uint32_t, device_ticket> device_;
  std::map<std::uint32_t, cloud_ticket> cloud_;
};

} // namespace virga
