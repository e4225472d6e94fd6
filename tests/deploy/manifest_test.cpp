#include "deploy/failures.hpp"
#include "deploy/plan.hpp"
#include "tests/deploy/scratch.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace virga::deploy;

namespace {

const std::string model = VIRGA_SOURCE_DIR "/tests/parity/fixtures/mha-tied";
const std::string other_model = VIRGA_SOURCE_DIR "/tests/parity/fixtures/gqa-untied";

/// Sound; LARGE stands for a model of 3 layers. Line numbers matter to the tests below.
const std::string sound = R"(virga: 1
deployment: tiny
nodes:
  - name: cloud-1
    site: cloud
    kind: cloud
    listen: {port: 7070}
    gateway: {port: 8080}
    engines:
      - {name: whole, model: LARGE}
      - {name: middle, model: LARGE, stages: "1-2"}
    roles:
      - {role: generator, engine: whole}
      - {role: verifier, engine: middle}
  - name: edge-1
    kind: edge
    gateway: {port: 8081}
    engines:
      - name: small
        model: OTHER
      - name: device
        model: LARGE
        stages: "embedding,0-0,head"
    roles:
      - {role: generator, engine: small}
      - {role: drafter, engine: device}
links:
  - {from: edge-1, to: cloud-1, rtt_ms: 20}
)";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
    text.replace(at, what.size(), by);
  return text;
}

/// The lines that a person sees for this manifest, without the file's name; empty when it is sound.
std::string complaints(const std::string& text) {
  scratch dir;
  auto file = dir.write("m.yaml", replaced(replaced(text, "LARGE", model), "OTHER", other_model));
  try {
    load_checked(file);
    return "";
  } catch (const std::exception& e) {
    return replaced(e.what(), file.string() + ":", "");
  }
}

std::string complaints(const std::string& what, const std::string& by) {
  REQUIRE(sound.find(what) != std::string::npos);
  return complaints(replaced(sound, what, by));
}

} // namespace

TEST_CASE("a sound manifest has no complaints", "[deploy][manifest]") { CHECK(complaints(sound) == ""); }

