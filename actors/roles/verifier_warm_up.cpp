// What a verifier times before there are devices, so that the first prompt's chunks suit the machine already.
#include "actors/answers.hpp"
#include "actors/roles/verifier.hpp"
#include "models/wire_rows.hpp"

namespace virga {

namespace {

/// The warm-up ends at batches of so many rows, or at the first that takes so long; a node starts in the meantime.
constexpr std::uint32_t warm_up_rows = 2048;
constexpr std::uint64_t warm_up_step_us = 1'000'000;
constexpr auto warm_up_limit = std::chrono::seconds(20);

} // namespace

/// Batches of 1, 2, 4, ... rows, each twice: the first of a size pays for its memory.
void verifier_state::warm_up(std::uint32_t run) {
  engine_step step;
  step.owner = options.incarnation;
  step.last_stage = options.config.stage_count - 1;
  step.rows = {options.config.compute, 1u << run / 2, options.config.hidden, {}};
  step.rows.data.resize(step.rows.rows * models::row_bytes(step.rows.type, step.rows.cols));
  header hdr;
  hdr.unit = run;
  hdr.deadline = self->clock().now() + warm_up_limit;
  self->send(model, call<engine_step>{hdr, std::move(step), sink{self}});
}

void verifier_state::on_warm_up(answer& a) {
  auto* done = std::get_if<stepped>(&a.body);
  auto rows = 1u << a.hdr.unit / 2;
  if (done != nullptr && a.hdr.unit % 2 == 1)
    monitor_.on_warm_up(rows, done->times);
  if (done != nullptr && rows < warm_up_rows && done->times.compute_us < warm_up_step_us)
    return warm_up(a.hdr.unit + 1);
  auto of_engine = a.hdr;
  of_engine.incarnation = options.incarnation;
  self->send(model, call<close_session>{of_engine, close_session{}, sink{self}});
}

void verifier_state::start() {
  if (options.config.warm_up)
    warm_up(0);
}

} // namespace virga
