#include "actors/engine/engine.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_system.hpp"
#include "tests/support/toy_shard.hpp"

#include <numeric>

using namespace virga;
using namespace virga::testing;

namespace {

constexpr std::uint64_t owner = 7;
constexpr std::uint32_t head_stage = 2;

using ids = std::vector<token_id>;

ids prompt_of(token_id first, std::size_t n) {
  ids out(n);
  std::iota(out.begin(), out.end(), first);
  for (auto& t : out)
    t %= 90;
  return out;
}

/// An engine over the toy shard, and what it answered to each session.
struct engine_sim : sim {
  toy_options toy;
  engine_config config;
  engine_actor eng;

  engine_sim() {
    config.name = "toy";
    config.make = [this]() -> std::unique_ptr<models::shard> { return std::make_unique<toy_shard>(toy); };
    config.detached = false;
  }
  ~engine_sim() {
    if (eng)
      end(eng);
  }

  void start() { eng = sys.spawn(make_engine, config); }

  struct asked {
    answer_log log;
    sink listener;

    ids tokens_seen() const {
      ids out;
      for (const auto& t : bodies<tokens>(log)) {
        CHECK(t.position == out.size());
        out.insert(out.end(), t.ids.begin(), t.ids.end());
      }
      return out;
    }
    ec error() const {
      const auto f = bodies<failure>(log);
      return f.empty() ? ec::none : f.back().code;
    }
    finish_reason finish() const {
      const auto d = bodies<run_done>(log);
      return d.empty() ? finish_reason::none : d.back().finish;
    }
    /// Exactly one final answer, and it is the last.
    bool complete() const {
      std::size_t finals = 0;
      for (const auto& a : *log)
        finals += a.last;
      return finals == 1 && log->back().last;
    }
    const stepped& step() const { return std::get<stepped>(log->back().body); }
  };

  header hdr(std::uint64_t session, std::uint32_t epoch = 0, std::uint32_t unit = 0) {
    return {{1, session}, epoch, unit, 0, role::node, now() + 60s};
  }

  asked run_of(const header& h, ids prompt, std::uint32_t max_tokens, ids stop = {}) {
    auto log = make_log();
    auto to = listen(log);
    engine_run r{owner, std::move(prompt), std::move(stop), max_tokens, {}};
    caf::anon_send(eng, call<engine_run>{h, std::move(r), to});
    return {log, to};
  }
  asked run_of(std::uint64_t session, ids prompt, std::uint32_t max_tokens, ids stop = {}) {
    return run_of(hdr(session), std::move(prompt), max_tokens, std::move(stop));
  }

  /// A step through all stages that wants the last row's token.
  asked step_of(std::uint64_t session, std::uint64_t base, ids input, std::uint64_t by = owner) {
    auto log = make_log();
    auto to = listen(log);
    engine_step s;
    s.owner = by;
    s.last_stage = head_stage;
    s.base = base;
    s.tokens = std::move(input);
    s.want.tokens = rows_wanted::last;
    caf::anon_send(eng, call<engine_step>{hdr(session), std::move(s), to});
    return {log, to};
  }

  /// The same on a branch of the session's history.
  asked step_on(std::uint32_t branch, std::optional<branch_point> from, std::uint64_t base, ids input,
                std::vector<std::uint32_t> drop = {}) {
    auto log = make_log();
    auto to = listen(log);
    engine_step s;
    s.owner = owner;
    s.last_stage = head_stage;
    s.base = base;
    s.tokens = std::move(input);
    s.want.tokens = rows_wanted::last;
    s.branch = branch;
    s.from = from;
    s.drop = std::move(drop);
    caf::anon_send(eng, call<engine_step>{hdr(1), std::move(s), to});
    return {log, to};
  }

  engine_stats stats() { return *ask<engine_stats>(eng, stats_atom::value); }
  const std::vector<std::vector<std::uint32_t>>& batches() { return toy.controls->batches; }
};

} // namespace

TEST_CASE_METHOD(engine_sim, "a run gives the model's tokens in order, once, and frees its sequence", "[actors][engine]") {
  start();
  auto a = run_of(1, {1, 2, 3}, 8);
  run();
  CHECK(a.tokens_seen() == toy_answer({1, 2, 3}, 8));
  CHECK(a.finish() == finish_reason::length);
  CHECK(a.complete());
  CHECK(a.log->size() == 9);
  CHECK(stats().sequences == 0);
  CHECK(toy.controls->open_sequences == 0);
}

