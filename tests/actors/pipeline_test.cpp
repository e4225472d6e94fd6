// The cloud's layers cut over several engines: to the device they are one verifier.
#include "tests/actors/split_pair.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

using ids = std::vector<token_id>;

void check_pipeline(const shard_maker& make, std::uint32_t layers, std::vector<std::uint32_t> cuts) {
  const ids prompt{3, 14, 15, 9, 26, 5, 35};
  for (auto choose : {sampling{}, sampling{0.8, 42}})
    for (std::uint32_t chunk : {1u, 3u, 512u}) {
      CAPTURE(cuts, chunk, choose.temperature);
      pair p{make, layers, 1, chunk, cuts};
      CHECK(ids_of(p.generate(prompt, 24, choose)) == expected(make, layers, prompt, 24, choose));
      for (auto& e : p.part_engines)
        CHECK(p.ask<engine_stats>(e, stats_atom::value)->rows == prompt.size() + 23);
    }
}

/// Answers every verify with what it gets; what else happens to it is written down.
struct passing_part {
  std::vector<open_session> opened_with;
  std::vector<verify> asked;
  std::size_t closed = 0;
  std::uint64_t length = 0;
  std::optional<failure> refuse{};
  std::uint64_t silent_from = UINT64_MAX;  ///< no answer to verifies with this base or a later one
};

verifier::behavior_type pass(std::shared_ptr<passing_part> p) {
  return {[p](call<open_session>& c) {
            p->opened_with.push_back(c.body);
            reply_to(c.reply, c.hdr, opened{p->length, 99});
          },
          [p](call<verify>& c) {
            p->asked.push_back(c.body);
            if (c.body.base >= p->silent_from)
              return;
            if (p->refuse)
              return reply_to(c.reply, c.hdr, *p->refuse);
            auto rows = std::move(c.body.rows);
            if (c.body.want != rows_wanted::all)
              rows = c.body.want == rows_wanted::last ? some_rows(rows, rows.rows - 1, 1) : tensor{};
            reply_to(c.reply, c.hdr, verified{c.body.base, std::move(rows), {1, 10}});
          },
          [p](const call<close_session>&) { ++p->closed; }};
}

/// A pipeline over two parts that hold layers 1-2 and 3-7.
struct fixture : sim {
  fixture() {
    pipeline_options o{1, 8, {}, dtype::f32, 3};
    for (auto& p : parts)
      p = std::make_shared<passing_part>();
    o.parts = {{sys.spawn(pass, parts[0]), 1, 3}, {sys.spawn(pass, parts[1]), 3, 8}};
    line = sys.spawn(make_pipeline, std::move(o));
    me = listen(log);
  }

  void open(std::uint32_t first = 1, std::uint32_t last = 8) {
    open_session body;
    body.first_layer = first;
    body.last_layer = last;
    caf::anon_send(line, call<open_session>{header{{0, 1}, 1, 0, 0, role::verifier, now() + 1s}, body, me});
  }

  void ask(rows_wanted want, std::uint32_t rows = 2) {
    verify body{5, want, tensor{dtype::f32, rows, 1, byte_buffer(4 * rows, std::byte{7})}};
    caf::anon_send(line, call<verify>{header{{0, 1}, 1, 1, 0, role::verifier, now() + 1s}, body, me});
  }

  std::array<std::shared_ptr<passing_part>, 2> parts;
  pipeline_actor line;
  answer_log log = make_log();
  sink me;
};

} // namespace

TEST_CASE("layers cut over two and three engines give the tokens of the whole model", "[actors][pipeline]") {
  check_pipeline(toy, 4, {2});
  check_pipeline(toy, 4, {2, 3});
  check_pipeline(reference("mha-tied", dtype::f32), layers_of("mha-tied"), {2});
}

TEST_CASE("a part that lost its sessions hears them again, and so do the others", "[actors][pipeline]") {
  pair p{toy, 4, 1, 512, {2}};
  const ids prompt{1, 2, 3, 4, 5, 6, 7, 8};
  auto log = p.make_log();
  auto me = p.listen(log);
  header hdr{{0, 1}, 1, 0, 0, role::drafter, p.now() + 100s};
  caf::anon_send(p.draft, call<complete>{hdr, {prompt, {}, 6, {}, {}}, me});
  while (bodies<tokens>(log).size() < 3)
    REQUIRE(p.sched.try_run_once());
  auto last_part = p.part;
  last_part.first_layer = 2;
  last_part.stage_count = 1;
  auto anew = p.sys.spawn(make_verifier, verifier_options{last_part, 77, "cloud", 64}, engine{p.cloud_engine});
  p.aim(p.part_stubs[1], verifier{anew}, 77);
  p.run();
  auto so_far = ids_of(log);
  REQUIRE(bodies<failure>(log).size() == 1);
  hdr.epoch = 2;
  complete work{prompt, {}, static_cast<std::uint32_t>(6 - so_far.size()), {}, {}};
  work.prompt.insert(work.prompt.end(), so_far.begin(), so_far.end());
  caf::anon_send(p.draft, call<complete>{hdr, std::move(work), me});
  p.run();
  ids all;
  for (auto& t : bodies<tokens>(log))
    all.insert(all.end(), t.ids.begin(), t.ids.end());
  CHECK(all == expected(toy, 4, prompt, 6, {}));
}

