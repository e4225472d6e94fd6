#include "actors/session/session_host.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_system.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

/// Each byte is a token.
struct byte_tokenizer : models::tokenizer {
  std::vector<token_id> encode(std::string_view text, const models::encode_options&) const override {
    if (text == "bad")
      throw models::bad_segment("no such word");
    return {text.begin(), text.end()};
  }
  std::string decode(const std::vector<token_id>& ids, bool) const override { return {ids.begin(), ids.end()}; }
  std::uint32_t vocab_size() const override { return 128; }
  std::optional<token_id> id_of(std::string_view) const override { return std::nullopt; }
};

struct script {
  std::vector<call<complete>> asked;
  std::size_t cancelled = 0;
};

token_source::behavior_type scripted_source(std::shared_ptr<script> s) {
  return {[s](call<complete>& c) { s->asked.push_back(std::move(c)); }, [s](call<cancel>&) { ++s->cancelled; }};
}

struct fixture : sim {
  fixture() {
    session_host_options o;
    o.node = "edge-1";
    o.config.max_sessions = 2;
    model_view view;
    view.tok = std::make_shared<byte_tokenizer>();
    view.stop = {0};
    view.context = 64;
    o.sources = {{strategy::split, sys.spawn(scripted_source, seen), view}};
    host = sys.spawn(make_session_host, o);
    me = listen(log);
  }

  header ask_for(std::string prompt, std::uint64_t id = 1, caf::timespan remaining = 10s,
                 strategy how = strategy::split) {
    header hdr{{0, id}, 0, 0, 0, role::session_host, now() + remaining};
    generate g;
    g.how = how;
    g.prompt = std::move(prompt);
    g.max_tokens = 5;
    caf::anon_send(host, call<generate>{hdr, g, me});
    run();
    return hdr;
  }

  template <class Body>
  void say(Body body, bool last, std::size_t placement = 0) {
    auto& c = seen->asked.at(placement);
    reply_to(c.reply, c.hdr, std::move(body), last);
    run();
  }

  void token(std::uint64_t position, char c, std::size_t placement = 0) {
    say(tokens{position, {static_cast<token_id>(c)}, {}}, false, placement);
  }

  void stop(std::size_t placement = 0) {
    outcome end;
    end.finish = finish_reason::stop;
    say(end, true, placement);
  }

  std::string text() {
    std::string out;
    for (auto& t : bodies<tokens>(log))
      out += t.text;
    return out;
  }

  outcome end() {
    auto all = bodies<outcome>(log);
    REQUIRE(all.size() == 1);
    CHECK(log->back().last);
    return all[0];
  }

  std::shared_ptr<script> seen = std::make_shared<script>();
  answer_log log = make_log();
  session_host_actor host;
  sink me;
};

} // namespace

TEST_CASE_METHOD(fixture, "a session streams its tokens as text and ends with one outcome", "[actors][session]") {
  ask_for("hi");
  REQUIRE(seen->asked.size() == 1);
  CHECK(seen->asked[0].body.prompt == std::vector<token_id>{'h', 'i'});
  token(0, 'a');
  token(1, 'b');
  stop();
  CHECK(text() == "ab");
  auto e = end();
  CHECK(e.error == ec::none);
  CHECK(e.finish == finish_reason::stop);
  CHECK(e.prompt_tokens == 2);
  CHECK(e.completion_tokens == 2);
  CHECK(e.attempts == 1);
}

TEST_CASE_METHOD(fixture, "a lost placement is placed again with the tokens emitted so far", "[actors][session]") {
  ask_for("hi");
  token(0, 'a');
  say(failure{ec::peer_unreachable, 0, "gone"}, true);
  CHECK(seen->asked.size() == 1);
  advance(100ms);
  REQUIRE(seen->asked.size() == 2);
  CHECK(seen->asked[1].hdr.epoch == seen->asked[0].hdr.epoch + 1);
  CHECK(seen->asked[1].body.prompt == std::vector<token_id>{'h', 'i', 'a'});
  CHECK(seen->asked[1].body.max_tokens == 4);
  token(0, 'b', 1);
  stop(1);
  CHECK(text() == "ab");
  CHECK(end().attempts == 2);
}

TEST_CASE_METHOD(fixture, "answers of an older placement are dropped", "[actors][session]") {
  ask_for("hi");
  token(0, 'a');
  say(failure{ec::peer_unreachable, 0, "gone"}, true);
  advance(100ms);
  token(1, 'x', 0);
  stop(0);
  CHECK(text() == "a");
  CHECK(bodies<outcome>(log).empty());
}