TEST_CASE("each mistake is named with its line, its column, both values and the cure", "[deploy][manifest]") {
  struct mistake {
    std::string what, by, says;
  };
  auto m = GENERATE(values<mistake>({
    {"virga: 1", "virga: 2", "1:8: `virga` of the manifest is `2`: give a whole number from 1 to 1"},
    {"deployment: tiny", "deployment: ../x", "2:13: `deployment` of the manifest is `../x`: use 1 to 63 letters"},
    {"    kind: edge", "    kind: fog", "16:11: `kind` of node is `fog`: give one of cloud, edge"},
    {"    kind: edge", "    kind: edge\n    colour: red", "17:5: unknown key `colour` in node; known are: engines, gateway"},
    {"    kind: edge", "    kind: edge\n    kind: edge", "17:5: `kind` stands twice in node: keep one"},
    {"port: 8081", "port: 70000", "17:21: `port` of gateway is `70000`: give a whole number from 0 to 65535"},
    {"port: 8081", "port: -1", "17:21: `port` of gateway is `-1`"},
    {"port: 8081", "port: 8080", "17:14: port 8080 is already cloud-1's gateway port: give edge-1's gateway another"},
    {"port: 8081", "host: 0.0.0.0, port: 7070", "port 7070 is already cloud-1's listen port"},
    {"port: 8081", "host: 0.0.0.0, port: 9", "17:14: the gateway of edge-1 listens on 0.0.0.0 where others can reach it: add"},
    {"name: edge-1\n", "name: cloud-1\n", "15:11: node `cloud-1` stands already in line 4"},
    {"    kind: edge", "    site: cloud\n    kind: edge", "16:11: site `cloud` has cloud and edge nodes (cloud-1, edge-1)"},
    {"model: OTHER", "model: OTHER\n        device: gpu", "21:17: device `gpu`: known are cpu and cuda:N"},
    {"model: OTHER", "model: OTHER\n        device: cuda:0\n        shard: reference", "21:17: `shard: reference` computes on the processor"},
    {"model: OTHER", "model: OTHER\n        device: cuda:0\n        dtype: int4", "21:17: a GPU computes in bf16, f32 or f64: take `dtype: bf16`"},
    {"model: OTHER", "model: OTHER\n        device: cuda:0", "node edge-1 has engines on cuda:0 and cpu"},
    {"engine: small", "engine: smal", "25:35: node edge-1 has no engine `smal`: it has device, small"},
    {"engine: small", "engine: smal", "19:15: no role of edge-1 uses engine `small`"},
    {"role: generator, engine: small", "role: generator, serves: pice, engine: small",
     "25:35: `serves` of role is `pice`: give one of cloud, edge, split, hat"},
    {"role: generator, engine: small", "role: generator, serves: hat, engine: small", "25:9: a generator for hat cannot run on edge-1"},
    {"role: generator, engine: small", "role: generator, engine: small, draft: {tokens: 3}", "only a drafter has `draft`"},
    {"role: drafter, engine: device", "role: drafter, engine: device, verify: {chunk_rows: 3}", "only a verifier has `verify`"},
    {"role: drafter, engine: device", "role: drafter, engine: device, draft: {tokens: 3}",
     "`tokens` is about drafting, and a drafter that serves split drafts nothing: let it serve hat"},
    {"role: drafter, engine: device", "role: drafter, serves: hat, engine: device",
     "to draft for hat it needs an `adapter` (`virga train adapter` makes one), or"},
    {"role: drafter, engine: device", "role: drafter, serves: hat, engine: device, draft: {tokens: 65}",
     "`tokens` of draft is `65`: give a whole number from 1 to 64"},
    {"role: drafter, engine: device", "role: drafter, engine: device, draft: {wire: f8}", "give one of f64, f32, bf16, f16, i8_rows"},
    {"role: drafter, engine: device", "role: drafter, engine: device, draft: {split: 2}", "`split: 2` needs the layers before that one"},
    {"\"embedding,0-0,head\"", "\"embedding,0-0,head\"\n        adapter: nowhere", "nowhere: is no folder; give the folder that"},
    {"role: generator, engine: small", "role: verifier, engine: small", "25:9: a verifier for split cannot run on edge-1"},
    {"rtt_ms: 20", "rtt_ms: nan", "28:41: `rtt_ms` of link is `nan`: give a number from 0 to 10000"},
    {"rtt_ms: 20", "heartbeat_ms: 500, dead_after_ms: 600", "28:67: `dead_after_ms` is 600 and `heartbeat_ms` is 500"},
    {"to: cloud-1", "to: cloud-2", "28:24: `to` of the link is `cloud-2`: there is no such node"},
    {"from: edge-1", "from: cloud-1", "28:12: `from` of the link is `cloud-1`, a cloud node: links go from an edge"},
    {"    listen: {port: 7070}\n", "", "node `cloud-1` accepts no links: add `listen: {port: 7070}` to it"},
    {"links:\n  - {from: edge-1, to: cloud-1, rtt_ms: 20}\n", "", "26:9: edge-1 drafts for split, but no cloud node"},
    {"\"1-2\"", "\"0-1\"", "do not complete each other: the device leaves layers 1-2 to the cloud, which holds layers 0-1"},
    {"\"1-2\"", "\"1-7\"", ": stages \"1-7\": there are no layers 1-7"},
    {"\"embedding,0-0,head\"", "\"embedding,0-0,2-2,head\"", "holds embedding, layers 0-0, layers 2-2, head: a drafter needs"},
    {"\"embedding,0-0,head\"", "\"embedding,0-0\"", "engine `device` holds embedding, layers 0-0: a drafter needs"},
    {"        model: LARGE\n        stages: \"embedding,0-0,head\"", "        model: OTHER\n        stages: \"embedding,0-0,head\"",
     "come from different models"},
    {"        model: LARGE\n", "        model: LARGE\n        dtype: f64\n", "compute in f64 and f32: give both the same dtype"},
    {"        model: LARGE\n", "        model: LARGE\n        kv_dtype: int8\n", "keep keys and values in i8_rows and f32: give both the same kv_dtype"},
    {"        model: OTHER\n", "        model: OTHER\n        kv_dtype: int4\n", "is `int4`: give one of f32, bf16, int8"},
    {"        model: OTHER\n", "        model: OTHER\n        shard: reference\n        kv_dtype: int8\n", "leave it out beside"},
    {"        model: OTHER\n", "        model: OTHER\n        prefix_cache: yes\n", "is `yes`: give one of shared, none"},
    {"        model: OTHER\n", "        model: OTHER\n        dtype: int2\n", "is `int2`: give one of f64, f32, bf16, int8, int4"},
    {"        model: OTHER\n", "        model: OTHER\n        dtype: bf16\n        shard: reference\n",
     "`shard: reference` computes in f64 and f32 only"},
    {"        model: OTHER\n", "        model: nowhere\n", "20:16: "},
    {"nodes:\n", "security: {certs: nowhere}\nnodes:\n", "3:19: "},
    {"    kind: edge", "    machine: home\n    kind: edge", "`certs: auto` makes certificates on one machine, the manifest has 2"},
    {"    kind: edge", "\tkind: edge", "16:1: this is no YAML: "},
    {"    kind: edge", "    kind: &k edge", "16:11: anchors and aliases (& and *) are not allowed"},
    {"    kind: edge", "    kind: !!python/object edge", "16:11: tags (!...) are not allowed"},
    {"    kind: edge", "    kind: [", "this is no YAML: "},
    {"links:\n", "---\nlinks:\n", "more than one document"},
    {"    kind: edge\n", "", "15:5: node has no `kind`: add it"},
  }));
  auto said = complaints(m.what, m.by);
  INFO(said);
  CHECK(said.find(m.says) != std::string::npos);
}

