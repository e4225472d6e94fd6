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
  /// @param row_bytes of one hidden row on the wire
  draft_pace(draft_config how, std::uint64_t row_bytes);

  /// One step of a draft, from its sending to its answer.
  void on_draft_step(double seconds);
  /// One round: `rows` there, and the cloud's own times.
  void on_round(std::uint32_t rows, const work_times& cloud);
  void on_verdict(const draft_round& round);
  /// The link as it is now; parts not measured are 0.
  void on_link(const traffic& link);
  /// The cloud suggests so many positions a chunk; 0: no opinion.
  void on_suggestion(std::uint32_t chunk_rows);

  device_session::plan plan() const;

  /// Seconds from sending `rows` rows to having as many back.
  double round_trip(std::uint32_t rows) const;
  std::uint64_t up_bytes_per_s() const { return link_.up_bytes_per_s; }

private:
  draft_config how_;
  double row_bytes_;
  moving_average step_s_;
  moving_average guessed_;  ///< share of rounds whose draft was a bonus guess come true
  moving_average busy_;     ///< share of rounds that waited longer at the cloud than they ran
  delay_model cloud_;
  draft_length length_;
  traffic link_{};
  std::uint32_t chunk_rows_;
};

} // namespace virga