TEST_CASE_METHOD(fixture, "each part is opened with its own layers, and the least that one holds counts", "[actors][pipeline]") {
  parts[0]->length = 7;
  parts[1]->length = 4;
  open();
  run();
  REQUIRE(parts[1]->opened_with.size() == 1);
  CHECK(parts[0]->opened_with[0].first_layer == 1);
  CHECK(parts[0]->opened_with[0].last_layer == 3);
  CHECK(parts[1]->opened_with[0].first_layer == 3);
  CHECK(parts[1]->opened_with[0].last_layer == 8);
  REQUIRE(bodies<opened>(log).size() == 1);
  CHECK(bodies<opened>(log)[0].length == 4);
}

TEST_CASE_METHOD(fixture, "another cut than the pipeline's is refused with both", "[actors][pipeline]") {
  open(1, 9);
  run();
  REQUIRE(bodies<failure>(log).size() == 1);
  CHECK(bodies<failure>(log)[0].code == ec::model_mismatch);
  CHECK(bodies<failure>(log)[0].text.find("1 to 9") != std::string::npos);
  CHECK(parts[0]->opened_with.empty());
}

TEST_CASE_METHOD(fixture, "every part but the last gives all rows, and the times add up", "[actors][pipeline]") {
  ask(rows_wanted::last);
  run();
  CHECK(parts[0]->asked.at(0).want == rows_wanted::all);
  CHECK(parts[1]->asked.at(0).want == rows_wanted::last);
  CHECK(parts[1]->asked[0].rows.data == byte_buffer(8, std::byte{7}));
  REQUIRE(bodies<verified>(log).size() == 1);
  CHECK(bodies<verified>(log)[0].times.compute_us == 20);
  CHECK(bodies<verified>(log)[0].base == 5);
}

TEST_CASE_METHOD(fixture, "a long prompt walks in pieces, and what comes out is one answer", "[actors][pipeline]") {
  auto want = GENERATE(rows_wanted::all, rows_wanted::last, rows_wanted::none);
  ask(want, 8);
  run();
  for (auto& p : parts) {
    REQUIRE(p->asked.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(p->asked[i].base == 5 + 3 * i);
      CHECK(p->asked[i].rows.rows == (i < 2 ? 3 : 2));
    }
  }
  CHECK(parts[1]->asked[0].want == (want == rows_wanted::all ? want : rows_wanted::none));
  CHECK(parts[1]->asked[2].want == want);
  REQUIRE(log->size() == 1);
  const auto out = bodies<verified>(log).at(0);
  CHECK(out.base == 5);
  CHECK(out.times.compute_us == 60);
  CHECK(out.rows.rows == (want == rows_wanted::all ? 8 : want == rows_wanted::last ? 1 : 0));
}

TEST_CASE_METHOD(fixture, "a piece goes on while the next one is still in the part before", "[actors][pipeline]") {
  parts[0]->silent_from = 8;
  ask(rows_wanted::last, 8);
  run();
  CHECK(parts[0]->asked.size() == 3);
  REQUIRE(parts[1]->asked.size() == 1);
  CHECK(parts[1]->asked[0].base == 5);
  CHECK(log->empty());
}

TEST_CASE_METHOD(fixture, "a call of very many rows has no more than 64 pieces", "[actors][pipeline]") {
  ask(rows_wanted::last, 1'000);
  run();
  CHECK(parts[1]->asked.size() == 63);  // of 16 rows
  CHECK(bodies<verified>(log).at(0).rows.rows == 1);
}

TEST_CASE_METHOD(fixture, "a piece that is refused ends its call once, and a new call is none of it", "[actors][pipeline]") {
  parts[1]->refuse = failure{ec::stale_position, 2, "the cache holds 2 positions"};
  ask(rows_wanted::last, 8);
  run();
  REQUIRE(log->size() == 1);
  CHECK(bodies<failure>(log).at(0).code == ec::stale_position);
  parts[1]->refuse.reset();
  ask(rows_wanted::last, 8);
  run();
  CHECK(log->size() == 2);
  CHECK(bodies<verified>(log).size() == 1);
}

TEST_CASE_METHOD(fixture, "a repeat of a call under way is answered once", "[actors][pipeline]") {
  ask(rows_wanted::all);
  ask(rows_wanted::all);
  run();
  CHECK(parts[0]->asked.size() == 1);
  CHECK(log->size() == 1);
}

TEST_CASE_METHOD(fixture, "what a part refuses ends the call, and a close reaches every part", "[actors][pipeline]") {
  parts[1]->refuse = failure{ec::unknown_session, 0, "open it again"};
  ask(rows_wanted::last);
  run();
  REQUIRE(bodies<failure>(log).size() == 1);
  CHECK(bodies<failure>(log)[0].code == ec::unknown_session);
  caf::anon_send(line, call<close_session>{header{{0, 1}, 1, 0, 0, role::verifier, now() + 1s}, {}, me});
  run();
  CHECK(parts[0]->closed == 1);
  CHECK(parts[1]->closed == 1);
}