namespace {

/// A front, two replicas of the whole model, and two stages of the layers that the edge leaves.
const std::string cluster = R"(virga: 1
deployment: tiny
nodes:
  - name: front
    site: cloud
    kind: cloud
    listen: {port: 7070}
    roles:
      - {role: generator, replicas: [replica-1, replica-2]}
      - {role: verifier, pipeline: [stage-1, stage-2]}
  - name: replica-1
    site: cloud
    kind: cloud
    site_listen: {port: 7171}
    engines: [{name: whole, model: LARGE}]
    roles: [{role: generator, engine: whole}]
  - name: replica-2
    site: cloud
    kind: cloud
    site_listen: {port: 7172}
    engines: [{name: whole, model: LARGE}]
    roles: [{role: generator, engine: whole}]
  - name: stage-1
    site: cloud
    kind: cloud
    site_listen: {port: 7173}
    engines: [{name: middle, model: LARGE, stages: "1-1"}]
    roles: [{role: verifier, engine: middle}]
  - name: stage-2
    site: cloud
    kind: cloud
    site_listen: {port: 7174}
    engines: [{name: middle, model: LARGE, stages: "2-2"}]
    roles: [{role: verifier, engine: middle}]
  - name: edge-1
    kind: edge
    engines: [{name: device, model: LARGE, stages: "embedding,0-0,head"}]
    roles: [{role: drafter, engine: device}]
links:
  - {from: edge-1, to: front}
)";

} // namespace

