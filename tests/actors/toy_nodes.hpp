// tests/actors/toy_nodes.hpp: whole nodes with toy shards in one actor system; the pipe between cloud and edge is simulated.
#pragma once

#include "actors/node/node_state.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/sim_pipe.hpp"
#include "tests/support/sim_system.hpp"
#include "tests/support/toy_shard.hpp"
#include "tests/support/toy_tokenizer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga::testing {

using models::stage;
using models::stage_kind;

/// Token t is the character ' ' + t.
struct character_tokenizer final : toy_tokenizer {
  std::vector<token_id> encode(std::string_view text, const models::encode_options&) const override {
    std::vector<token_id> out;
    for (char c : text)
      out.push_back(static_cast<token_id>(c - ' '));
    return out;
  }
  std::string text_of(token_id id, bool) const override { return {static_cast<char>(' ' + static_cast<int>(id))}; }
};

inline std::string toy_text(const std::string& prompt, std::size_t n) {
  const character_tokenizer tok;
  return tok.decode(toy_answer(tok.encode(prompt, {}), n));
}

inline engine_config toy_engine(const std::string& name, std::vector<stage> stages) {
  toy_options toy;
  toy.stages = std::move(stages);
  engine_config c;
  c.name = name;
  c.make = [toy]() -> std::unique_ptr<models::shard> { return std::make_unique<toy_shard>(toy); };
  c.charge = [](std::uint64_t) { return 10ms; };
  c.detached = false;
  return c;
}

inline role_config toy_role(role kind, strategy serves, const std::string& engine_name, std::uint32_t stage_count) {
  role_config r;
  r.kind = kind;
  r.serves = serves;
  r.engine = engine_name;
  r.view.tok = std::make_shared<character_tokenizer>();
  r.view.context = 256;
  r.model_digest = std::string(64, 'd');
  r.first_layer = 1;
  r.last_layer = 4;
  r.hidden = toy_shard::hidden;
  r.stage_count = stage_count;
  return r;
}

inline const std::vector<stage> whole{{stage_kind::embedding}, {stage_kind::layers, 0, 4}, {stage_kind::head}};
inline const std::vector<stage> device{{stage_kind::embedding}, {stage_kind::layers, 0, 1}, {stage_kind::head}};
inline const std::vector<stage> middle{{stage_kind::layers, 1, 4}};

inline node_config cloud_config() {
  node_config c;
  c.name = "cloud-1";
  c.site = "cloud";
  c.kind = node_kind::cloud;
  c.engines = {toy_engine("cloud", whole), toy_engine("middle", middle)};
  c.roles = {toy_role(role::generator, strategy::cloud, "cloud", 3), toy_role(role::verifier, strategy::split, "middle", 1)};
  c.links.resize(1);
  c.links[0].peer_site = "home";
  c.links[0].peer_node = "edge-1";
  c.links[0].dial = false;
  c.seed = 1;
  return c;
}

inline node_config edge_config() {
  node_config c;
  c.name = "edge-1";
  c.site = "home";
  c.engines = {toy_engine("small", whole), toy_engine("device", device)};
  c.roles = {toy_role(role::generator, strategy::edge, "small", 3), toy_role(role::drafter, strategy::split, "device", 3)};
  c.links.resize(1);
  c.links[0].peer_site = "cloud";
  c.links[0].peer_node = "cloud-1";
  c.seed = 2;
  return c;
}

/// One cloud and one edge.
struct two_nodes : sim {
  two_nodes() { spdlog::set_level(spdlog::level::off); }
  ~two_nodes() {
    for (auto& n : {edge, cloud})
      if (n)
        end(n);
    advance(3s);
  }

  node_actor start(node_config c) { return sys.spawn(make_node, std::move(c), parts); }
  void start_edge() { edge = start(edge_config()); }
  void start_both() {
    cloud = start(cloud_config());
    start_edge();
    advance(2s);
  }

  static node_state& state_of(const node_actor& n) {
    using instance = caf::stateful_actor<node_state, node_actor::base>;
    return static_cast<instance*>(caf::actor_cast<caf::abstract_actor*>(n))->state;
  }
  node_status status(const node_actor& n) { return *ask<node_status>(n, stats_atom::value); }
  role_report report(const node_actor& n, const std::string& name) {
    const auto s = status(n);
    const auto it = std::ranges::find(s.roles, name, &role_report::name);
    REQUIRE(it != s.roles.end());
    return *it;
  }
  void crash_role(const node_actor& n, const std::string& name) { crash(state_of(n).find(name)); }

  struct asked {
    answer_log log;
    sink listener;
    std::string text() const {
      std::string out;
      for (const auto& t : bodies<tokens>(log))
        out += t.text;
      return out;
    }
    bool complete() const { return !log->empty() && log->back().last; }
    outcome end() const {
      const auto all = bodies<outcome>(log);
      if (!all.empty())
        return all.back();
      outcome o;
      o.error = bodies<failure>(log).back().code;
      return o;
    }
  };

  /// Asks as a gateway of this node does.
  asked prompt(const node_actor& n, strategy how, const std::string& text, std::uint32_t max_tokens,
               caf::timespan remaining = 20s) {
    const auto stubs = *ask<node_stubs>(n, roles_atom::value);
    auto log = make_log();
    auto to = listen(log);
    generate g;
    g.how = how;
    g.prompt = text;
    g.max_tokens = max_tokens;
    header hdr{{9, ++sessions}, 0, 0, 0, role::session_host, now() + remaining};
    caf::anon_send(stubs.sessions, call<generate>{hdr, g, to});
    run();
    return {log, to};
  }
  bool await(const asked& a) { return advance_until([&] { return a.complete(); }, 30s); }

  /// Watches how a node ends.
  std::shared_ptr<std::optional<caf::error>> watch(const node_actor& n) {
    auto out = std::make_shared<std::optional<caf::error>>();
    watchers.push_back(sys.spawn([out, n](caf::event_based_actor* self) -> caf::behavior {
      self->set_down_handler([out, self](const caf::down_msg& d) {
        *out = d.reason;
        self->quit();
      });
      self->monitor(n);
      return {[](caf::unit_t) {}};
    }));
    run();
    return out;
  }

  std::shared_ptr<sim_pipe> pipe = std::make_shared<sim_pipe>(sys, "edge-1", "cloud-1", pipe_shape{5ms}, 1);
  node_parts parts{[this](const link_config& c, pipe_events events) {
                     return pipe->attach(c.dial ? sim_pipe::dialer : sim_pipe::acceptor, std::move(events));
                   },
                   {}, {}};
  node_actor cloud, edge;
  std::vector<caf::actor> watchers;
  std::uint64_t sessions = 0;
};

using strategies = std::vector<strategy>;

} // namespace virga::testing