TEST_CASE_METHOD(fixture, "a repeated token is emitted once", "[actors][session]") {
  ask_for("hi");
  token(0, 'a');
  token(0, 'a');
  token(1, 'b');
  stop();
  CHECK(text() == "ab");
}

TEST_CASE_METHOD(fixture, "a session gives up when its peer stays away longer than its patience", "[actors][session]") {
  ask_for("hi");
  for (std::size_t i = 0; i < 100 && bodies<outcome>(log).empty(); ++i) {
    say(failure{ec::peer_unreachable, 0, "the cloud is gone"}, true, seen->asked.size() - 1);
    advance(100ms);
  }
  auto e = end();
  CHECK(e.error == ec::peer_unreachable);
  CHECK(e.error_text == "the cloud is gone");
  CHECK(seen->asked.size() >= 10);
  CHECK(seen->asked.size() <= 17);
}

TEST_CASE_METHOD(fixture, "a failure that no other placement can cure ends the session at once", "[actors][session]") {
  ask_for("hi");
  token(0, 'a');
  say(failure{ec::out_of_pages, 12, "no KV memory left"}, true);
  auto e = end();
  CHECK(e.error == ec::out_of_pages);
  CHECK(e.error_detail == 12);
  CHECK(e.completion_tokens == 1);
}

TEST_CASE_METHOD(fixture, "the deadline ends a session and frees what it holds", "[actors][session]") {
  ask_for("hi", 1, 300ms);
  token(0, 'a');
  advance(299ms);
  CHECK(bodies<outcome>(log).empty());
  advance(1ms);
  CHECK(end().error == ec::deadline_exceeded);
  CHECK(seen->cancelled == 1);
  stop();
  CHECK(bodies<outcome>(log).size() == 1);
}

TEST_CASE_METHOD(fixture, "a client that goes away cancels its session on the node that works for it",
                 "[actors][session]") {
  auto hdr = ask_for("hi");
  token(0, 'a');
  caf::anon_send(host, call<cancel>{hdr, {}, me});
  run();
  CHECK(end().error == ec::cancelled);
  CHECK(seen->cancelled == 1);
}

TEST_CASE_METHOD(fixture, "a prompt that cannot be answered is refused with the reason", "[actors][session]") {
  SECTION("a word the tokenizer does not know") {
    ask_for("bad");
    CHECK(end().error == ec::bad_request);
  }
  SECTION("an empty one") {
    ask_for("");
    CHECK(end().error == ec::bad_request);
  }
  SECTION("one longer than the context") {
    ask_for(std::string(64, 'x'));
    auto e = end();
    CHECK(e.error == ec::context_exceeded);
    CHECK(e.error_detail == 64);
  }
  CHECK(seen->asked.empty());
}

TEST_CASE_METHOD(fixture, "a chat is refused when the model has another template than the one that is rendered",
                 "[actors][session]") {
  header hdr{{0, 9}, 0, 0, 0, role::session_host, now() + 10s};
  generate g;
  g.how = strategy::split;
  g.prompt = "hi";
  g.max_tokens = 5;
  g.chat = true;
  caf::anon_send(host, call<generate>{hdr, g, me});
  run();
  CHECK(end().error == ec::unsupported);
  CHECK(seen->asked.empty());
}

TEST_CASE_METHOD(fixture, "the answer is cut to the context", "[actors][session]") {
  ask_for(std::string(62, 'x'));
  REQUIRE(seen->asked.size() == 1);
  CHECK(seen->asked[0].body.max_tokens == 2);
}

TEST_CASE_METHOD(fixture, "requests beyond the bound, of another strategy or during a drain are refused",
                 "[actors][session]") {
  ask_for("a", 1);
  ask_for("b", 2);
  auto refused = [&](auto&& act, ec code) {
    log->clear();
    act();
    auto f = bodies<failure>(log);
    REQUIRE(f.size() == 1);
    CHECK(f[0].code == code);
  };
  refused([&] { ask_for("c", 3); }, ec::queue_full);
  stop();
  refused([&] { ask_for("c", 3, 10s, strategy::pice); }, ec::unsupported);
  refused([&] { ask_for("d", 2); }, ec::bad_request);
  caf::anon_send(host, drain_atom::value);
  refused([&] { ask_for("c", 3); }, ec::shutting_down);
  CHECK(*ask<std::uint64_t>(host, stats_atom::value) == 1);
}