TEST_CASE("a cloud of several nodes is sound, and becomes neighbours and parts of roles", "[deploy][manifest]") {
  CHECK(complaints(cluster) == "");
  scratch dir;
  auto m = load_checked(dir.write("m.yaml", replaced(cluster, "LARGE", model)));
  model_parts parts;
  auto front = make_node_config(m, "front", {dir.path / "run"}, parts);
  REQUIRE(front.roles.size() == 2);
  CHECK(front.roles[0].parts.at(0).nodes == std::vector<std::string>{"replica-1", "replica-2"});
  REQUIRE(front.roles[1].parts.size() == 2);
  CHECK(front.roles[1].parts[1].nodes == std::vector<std::string>{"stage-2"});
  CHECK(front.roles[1].parts[1].first_layer == 2);
  CHECK(front.roles[1].first_layer == 1);
  CHECK(front.roles[1].last_layer == 3);
  REQUIRE(front.neighbours.size() == 4);
  CHECK(front.neighbours[3].port == 7174);
  CHECK(front.engines.empty());
  auto stage = make_node_config(m, "stage-1", {dir.path / "run"}, parts);
  REQUIRE(stage.neighbours.size() == 1);
  CHECK_FALSE(stage.neighbours[0].dial);
  CHECK(stage.site_port == 7173);
  auto text = replaced(replaced(cluster, "LARGE", model), "pipeline: [stage-1, stage-2]", "replicas: [stage-1]");
  CHECK(make_node_config(load_manifest(dir.write("n.yaml", text)), "stage-2", {dir.path / "run"}, parts).site_port == 0);  // nobody comes
}

TEST_CASE("mistakes in a cloud of several nodes are named like all others", "[deploy][manifest]") {
  struct mistake {
    std::string what, by, says;
  };
  auto m = GENERATE(values<mistake>({
    {"replicas: [replica-1, replica-2]", "replicas: [replica-1, replica-3]", "9:49: node `replica-3` is to do a role of front: there is no such node"},
    {"replicas: [replica-1, replica-2]", "replicas: [replica-1, replica-1]", "9:49: node `replica-1` stands twice: keep one"},
    {"replicas: [replica-1, replica-2]", "replicas: [replica-1, front]", "9:49: node `front` is this node itself: name other nodes of site `cloud`"},
    {"replicas: [replica-1, replica-2]", "replicas: [replica-1, edge-1]", "9:49: node `edge-1` is of site `edge-1`: name other nodes of site `cloud`"},
    {"replicas: [replica-1, replica-2]", "replicas: [replica-1, stage-1]", "9:49: node `stage-1` does not do the role `generator` itself: add it there"},
    {"replicas: [replica-1, replica-2]", "replicas: [replica-1], engine: whole", "9:58: a role that other nodes do has no `engine` here"},
    {"replicas: [replica-1, replica-2]", "replicas: [replica-1], pipeline: [replica-2]", "9:37: `replicas` each hold all of a role"},
    {"replicas: [replica-1, replica-2]", "pipeline: [replica-1, replica-2]", "9:9: a generator cannot be cut over nodes: use `replicas`"},
    {"replicas: [replica-1, replica-2]", "replicas: replica-1", "9:37: `replicas` of role must be a list"},
    {"replicas: [replica-1, replica-2]", "replicas: [[replica-1]]", "`replicas` of role must list names of nodes"},
    {", replicas: [replica-1, replica-2]", "", "9:9: role has no `engine`: add it"},
    {"pipeline: [stage-1, stage-2]", "pipeline: [stage-2, stage-1]", "10:46: engine `middle` of stage-2 and engine `middle` of stage-1, which do one role of front,"
                                                                  " hold layers 2-2 and layers 1-1: the second must begin with layer 3"},
    {"pipeline: [stage-1, stage-2]", "replicas: [stage-1, stage-2]", "hold layers 1-1 and layers 2-2: give both the same layers, or use `pipeline`"},
    {"pipeline: [stage-1, stage-2]", "replicas: [stage-1]", "do not complete each other: the device leaves layers 1-2 to the cloud, which holds layers 1-1"},
    {"model: LARGE, stages: \"2-2\"", "model: LARGE, dtype: f64, stages: \"2-2\"", "compute in f32 and f64: give both the same dtype"},
    {"site_listen: {port: 7172}\n    engines: [{name: whole, model: LARGE}]", "site_listen: {port: 7172}\n    engines: [{name: whole, model: OTHER}]",
     "9:49: engine `whole` of replica-1 and engine `whole` of replica-2, which do one role of front, hold different models"},
    {"    site_listen: {port: 7172}\n", "", "9:49: node `replica-2` lets no other node of its site in: add `site_listen: {port: 7171}` to it"},
    {"site_listen: {port: 7172}", "site_listen: {host: 0.0.0.0, port: 7172}", "`site_listen` of replica-2 is 0.0.0.0, which is no address to dial"},
    {"site_listen: {port: 7172}", "site_listen: {port: 7171}", "port 7171 is already replica-1's site_listen port"},
    {"  - name: edge-1\n    kind: edge\n", "  - name: edge-1\n    kind: edge\n    site_listen: {port: 1}\n", ""},
    {"roles: [{role: drafter, engine: device}]", "roles: [{role: drafter, replicas: [front]}]", "edge-1 is an edge node: only roles of cloud nodes"},
  }));
  REQUIRE(cluster.find(m.what) != std::string::npos);
  auto said = complaints(replaced(cluster, m.what, m.by));
  INFO(said);
  CHECK(said.find(m.says) != std::string::npos);
  CHECK((m.says.empty() == said.empty()));
}

