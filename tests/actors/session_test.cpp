#include "actors/session/relay.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_system.hpp"
#include "tests/support/toy_tokenizer.hpp"

using namespace virga;
using namespace virga::testing;

namespace {

/// Each byte is a token.
struct byte_tokenizer : toy_tokenizer {
  std::vector<token_id> encode(std::string_view text, const models::encode_options&) const override {
    if (text == "bad")
      throw models::bad_segment("no such word");
    return {text.begin(), text.end()};
  }
  std::string text_of(token_id id, bool) const override { return {static_cast<char>(id)}; }
  std::uint32_t vocab_size() const override { return 128; }
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
    start_host();
    me = listen(log);
  }

  void start_host() {
    session_host_options o;
    o.node = "edge-1";
    o.config.max_sessions = 2;
    model_view view;
    view.tok = std::make_shared<byte_tokenizer>();
    view.stop = {0};
    view.context = 64;
    view.vocab = 128;
    view.chat_error = "t.jinja: line 1: the filter \"x\" cannot be run so far";
    o.sources = {{strategy::split, sys.spawn(scripted_source, seen), view, alone}};
    host = sys.spawn(make_session_host, o);
  }

  header ask_with(generate g, std::uint32_t epoch = 0) {
    header hdr{{0, 1}, epoch, 0, 0, role::session_host, now() + caf::timespan{10s}};
    g.how = strategy::split;
    g.max_tokens = 5;
    caf::anon_send(host, call<generate>{hdr, std::move(g), me});
    run();
    return hdr;
  }