TEST_CASE_METHOD(engine_sim, "a stop token ends a run and is not among its tokens", "[actors][engine]") {
  start();
  const auto truth = toy_answer({1, 2, 3}, 8);
  auto a = run_of(1, {1, 2, 3}, 8, {truth[5]});
  run();
  CHECK(a.tokens_seen() == ids(truth.begin(), truth.begin() + 5));
  CHECK(a.finish() == finish_reason::stop);
  CHECK(a.complete());
}

TEST_CASE_METHOD(engine_sim, "many sessions share steps and each gets what it gets alone", "[actors][engine]") {
  config.prefill_rows = 5;
  start();
  std::vector<asked> all;
  for (std::uint64_t s = 0; s < 20; ++s)
    all.push_back(run_of(s, prompt_of(static_cast<token_id>(s), 1 + s % 13), 10));
  run();
  for (std::uint64_t s = 0; s < 20; ++s) {
    CHECK(all[s].tokens_seen() == toy_answer(prompt_of(static_cast<token_id>(s), 1 + s % 13), 10));
    CHECK(all[s].complete());
  }
  CHECK(batches().front().size() == 20);
  CHECK(stats().steps < 20);
}

TEST_CASE_METHOD(engine_sim, "a decode that comes later joins while a long prompt is prefilled", "[actors][engine]") {
  config.prefill_rows = 20;
  config.batch_rows = 24;
  config.charge = [](std::uint64_t rows) { return std::chrono::milliseconds(rows); };
  start();
  auto slow = run_of(1, prompt_of(0, 200), 2);
  advance(30ms);
  REQUIRE(slow.log->empty());
  auto quick = run_of(2, {5, 6}, 3);
  REQUIRE(advance_until([&] { return quick.complete(); }));
  CHECK(slow.log->empty());
  CHECK(quick.tokens_seen() == toy_answer({5, 6}, 3));
  REQUIRE(advance_until([&] { return slow.complete(); }));
  CHECK(slow.tokens_seen() == toy_answer(prompt_of(0, 200), 2));
  for (const auto& b : batches())
    CHECK(std::accumulate(b.begin(), b.end(), 0u) <= 24);
}

TEST_CASE_METHOD(engine_sim, "one bad segment fails alone and the others of its batch run", "[actors][engine]") {
  toy.controls->poison = {66};
  start();
  auto good = run_of(1, {1, 2, 3}, 4);
  auto bad = run_of(2, {1, 66}, 4);
  auto outside = step_of(3, 0, {1000});
  auto wrong_stage = step_of(4, 0, {});
  auto fine = step_of(5, 0, {4, 5});
  run();
  CHECK(good.tokens_seen() == toy_answer({1, 2, 3}, 4));
  CHECK(bad.error() == ec::model_error);
  CHECK(bad.complete());
  CHECK(outside.error() == ec::bad_tensor);
  CHECK(wrong_stage.error() == ec::bad_tensor);
  CHECK(fine.step().result.choices.front().id == toy_answer({4, 5}, 1).front());
}

TEST_CASE_METHOD(engine_sim, "a step that breaks as a whole fails what was in it, and the engine goes on",
                 "[actors][engine]") {
  start();
  toy.controls->fail_next = "the device is gone";
  auto a = run_of(1, {1, 2}, 2);
  run();
  CHECK(a.error() == ec::model_error);
  CHECK(bodies<failure>(a.log).front().text == "the device is gone");
  auto b = run_of(2, {1, 2}, 2);
  run();
  CHECK(b.tokens_seen() == toy_answer({1, 2}, 2));
}

TEST_CASE_METHOD(engine_sim, "a prompt without KV memory is refused with the bytes free, and others run",
                 "[actors][engine]") {
  toy.kv_positions = 4 * 30;  // thirty positions over four layers
  start();
  auto big = run_of(1, prompt_of(0, 40), 2);
  auto small = run_of(2, {1, 2, 3}, 4);
  run();
  CHECK(big.error() == ec::out_of_pages);
  CHECK(bodies<failure>(big.log).front().detail > 0);
  CHECK(small.tokens_seen() == toy_answer({1, 2, 3}, 4));
  CHECK(stats().kv_bytes == 0);
}

