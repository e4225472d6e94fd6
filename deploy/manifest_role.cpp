#include "deploy/manifest_role.hpp"

#include <algorithm>

namespace virga::deploy {
namespace {

constexpr std::size_t max_nodes = 64;  // of one role

/// What a drafter is told: `split` drafts nothing and sends a prompt whole, `hat` drafts and asks the cloud for the chunk.
void drafting(std::optional<yaml_map> y, role_entry& r, mark at) {
  auto& d = r.draft;
  const bool hat = r.serves == strategy::hat;
  if (hat)
    d.most = 6, d.chunk_rows = 0;
  if (!y)
    return;
  if (r.kind != role::drafter)
    y->fail(at, "only a drafter has `draft`: leave it out");
  auto whole = [&](const char* key, std::uint32_t fallback, range allowed) {
    return static_cast<std::uint32_t>(y->whole(key, fallback, allowed));
  };
  constexpr std::array dtypes{dtype::f64, dtype::f32, dtype::bf16, dtype::f16, dtype::i8_rows};
  if (auto i = y->choice("wire", dtypes.size(), {"f64", "f32", "bf16", "f16", "i8_rows"}); i < dtypes.size())
    r.wire = dtypes[i];
  r.split = {y->whole("split", 0, {0, 65'536}), y->at("split")};
  d.chunk_rows = whole("chunk_rows", 0, {0, 65'536});
  if (!hat && d.chunk_rows == 0)
    d.chunk_rows = whole_prompt;
  d.chunks_in_flight = whole("chunks_in_flight", d.chunks_in_flight, {1, 64});
  for (auto key : {"tokens", "unsure_below", "length", "bonus_guesses", "last_guesses", "ahead", "outage"})
    if (y->has(key) && !hat)
      y->fail(y->at(key), "`" + std::string(key)
                            + "` is about drafting, and a drafter that serves split drafts nothing: let it serve hat");
  auto most = whole("tokens", 6, {1, 64});
  d.most = hat ? most : 0;
  d.unsure_below = y->number("unsure_below", d.unsure_below, {0, 2});
  d.adapt = y->choice("length", 0, {"adapt", "fixed"}) == 0;
  d.bonus_guesses = whole("bonus_guesses", d.bonus_guesses, {0, 8});
  d.last_guesses = whole("last_guesses", d.last_guesses, {0, 8});
  d.ahead = y->choice("ahead", 0, {"adapt", "never"}) == 0;
  d.goes_on_alone = y->choice("outage", 0, {"wait", "unverified"}) == 1;
  y->finish();
}

marked<std::string> node_name(const YAML::Node& yaml, const std::string& key, problems& found) {
  if (yaml.IsScalar() && !yaml.Scalar().empty())
    return {yaml.Scalar(), mark_of(yaml)};
  found.push_back({mark_of(yaml), "`" + key + "` of role must list names of nodes"});
  return {};
}

} // namespace

role_entry read_role(const YAML::Node& yaml, node_kind kind, problems& found) {
  yaml_map y(yaml, "role", found);
  role_entry r;
  r.at = y.at();
  constexpr std::array kinds{role::generator, role::drafter, role::verifier};
  r.kind = kinds[y.choice("role", std::nullopt, {"generator", "drafter", "verifier"})];
  r.serves = r.kind != role::generator ? strategy::split
             : kind == node_kind::cloud ? strategy::cloud : strategy::edge;
  constexpr std::array strategies{strategy::cloud, strategy::edge, strategy::split, strategy::hat};
  auto usual = static_cast<std::size_t>(std::find(strategies.begin(), strategies.end(), r.serves) - strategies.begin());
  r.serves = strategies[y.choice("serves", usual, {"cloud", "edge", "split", "hat"})];
  drafting(y.map("draft", "draft"), r, y.at("draft"));
  if (auto v = y.map("verify", "verify")) {
    r.chunk_rows = static_cast<std::uint32_t>(v->whole("chunk_rows", 512, {0, 65'536}));
    v->finish();
    if (r.kind != role::verifier)
      y.fail(y.at("verify"), "only a verifier has `verify`: leave it out");
  }
  for (const char* key : {"replicas", "pipeline"})
    y.list(key, false, max_nodes, [&](const YAML::Node& n) { r.nodes.push_back(node_name(n, key, found)); });
  r.in_turn = y.has("pipeline");
  if (r.in_turn && y.has("replicas"))
    y.fail(y.at("replicas"),
           "`replicas` each hold all of a role, the nodes of a `pipeline` a part each: keep one of the two");
  if (y.has("engine") && !r.nodes.empty())
    y.fail(y.at("engine"), "a role that other nodes do has no `engine` here: keep `engine` or `"
                             + std::string(r.in_turn ? "pipeline" : "replicas") + "`");
  if (r.nodes.empty() || y.has("engine"))
    r.engine = y.name("engine");
  y.finish();
  return r;
}

} // namespace virga::deploy
