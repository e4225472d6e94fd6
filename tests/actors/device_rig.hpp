// tests/actors/device_rig.hpp: a device session between two shards, without actors: its actions run in an order that a
// seed chooses, so a result may come before, between or after the guesses that bet on it.
#pragma once

#include "actors/engine/shard_runner.hpp"
#include "actors/roles/device_session.hpp"
#include "tests/support/catch.hpp"

#include <deque>
#include <random>

namespace virga::testing {

struct device_rig {
  device_rig(std::unique_ptr<models::shard> on_device, std::unique_ptr<models::shard> in_cloud, std::uint32_t input_last,
             std::uint64_t seed)
    : device(std::move(on_device)), cloud(std::move(in_cloud)), random(seed) {
    stages = {input_last, static_cast<std::uint32_t>(device.info().stages.size()) - 1, device.info().max_positions};
  }

  /// Answers `work` to its end. @returns the tokens
  std::vector<token_id> answer(const complete& work, draft_config how, device_session::plan plan) {
    session.emplace(work, how, stages);
    session->set(plan);
    take(session->begin(0));
    while (finish == finish_reason::none)
      step();
    for (auto& round : cloud_works)
      CHECK(round.ahead);  // nothing else of a finished answer waits at the cloud
    return emitted;
  }

  /// Runs one thing that waits.
  void step() {
    REQUIRE((!device_works.empty() || !cloud_works.empty()));
    bool at_device = cloud_works.empty() || (!device_works.empty() && (far_away || random() % 3 != 0));
    if (at_device)
      run_device();
    else
      run_cloud();
  }

  void run_device() {
    auto work = std::move(device_works.front());
    device_works.pop_front();
    auto& s = work.step;
    models::segment seg{{}, s.first_stage, s.last_stage, s.base, std::move(s.tokens), std::move(s.rows), std::move(s.want)};
    std::vector<keyed_segment> batch;
    batch.push_back({{{}, 1, s.branch}, std::move(seg), s.from});
    auto result = device.run(std::move(batch)).front();
    if (!result)
      FAIL("the device refuses a step: " << caf::to_string(result.error()));
    ++device_steps;
    take(session->on_device(work.ticket, *result));
  }

  void run_cloud() {
    auto work = std::move(cloud_works.front());
    cloud_works.pop_front();
    models::segment seg{{}, 0, 0, work.ask.base, {}, work.ask.rows, {}};
    seg.want.rows = work.ask.want;
    std::vector<keyed_segment> batch;
    batch.push_back({{{}, 2, 0}, std::move(seg)});
    auto result = cloud.run(std::move(batch)).front();
    if (!result)
      FAIL("the cloud refuses rows: " << caf::to_string(result.error()));
    if (session->expects(work.ticket))
      CHECK(result->rows.rows == session->rows_expected(work.ticket));
    else
      CHECK(work.ahead);
    came_early += session->ahead(work.ticket) ? 1 : 0;
    take(session->on_cloud(work.ticket, std::move(result->rows)));
  }

  void take(device_session::actions out) {
    if (out.piece) {
      CHECK(out.piece->position == emitted.size());
      emitted.insert(emitted.end(), out.piece->ids.begin(), out.piece->ids.end());
    }
    if (out.round) {
      rounds.push_back(*out.round);
      if (out.finish == finish_reason::none) {
        CHECK(session->fed() == session->committed().size() - 1);
        CHECK(out.piece->ids.size() == out.round->accepted + 1u);
      }
      CHECK(out.round->accepted <= out.round->drafted);
    }
    finish = out.finish;
    for (auto& work : out.device) {
      for (auto branch : work.step.drop)
        drop(branch);
      device_works.push_back(std::move(work));
    }
    for (auto& work : out.cloud) {
      if (work.ahead)
        CHECK(work.ask.base > session->committed().size() - 1);
      else if (!rounds.empty())
        CHECK(work.ask.base == session->committed().size() - 1);
      went_ahead += work.ahead ? 1 : 0;
      asked.push_back(work.ask);
      cloud_works.push_back(std::move(work));
    }
  }

  /// As an engine does: what waits for the branch is answered ec::cancelled, and nobody expects it.
  void drop(std::uint32_t branch) {
    std::erase_if(device_works, [&](auto& work) {
      if (work.step.branch == branch)
        CHECK_FALSE(session->expects(work.ticket));
      return work.step.branch == branch;
    });
    device.close({{}, 1, branch});
  }

  /// All of these through all stages but the head at once, as the first work of both shards.
  void feed(const std::vector<token_id>& tokens) {
    models::segment in{{}, 0, stages.head - 1, 0, tokens, {}, {}};
    in.want.rows = rows_wanted::all;
    in.want.rows_stage = stages.input_last;
    std::vector<keyed_segment> batch;
    batch.push_back({{{}, 1, 0}, std::move(in)});
    auto shallow = device.run(std::move(batch)).front();
    REQUIRE(shallow);
    batch.clear();
    batch.push_back({{{}, 2, 0}, {{}, 0, 0, 0, {}, std::move(shallow->rows), {}}});
    REQUIRE(cloud.run(std::move(batch)).front());
  }

  shard_runner device, cloud;
  device_session::layout stages;
  std::mt19937_64 random;
  std::optional<device_session> session;
  std::deque<device_session::device_work> device_works;
  std::deque<device_session::cloud_work> cloud_works;
  std::vector<token_id> emitted;
  std::vector<draft_round> rounds;
  std::vector<verify> asked;  ///< of the cloud, in order
  finish_reason finish = finish_reason::none;
  std::uint64_t device_steps = 0;
  std::uint64_t went_ahead = 0, came_early = 0;  ///< rounds sent, and answered, before the one that they bet on was judged
  bool far_away = false;  ///< the cloud answers when the device has nothing to do
};

} // namespace virga::testing