  /// The host starts again with this chat template.
  void with_template(std::string_view source) {
    session_host_options o;
    o.node = "edge-1";
    model_view view;
    view.tok = std::make_shared<byte_tokenizer>();
    view.context = 64;
    view.chat = models::parse_chat_template(source, "{}", "t.jinja");
    o.sources = {{strategy::split, sys.spawn(scripted_source, seen), view}};
    host = sys.spawn(make_session_host, o);
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
  token_source alone{};
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

TEST_CASE_METHOD(fixture, "a session whose peer stays away goes on alone where it may, and marks what follows", "[actors][session]") {
  auto lone = std::make_shared<script>();
  alone = sys.spawn(scripted_source, lone);
  start_host();
  ask_for("hi");
  token(0, 'a');
  for (std::size_t i = 0; i < 100 && lone->asked.empty(); ++i) {
    say(failure{ec::peer_unreachable, 0, "the cloud is gone"}, true, seen->asked.size() - 1);
    advance(100ms);
  }
  REQUIRE(lone->asked.size() == 1);
  CHECK(lone->asked[0].body.prompt == std::vector<token_id>{'h', 'i', 'a'});
  auto& c = lone->asked[0];
  reply_to(c.reply, c.hdr, tokens{0, {'x', 'y'}, {}}, false);
  outcome last;
  last.finish = finish_reason::length;
  reply_to(c.reply, c.hdr, last);
  run();
  CHECK(text() == "axy");
  for (auto& piece : bodies<tokens>(log))
    CHECK(piece.unverified == (piece.position > 0));
  auto e = end();
  CHECK(e.error == ec::none);
  CHECK(e.completion_tokens == 3);
  CHECK(e.unverified_tokens == 2);
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

TEST_CASE_METHOD(fixture, "messages are rendered by the template of the model that answers", "[actors][session]") {
  with_template("{% for m in messages %}{{ m.role[0] }}:{{ m.content }};{% endfor %}{{ raise_exception('no') if messages[0].role == 'system' }}");
  generate g;
  SECTION("they become the prompt") {
    g.messages = {{"user", "hi"}, {"assistant", "yo"}};
    ask_with(g);
    REQUIRE(seen->asked.size() == 1);
    CHECK(std::string(seen->asked[0].body.prompt.begin(), seen->asked[0].body.prompt.end()) == "u:hi;a:yo;");
  }
  SECTION("what the template says against them reaches the client") {
    g.messages = {{"system", "hi"}};
    ask_with(g);
    CHECK(end().error == ec::bad_request);
    CHECK(end().error_text == "messages: no");
  }
}

TEST_CASE_METHOD(fixture, "messages for a model without a template are refused with the reason", "[actors][session]") {
  generate g;
  g.messages = {{"user", "hi"}};
  ask_with(g);
  CHECK(end().error == ec::unsupported);
  CHECK(end().error_text.find("the filter \"x\"") != std::string::npos);
  CHECK(end().error_text.find("/v1/completions") != std::string::npos);
  CHECK(seen->asked.empty());
}

TEST_CASE_METHOD(fixture, "a stop string ends the answer across tokens and stops the source", "[actors][session]") {
  generate g;
  g.prompt = "hi";
  g.stop = {"bcd"};
  ask_with(g);
  token(0, 'a');
  CHECK(text() == "a");
  token(1, 'b');
  token(2, 'c');
  CHECK(text() == "a");
  CHECK(seen->cancelled == 0);
  token(3, 'd');
  CHECK(seen->cancelled == 1);
  CHECK(bodies<outcome>(log).empty());
  token(4, 'e');
  outcome o;
  o.places = {{"edge-1", "all"}};
  o.round_trips = 4;
  SECTION("the source says where it was made") {
    say(o, true);
    CHECK(end().places.size() == 1);
    CHECK(end().round_trips == 4);
  }
  SECTION("or fails: the text is complete all the same") { say(failure{ec::peer_unreachable, 0, "gone"}, true); }
  SECTION("or is silent to the deadline") { advance(10s); }
  CHECK(end().error == ec::none);
  CHECK(end().finish == finish_reason::stop);
  CHECK(end().completion_tokens == 4);
  CHECK(text() == "a");
}

TEST_CASE_METHOD(fixture, "what looked like a stop string is shown at the end", "[actors][session]") {
  generate g;
  g.prompt = "hi";
  g.stop = {"bcd"};
  ask_with(g);
  token(0, 'b');
  token(1, 'c');
  CHECK(text() == "");
  stop();
  CHECK(text() == "bc");
  CHECK(end().completion_tokens == 2);
}

TEST_CASE_METHOD(fixture, "how tokens are chosen goes to the source, also which of them are the answer's", "[actors][session]") {
  generate g;
  g.prompt = "hi";
  g.choose.top_k = 3;
  g.choose.repetition_penalty = 1.5;
  ask_with(g);
  token(0, 'a');
  CHECK(seen->asked[0].body.choose.top_k == 3);
  CHECK(seen->asked[0].body.answered == 0);
  say(failure{ec::peer_unreachable, 0, "gone"}, true);
  advance(1s);
  REQUIRE(seen->asked.size() == 2);
  CHECK(seen->asked[1].body.prompt == std::vector<token_id>{'h', 'i', 'a'});
  CHECK(seen->asked[1].body.answered == 1);
}

TEST_CASE_METHOD(fixture, "sampling outside its ranges is refused before anything runs", "[actors][session]") {
  generate g;
  g.prompt = "hi";
  g.choose.logit_bias = {{128, 1}};
  ask_with(g);
  CHECK(end().error == ec::bad_request);
  CHECK(end().error_text.find("token 128") != std::string::npos);
  CHECK(seen->asked.empty());
}

TEST_CASE_METHOD(fixture, "an asker that comes back gets what it has not got, and what follows", "[actors][session]") {
  generate g;
  g.how = strategy::split;
  g.prompt = "hi";
  g.max_tokens = 5;
  auto hdr = ask_with(g, link_epochs);
  token(0, 'a');
  token(1, 'b');
  auto second = make_log();
  auto back = listen(second);
  hdr.epoch += link_epochs;
  g.answered = {'a'};
  caf::anon_send(host, call<generate>{hdr, g, back});
  run();
  token(2, 'c');
  stop();
  CHECK(seen->asked.size() == 1);
  CHECK(text() == "ab");
  auto closed = bodies<failure>(log);  // the former way
  REQUIRE(closed.size() == 1);
  CHECK(closed[0].code == ec::stale_epoch);
  auto pieces = bodies<tokens>(second);
  REQUIRE(pieces.size() == 2);
  CHECK(pieces[0].position == 1);
  CHECK(pieces[0].text == "b");
  CHECK(pieces[1].text == "c");
  REQUIRE(bodies<outcome>(second).size() == 1);
  CHECK(bodies<outcome>(second)[0].completion_tokens == 3);
  CHECK(*ask<std::uint64_t>(host, stats_atom::value) == 0);
}

TEST_CASE_METHOD(fixture, "a new session goes on behind the tokens that its asker has", "[actors][session]") {
  generate g;
  g.prompt = "hi";
  g.stop = {"bc"};
  g.answered = {'a', 'b'};
  SECTION("its text also knows what they held back") {
    ask_with(g);
    REQUIRE(seen->asked.size() == 1);
    CHECK(seen->asked[0].body.prompt == std::vector<token_id>{'h', 'i', 'a', 'b'});
    CHECK(seen->asked[0].body.max_tokens == 3);
    CHECK(seen->asked[0].body.answered == 2);
    token(0, 'x');
    stop();
    CHECK(text() == "bx");
    CHECK(bodies<tokens>(log)[0].position == 2);
    CHECK(end().completion_tokens == 3);
  }
  SECTION("when only the outcome was lost, nothing runs") {
    g.answered = {'a', 'b', 'c'};
    ask_with(g);
    CHECK(seen->asked.empty());
    CHECK(end().finish == finish_reason::stop);
    CHECK(text().empty());
  }
  SECTION("tokens outside the vocabulary are refused") {
    g.answered = {128};
    ask_with(g);
    CHECK(end().error == ec::bad_request);
    CHECK(seen->asked.empty());
  }
}

TEST_CASE_METHOD(fixture, "log-probabilities come with the texts of their tokens", "[actors][session]") {
  ask_for("hi");
  tokens piece{0, {'a'}, {}};
  piece.logprobs = {{{'a', -0.5}, {{'a', -0.5}, {'b', -2}}}};
  say(piece, false);
  auto told = bodies<tokens>(log);
  REQUIRE(told.size() == 1);
  REQUIRE(told[0].logprobs.size() == 1);
  CHECK(told[0].logprobs[0].chosen.text == "a");
  CHECK(told[0].logprobs[0].top.at(1).text == "b");
  CHECK(told[0].logprobs[0].top.at(1).logprob == -2);
}

namespace {

/// An edge's host; the peer's is the test.
struct relaying : sim {
  relaying() {
    session_host_options o;
    o.node = "edge-1";
    auto heard = asked;
    auto stopped = cancelled;
    peer = sys.spawn([heard, stopped]() -> session_host::behavior_type {
      return {[heard](call<generate>& c) { heard->push_back(std::move(c)); },
              [stopped](call<cancel>& c) { stopped->push_back(c.hdr); }};
    });
    o.relayed = {{strategy::cloud}, peer};
    host = sys.spawn(make_session_host, o);
    me = listen(log);
    generate g;
    g.how = strategy::cloud;
    g.prompt = "hi";
    g.max_tokens = 5;
    hdr = {{0, 1}, 0, 0, 0, role::session_host, now() + caf::timespan{10s}};
    caf::anon_send(host, call<generate>{hdr, g, me});
    run();
    REQUIRE(asked->size() == 1);
  }

  template <class Body>
  void say(Body body, bool last) {
    auto& c = asked->back();
    caf::anon_send(c.reply, answer{c.hdr, answer_body{std::move(body)}, last, wire});
    run();
  }

  std::shared_ptr<std::vector<call<generate>>> asked = std::make_shared<std::vector<call<generate>>>();
  std::shared_ptr<std::vector<header>> cancelled = std::make_shared<std::vector<header>>();
  answer_log log = make_log();
  session_host peer;
  session_host_actor host;
  sink me;
  header hdr;
  traffic wire;
};

} // namespace

TEST_CASE_METHOD(relaying, "a relayed answer survives its link: each token is told once", "[actors][session]") {
  wire.bytes_up = 100;
  wire.bytes_down = 40;
  say(tokens{0, {1}, "a"}, false);
  say(tokens{1, {2}, "b"}, false);
  say(failure{ec::peer_unreachable, 0, "the link is down"}, true);
  advance(100ms);
  REQUIRE(asked->size() == 2);
  CHECK(asked->at(1).body.answered == std::vector<token_id>{1, 2});
  CHECK(asked->at(1).hdr.epoch == asked->at(0).hdr.epoch + link_epochs);
  say(tokens{1, {2}, "b"}, false);  // a repeat
  say(tokens{2, {3}, "c"}, false);
  say(tokens{3, {}, "!"}, false);
  say(failure{ec::peer_unreachable, 0, "the link is down"}, true);
  advance(100ms);
  say(tokens{3, {}, "!"}, false);
  outcome o;
  o.finish = finish_reason::stop;
  o.attempts = 2;
  o.completion_tokens = 3;
  say(o, true);
  std::string text;
  for (auto& t : bodies<tokens>(log))
    text += t.text;
  CHECK(text == "abc!");
  auto ends = bodies<outcome>(log);
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].error == ec::none);
  CHECK(ends[0].completion_tokens == 3);
  CHECK(ends[0].attempts == 4);
  CHECK(ends[0].round_trips == 3);
  CHECK(ends[0].bytes_up == 900);
  CHECK(ends[0].bytes_down == 360);
}

TEST_CASE_METHOD(relaying, "an end that comes before its last token is not the end", "[actors][session]") {
  say(tokens{0, {1}, "a"}, false);
  outcome o;
  o.finish = finish_reason::length;
  o.completion_tokens = 2;
  say(o, true);
  CHECK(bodies<outcome>(log).empty());
  advance(100ms);
  REQUIRE(asked->size() == 2);
  CHECK(asked->at(1).body.answered == std::vector<token_id>{1});
  say(tokens{1, {2}, "b"}, false);
  say(o, true);
  REQUIRE(bodies<outcome>(log).size() == 1);
  CHECK(bodies<outcome>(log)[0].completion_tokens == 2);
}

TEST_CASE_METHOD(relaying, "a relay gives up after its patience and at its deadline", "[actors][session]") {
  SECTION("patience") {
    for (int i = 0; i < 40 && bodies<outcome>(log).empty(); ++i) {
      say(failure{ec::peer_unreachable, 0, "the link is down"}, true);
      advance(100ms);
    }
    REQUIRE(bodies<outcome>(log).size() == 1);
    CHECK(bodies<outcome>(log)[0].error == ec::peer_unreachable);
    CHECK(asked->size() <= 17);
    CHECK(cancelled->size() == 1);  // the link may be back by now
  }
  SECTION("deadline") {
    advance(10s);
    REQUIRE(bodies<outcome>(log).size() == 1);
    CHECK(bodies<outcome>(log)[0].error == ec::deadline_exceeded);
    CHECK(cancelled->size() == 1);
  }
}

TEST_CASE_METHOD(relaying, "what the peer refuses and what the client cancels ends a relay at once", "[actors][session]") {
  ec expected = ec::none;
  SECTION("refused") {
    say(failure{ec::queue_full, 7, "full"}, true);
    expected = ec::queue_full;
  }
  SECTION("cancelled") {
    caf::anon_send(host, call<cancel>{hdr, {}, me});
    run();
    CHECK(cancelled->at(0).epoch == asked->at(0).hdr.epoch);
    expected = ec::cancelled;
  }
  REQUIRE(bodies<outcome>(log).size() == 1);
  CHECK(bodies<outcome>(log)[0].error == expected);
  CHECK(asked->size() == 1);
}

TEST_CASE_METHOD(relaying, "a relay is found again by the relay that asked it", "[actors][session]") {
  generate g;
  g.how = strategy::cloud;
  g.prompt = "hi";
  g.max_tokens = 5;
  hdr.session = {0, 2};
  hdr.epoch = link_epochs;
  caf::anon_send(host, call<generate>{hdr, g, me});
  run();
  say(tokens{0, {1}, "a"}, false);
  say(tokens{1, {2}, "b"}, false);
  auto second = make_log();
  auto back = listen(second);
  g.answered = {1};
  hdr.epoch += link_epochs;
  caf::anon_send(host, call<generate>{hdr, g, back});
  run();
  say(tokens{2, {3}, "c"}, false);
  outcome o;
  o.finish = finish_reason::stop;
  o.completion_tokens = 3;
  say(o, true);
  CHECK(asked->size() == 2);  // the other session's, and this one's only asking
  REQUIRE(bodies<failure>(log).size() == 1);
  CHECK(bodies<failure>(log)[0].code == ec::stale_epoch);
  auto pieces = bodies<tokens>(second);
  REQUIRE(pieces.size() == 2);
  CHECK(pieces[0].text == "b");
  CHECK(pieces[1].text == "c");
  CHECK(bodies<outcome>(second).size() == 1);
}

TEST_CASE_METHOD(fixture, "a session is its opener's: no other peer takes it over or ends it", "[actors][session]") {
  generate g;
  g.how = strategy::split;
  g.prompt = "hi";
  g.max_tokens = 5;
  header hdr{{0, 9}, link_epochs, 0, 0, role::session_host, now() + caf::timespan{10s}};
  caf::anon_send(host, call<generate>{hdr, g, me, "edge-1"});
  run();
  token(0, 'a');
  auto stolen = make_log();
  auto thief = listen(stolen);
  hdr.epoch += link_epochs;
  caf::anon_send(host, call<generate>{hdr, g, thief, "edge-2"});
  caf::anon_send(host, call<cancel>{hdr, {}, thief, "edge-2"});
  run();
  REQUIRE(bodies<failure>(stolen).size() == 1);
  CHECK(bodies<failure>(stolen)[0].code == ec::unknown_session);
  CHECK(bodies<tokens>(stolen).empty());
  token(1, 'b');
  stop();
  CHECK(text() == "ab");
  CHECK(end().error == ec::none);
}
