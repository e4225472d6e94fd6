// actors/roles/draft_pace.hpp: what a DRAFTER has measured of its device, the link and the cloud, and what follows for
// the next draft: how long it may be, and how many steps of guessing the wait has time for. One for all its sessions.
// Source: HAT (arXiv 2503.18989): lambda = floor((T_up + T_cloud + T_down) / gamma), all moving averages.
#pragma once

#include "actors/calls.hpp"
#include "actors/roles/delay_model.hpp"
#include "actors/roles/device_session.hpp"
#include "actors/roles/draft_length.hpp"

namespace virga {

class draft_pace {
public:
  /// Positions of a long prompt's chunk at most before the cloud has said what suits it now: since the last prompt the link may
  /// have changed. From the flat part of the curve.
  static constexpr std::uint32_t first_chunk_rows = 32;

  /// @param row_bytes of one hidden row on the wire
  draft_pace(draft_config how, std::uint64_t row_bytes);

  /// One step of a draft through the head, from its sending to its answer.
  void on_draft_step(double seconds);
  /// One row through the input stages alone: what any step of theirs takes at least.
  void on_input_step(double seconds);
  /// One round of `rows`, `batch_rows` that ran with it at the cloud, itself included, and the cloud's own times.
  void on_round(std::uint32_t rows, std::uint32_t batch_rows, const work_times& cloud);
  void on_verdict(const draft_round& round);
  /// The link as it is now; parts not measured are 0.
  void on_link(const traffic& link);
  /// The cloud suggests so many positions a chunk; 0: no opinion.
  void on_suggestion(std::uint32_t chunk_rows);

  device_session::plan plan() const;

  /// Whether a step that begins `since` seconds after such a round was sent would hold up its answer.
  bool due(std::uint32_t rows, double since) const;

  /// Seconds from sending `rows` rows to having as many back.
  double round_trip(std::uint32_t rows) const;
  std::uint64_t up_bytes_per_s() const { return link_.up_bytes_per_s; }

private:
  std::uint32_t least_chunk() const;
  bool pays_ahead(std::uint32_t rows) const;
  double transfers(std::uint32_t rows) const;

  draft_config how_;
  double row_bytes_;
  moving_average step_s_, input_s_;
  double fastest_s_ = 0;    ///< what a step of a draft can take
  moving_average others_;   ///< rows of others in a round's batch
  moving_average guessed_;  ///< share of rounds whose draft was a bonus guess come true
  moving_average busy_;     ///< share of rounds that waited longer at the cloud than they ran
  delay_model cloud_;
  draft_length length_;
  traffic link_{};
  std::uint32_t chunk_rows_;
};

} // namespace virga