TEST_CASE_METHOD(engine_sim, "a cancelled run stops within one step and frees its sequence", "[actors][engine]") {
  config.charge = [](std::uint64_t) { return 10ms; };
  start();
  auto a = run_of(1, {1, 2, 3}, 100);
  advance(35ms);
  REQUIRE(a.tokens_seen().size() == 3);
  caf::anon_send(eng, call<cancel>{hdr(1), {}, {}});
  advance(100ms);
  CHECK(a.tokens_seen().size() == 3);
  CHECK(bodies<run_done>(a.log).front().finish == finish_reason::none);
  CHECK(bodies<run_done>(a.log).front().times.compute_us >= 30'000);
  CHECK(a.complete());
  CHECK(stats().sequences == 0);
  CHECK(batches().size() <= 4);
}

TEST_CASE_METHOD(engine_sim, "a cancel of an older placement does not stop a newer run", "[actors][engine]") {
  config.charge = [](std::uint64_t) { return 10ms; };
  start();
  auto a = run_of(hdr(1, 2), {1, 2, 3}, 5);
  advance(15ms);
  caf::anon_send(eng, call<cancel>{hdr(1, 1), {}, {}});
  advance(1s);
  CHECK(a.tokens_seen() == toy_answer({1, 2, 3}, 5));
}

TEST_CASE_METHOD(engine_sim, "a run whose deadline passes fails and frees its sequence", "[actors][engine]") {
  config.charge = [](std::uint64_t) { return 10ms; };
  start();
  auto h = hdr(1);
  h.deadline = now() + 45ms;
  auto a = run_of(h, {1, 2, 3}, 100);
  advance(1s);
  CHECK(a.tokens_seen().size() == 5);
  CHECK(a.error() == ec::deadline_exceeded);
  CHECK(a.complete());
  CHECK(stats().sequences == 0);
}

TEST_CASE_METHOD(engine_sim, "times add up over the steps of a run", "[actors][engine]") {
  config.charge = [](std::uint64_t) { return 10ms; };
  start();
  auto a = run_of(1, {1, 2, 3}, 4);
  advance(1s);
  CHECK(bodies<run_done>(a.log).front().times.compute_us == 40'000);
  CHECK(bodies<run_done>(a.log).front().times.queue_us == 0);
  auto b = run_of(2, {1, 2, 3}, 1);
  advance(4ms);
  auto c = step_of(3, 0, {1});
  advance(1s);
  CHECK(c.step().times.queue_us == 6'000);
}

TEST_CASE_METHOD(engine_sim, "a step below the cache's length rolls back and repeats itself exactly", "[actors][engine]") {
  start();
  auto first = step_of(1, 0, {1, 2, 3, 4, 5, 6});
  run();
  auto wrong = step_of(1, 4, {70, 71, 72});
  run();
  auto again = step_of(1, 4, {5, 6});
  run();
  CHECK(wrong.step().result.choices.front().id != again.step().result.choices.front().id);
  CHECK(again.step().result.choices.front().id == first.step().result.choices.front().id);
  CHECK(stats().sequences == 1);
}

TEST_CASE_METHOD(engine_sim, "a step beyond the cache's length is refused with the length", "[actors][engine]") {
  start();
  auto first = step_of(1, 0, {1, 2, 3});
  auto hole = step_of(1, 5, {4});
  run();
  CHECK(first.complete());
  CHECK(hole.error() == ec::stale_position);
  CHECK(bodies<failure>(hole.log).front().detail == 3);
}

TEST_CASE_METHOD(engine_sim, "steps of one sequence keep their order", "[actors][engine]") {
  start();
  std::vector<asked> all;
  for (token_id t = 0; t < 6; ++t)
    all.push_back(step_of(1, t, {t}));
  run();
  CHECK(all.back().step().result.choices.front().id == toy_answer({0, 1, 2, 3, 4, 5}, 1).front());
}

TEST_CASE_METHOD(engine_sim, "two owners of one session have a history each", "[actors][engine]") {
  start();
  auto a = step_of(1, 0, {1, 2}, 7);
  auto b = step_of(1, 0, {3}, 8);
  run();
  CHECK(a.complete());
  CHECK(b.complete());
  CHECK(stats().sequences == 2);
  caf::anon_send(eng, forget_atom::value, std::uint64_t{7});
  CHECK(stats().sequences == 1);
  auto rest = step_of(1, 1, {4}, 8);
  run();
  CHECK(rest.step().result.choices.front().id == toy_answer({3, 4}, 1).front());
  auto h = hdr(1);
  h.incarnation = 8;
  caf::anon_send(eng, call<close_session>{h, {}, {}});
  CHECK(stats().sequences == 0);
}

TEST_CASE_METHOD(engine_sim, "branches go on from a shared beginning and do not see each other", "[actors][engine]") {
  start();
  auto next = [](ids text) { return toy_answer(std::move(text), 1).front(); };
  auto chosen = [](const asked& a) { return a.step().result.choices.front().id; };
  step_on(0, {}, 0, {1, 2, 3, 4});
  run();
  auto a = step_on(1, branch_point{0, 3}, 3, {50}), b = step_on(2, branch_point{0, 4}, 4, {60, 61});
  auto main = step_on(0, {}, 4, {5});
  run();
  CHECK(chosen(a) == next({1, 2, 3, 50}));
  CHECK(chosen(b) == next({1, 2, 3, 4, 60, 61}));
  CHECK(chosen(main) == next({1, 2, 3, 4, 5}));
  CHECK(batches().back().size() == 3);  // all in one step
  auto of_branch = step_on(3, branch_point{2, 5}, 5, {7}), again = step_on(1, branch_point{0, 0}, 4, {51});
  run();
  CHECK(chosen(of_branch) == next({1, 2, 3, 4, 60, 7}));
  CHECK(chosen(again) == next({1, 2, 3, 50, 51}));  // it is open: where it once began does not matter
  CHECK(stats().sequences == 4);
}

TEST_CASE_METHOD(engine_sim, "a dropped branch is freed and its waiting step answered; closing frees all", "[actors][engine]") {
  start();
  step_on(0, {}, 0, {1, 2, 3});
  step_on(1, branch_point{0, 3}, 3, {8});
  run();
  auto waits = step_on(1, {}, 4, {9});
  auto taken = step_on(2, branch_point{0, 2}, 2, {4}, {1});
  run();
  CHECK(waits.error() == ec::cancelled);
  CHECK(waits.complete());
  CHECK(taken.complete());
  CHECK(stats().sequences == 2);
  auto orphan = step_on(3, branch_point{1, 2}, 2, {4});
  auto too_long = step_on(4, branch_point{0, 9}, 9, {4});
  run();
  CHECK(orphan.error() == ec::stale_position);
  CHECK(too_long.error() == ec::stale_position);
  auto of_owner = hdr(1);
  of_owner.incarnation = owner;
  caf::anon_send(eng, call<close_session>{of_owner, {}, {}});
  run();
  CHECK(stats().sequences == 0);
  CHECK(toy.controls->open_sequences == 0);
}

TEST_CASE_METHOD(engine_sim, "forgetting an owner ends its runs", "[actors][engine]") {
  config.charge = [](std::uint64_t) { return 10ms; };
  start();
  auto a = run_of(1, {1, 2, 3}, 100);
  advance(25ms);
  caf::anon_send(eng, forget_atom::value, owner);
  advance(100ms);
  CHECK(a.error() == ec::cancelled);
  CHECK(a.complete());
  CHECK(stats().kv_bytes == 0);
}

TEST_CASE_METHOD(engine_sim, "a newer placement of a session replaces its run, an older one is refused",
                 "[actors][engine]") {
  config.charge = [](std::uint64_t) { return 10ms; };
  start();
  auto first = run_of(hdr(1, 1), {1, 2, 3}, 10);
  advance(25ms);
  auto second = run_of(hdr(1, 2), {1, 2, 3}, 10);
  advance(25ms);
  auto late = run_of(hdr(1, 1), {1, 2, 3}, 10);
  advance(1s);
  CHECK(first.error() == ec::cancelled);
  CHECK(second.tokens_seen() == toy_answer({1, 2, 3}, 10));
  CHECK(late.error() == ec::stale_epoch);
}

TEST_CASE_METHOD(engine_sim, "calls beyond the bound are refused with a time to wait", "[actors][engine]") {
  config.waiting = 3;
  start();
  std::vector<asked> all;
  for (std::uint64_t s = 0; s < 5; ++s)
    all.push_back(run_of(s, {1, 2}, 2));
  run();
  for (std::size_t s = 0; s < 3; ++s)
    CHECK(all[s].finish() == finish_reason::length);
  for (std::size_t s = 3; s < 5; ++s) {
    CHECK(all[s].error() == ec::queue_full);
    CHECK(bodies<failure>(all[s].log).front().detail > 0);
  }
}

TEST_CASE_METHOD(engine_sim, "a run never leaves the model's context", "[actors][engine]") {
  toy.max_positions = 10;
  start();
  auto fits = run_of(1, prompt_of(0, 8), 100);
  auto full = run_of(2, prompt_of(0, 10), 1);
  auto none = run_of(3, {}, 1);
  auto nothing = run_of(4, {1}, 0);
  run();
  CHECK(fits.tokens_seen().size() == 2);
  CHECK(fits.finish() == finish_reason::length);
  CHECK(full.error() == ec::context_exceeded);
  CHECK(bodies<failure>(full.log).front().detail == 10);
  CHECK(none.error() == ec::bad_request);
  CHECK(nothing.finish() == finish_reason::length);
}

TEST_CASE_METHOD(engine_sim, "a prompt that begins like an earlier one is computed from where they part",
                 "[actors][engine]") {
  config.prefill_rows = 70;
  start();
  auto again = prompt_of(0, 200), other = prompt_of(0, 200);
  other[160] = 1;  // in the third piece
  auto first = run_of(1, again, 4);
  run();
  CHECK(stats().rows == 203);
  CHECK(stats().prefixes.saved_tokens == 0);
  auto same = run_of(2, again, 4);
  run();
  CHECK(stats().rows == 203 + 4);  // only the last row, and three tokens
  auto parted = run_of(3, other, 4);
  run();
  CHECK(stats().rows == 207 + 40 + 3);
  CHECK(first.tokens_seen() == toy_answer(again, 4));
  CHECK(same.tokens_seen() == toy_answer(again, 4));
  CHECK(parted.tokens_seen() == toy_answer(other, 4));
  CHECK(stats().sequences == 0);
  CHECK(stats().kv_bytes == 0);
  CHECK(stats().prefixes.texts == 2);
  CHECK(stats().prefixes.asked_tokens == 600);
}

TEST_CASE_METHOD(engine_sim, "a prompt shares with one that still runs", "[actors][engine]") {
  config.charge = [](std::uint64_t) { return 10ms; };
  start();
  auto slow = run_of(1, prompt_of(0, 150), 40);
  advance(35ms);
  auto next = run_of(2, prompt_of(0, 150), 40);
  REQUIRE(advance_until([&] { return next.complete(); }));
  CHECK(stats().prefixes.saved_tokens == 128);  // two pages
  CHECK(slow.tokens_seen() == toy_answer(prompt_of(0, 150), 40));
  CHECK(next.tokens_seen() == slow.tokens_seen());
}

TEST_CASE_METHOD(engine_sim, "held texts make nobody wait for memory, nor fail", "[actors][engine]") {
  toy.kv_positions = 4 * 330;  // three prompts
  start();
  std::vector<asked> all;
  for (std::uint64_t s = 0; s < 30; ++s) {
    all.push_back(run_of(s, prompt_of(static_cast<token_id>(s % 7), 100), 8));
    if (s % 3 == 2)
      run();
  }
  for (std::uint64_t s = 0; s < 30; ++s)
    CHECK(all[s].tokens_seen() == toy_answer(prompt_of(static_cast<token_id>(s % 7), 100), 8));
  CHECK(stats().kv_bytes == 0);
  CHECK(stats().prefixes.evictions > 5);
  for (std::size_t i = 0; i < batches().size(); i += 8)
    CHECK(batches()[i].size() == 3);
}

TEST_CASE_METHOD(engine_sim, "an engine told to holds nothing", "[actors][engine]") {
  config.prefix_positions = 0;
  start();
  run_of(1, prompt_of(0, 200), 4);
  run();
  run_of(2, prompt_of(0, 200), 4);
  run();
  CHECK(stats().rows == 2 * 203);
  CHECK(stats().prefixes.texts == 0);
  CHECK(toy.controls->open_sequences == 0);
}

TEST_CASE_METHOD(engine_sim, "an idle engine sets no timer and sends itself nothing", "[actors][engine]") {
  start();
  auto a = run_of(1, {1, 2, 3}, 3);
  run();
  CHECK(a.complete());
  CHECK_FALSE(sched.has_job());
  CHECK_FALSE(sched.has_pending_timeout());
}

TEST_CASE_METHOD(engine_sim, "an engine whose shard cannot be made quits with the sentence", "[actors][engine]") {
  config.make = []() -> std::unique_ptr<models::shard> { throw models::bad_model("config.json: no such file"); };
  start();
  caf::error why;
  auto watcher = sys.spawn([&](caf::event_based_actor* self) -> caf::behavior {
    self->set_down_handler([&](caf::down_msg& d) { why = d.reason; });
    self->monitor(eng);
    return {[](int) {}};
  });
  run();
  CHECK(why == ec::model_error);
  CHECK(text_of(why) == "engine toy: config.json: no such file");
  end(watcher);
}
