#include "actors/node/supervisor.hpp"

#include "actors/node/defaults.hpp"

#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

namespace {

end_order after(end_order stage) { return static_cast<end_order>(static_cast<std::uint8_t>(stage) + 1); }

std::uint64_t seed_or_random(std::uint64_t seed) {
  if (seed != 0)
    return seed;
  std::random_device os;
  return static_cast<std::uint64_t>(os()) << 32 | os();
}

} // namespace

std::string reason_text(const caf::error& reason) {
  if (reason == caf::exit_reason::kill)
    return "it was killed";
  if (!reason)
    return "it ended by itself";
  return text_of(reason);
}

supervisor::supervisor(caf::local_actor* self, std::string node_name, supervision bounds, std::uint64_t seed)
  : self_(self), node_(std::move(node_name)), bounds_(bounds), random_(seed_or_random(seed)) {}

/// A node that crashes takes its actors with it; one that ended in order has none left.
supervisor::~supervisor() {
  for (auto& c : children_)
    if (c.actor)
      caf::anon_send_exit(c.actor, caf::exit_reason::user_shutdown);
}

child& supervisor::add(child c) {
  c.crashes = restart_window{bounds_};
  children_.push_back(std::move(c));
  launch(children_.back());
  return children_.back();
}

void supervisor::keep(std::string name, caf::actor stub) {
  child c;
  c.name = std::move(name);
  c.order = end_order::stubs;
  c.actor = std::move(stub);
  c.running = true;
  self_->monitor(c.actor);
  children_.push_back(std::move(c));
}

void supervisor::launch(child& c) {
  c.incarnation = random();
  c.actor = c.spawn(c.incarnation);
  c.running = !c.loads;
  self_->monitor(c.actor);
}

std::optional<std::string> supervisor::down(const caf::down_msg& down) {
  const auto it = std::ranges::find_if(children_, [&](const child& c) { return c.actor && c.actor == down.source; });
  if (it == children_.end())
    return std::nullopt;
  auto& c = *it;
  const bool loaded = std::exchange(c.running, false);
  c.actor = nullptr;
  if (ending()) {
    end_stage();
    return std::nullopt;
  }
  const auto why = reason_text(down.reason);
  if (c.lost)
    c.lost(c.incarnation, why);
  if (!c.spawn)
    return "node " + node_ + ": " + c.name + " ended (" + why + "), and nothing works without it";
  if (c.loads && !loaded && c.restarts == 0 && down.reason == ec::model_error)
    return "node " + node_ + ": " + why;  // its files are wrong: another try reads the same files
  return restart(c, down.reason);
}

std::optional<std::string> supervisor::restart(child& c, const caf::error& reason) {
  const auto why = reason_text(reason);
  if (!c.crashes.allow(self_->clock().now()))
    return "node " + node_ + ": " + c.name + " crashed more than " + std::to_string(bounds_.max_restarts)
           + " times within "
           + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(bounds_.within).count())
           + " s, the last time because " + why;
  ++c.restarts;
  try {
    launch(c);
  } catch (const std::exception& e) {
    return "node " + node_ + ": " + c.name + " could not be restarted: " + e.what();
  }
  spdlog::warn("node {} role \"{}\" crashed ({}): restart {} as {:016x}", node_, c.name, why, c.restarts, c.incarnation);
  return std::nullopt;
}

void supervisor::end_all() {
  if (!ending())
    enter(end_order::gateways);
}

void supervisor::enter(end_order stage) {
  stage_ = stage;
  stage_begun_ = self_->clock().now();
  for (auto& c : children_)
    if (c.actor && c.order == stage)
      caf::anon_send_exit(c.actor, caf::exit_reason::user_shutdown);
  end_stage();
}

/// Goes on to the next stage when nobody of this one is left.
void supervisor::end_stage() {
  if (!ended() && std::ranges::none_of(children_, [&](const child& c) { return c.actor && c.order == *stage_; }))
    enter(after(*stage_));
}

void supervisor::hurry(time_point now) {
  if (!ending() || ended() || now - stage_begun_ < node_defaults::end_patience)
    return;
  for (auto& c : children_) {
    if (!c.actor || c.order != *stage_)
      continue;
    spdlog::error("node {} role \"{}\" did not end in time and is left behind", node_, c.name);
    caf::anon_send_exit(c.actor, caf::exit_reason::kill);
    c.actor = nullptr;
  }
  end_stage();
}

} // namespace virga