TEST_CASE("many mistakes give many lines, in the order of the file", "[deploy][manifest]") {
  auto text = replaced(replaced(sound, "virga: 1", "virga: 9"), "port: 8081", "port: x");
  auto said = complaints(replaced(text, "to: cloud-1", "to: nobody"));
  auto first = said.find("1:8: "), second = said.find("\n17:21: "), third = said.find("\n28:24: ");
  CHECK(first == 0);
  CHECK(second != std::string::npos);
  CHECK(third != std::string::npos);
  CHECK(second < third);
}

TEST_CASE("a manifest that is no mapping, empty, huge or deep is refused with one sentence", "[deploy][manifest]") {
  CHECK(complaints("") == "1:1: the file is empty: begin with `virga: 1`");
  CHECK(complaints("- 1").find("1:1: the manifest must be a mapping") == 0);
  CHECK(complaints(std::string(2'000'000, '#')).find("is larger than 1 MiB") != std::string::npos);
  CHECK(complaints("a: " + std::string(100'000, '[')).find("this is no YAML") != std::string::npos);
  std::string list = "a:\n";
  for (int i = 0; i < 30'000; ++i)
    list += "- 1\n";
  CHECK(complaints(list).find("too many values") != std::string::npos);
  CHECK_THROWS_AS(load_manifest("/nowhere/m.yaml"), bad_input);
}

TEST_CASE("a node's configuration has both ends of its link and the part of the model it holds", "[deploy][plan]") {
  scratch dir;
  auto with_tokenizer = [&](const std::string& from, const std::string& name) {
    std::filesystem::copy(from, dir.path / name);
    std::filesystem::copy(VIRGA_SOURCE_DIR "/tests/parity/fixtures/tokenizer/tokenizer.json", dir.path / name);
    return name;
  };
  auto text = replaced(sound, "LARGE", with_tokenizer(model, "large"));
  auto m = load_checked(dir.write("m.yaml", replaced(text, "OTHER", with_tokenizer(other_model, "other"))));
  model_parts folders;
  auto cloud = make_node_config(m, "cloud-1", {dir.path / "run"}, folders);
  CHECK(cloud.kind == node_kind::cloud);
  REQUIRE(cloud.links.size() == 1);
  CHECK_FALSE(cloud.links[0].dial);
  CHECK(cloud.links[0].peer_node == "edge-1");
  CHECK(cloud.links[0].shape.up.latency == std::chrono::milliseconds(0));
  REQUIRE(cloud.roles.size() == 2);
  CHECK(cloud.roles[1].first_layer == 1);
  CHECK(cloud.roles[1].last_layer == 3);
  CHECK(cloud.roles[1].stages == "layers 1-2");
  REQUIRE(cloud.gateways.size() == 2);
  CHECK_FALSE(cloud.gateways[0].api);
  CHECK(cloud.gateways[1].port == 8080);
  CHECK_THROWS_AS(make_node_config(m, "edge-9", {dir.path / "run"}, folders), bad_input);
}
