// What only the model folders can tell about a manifest.
#include "deploy/model_parts.hpp"
#include "deploy/plan.hpp"

#include <algorithm>

namespace virga::deploy {
namespace {

std::string layers_text(std::pair<std::uint32_t, std::uint32_t> l) {
  return models::describe(std::vector{models::stage{models::stage_kind::layers, l.first, l.second}});
}

struct folder_checker {
  const manifest& m;
  const std::string& machine;
  problems& found;
  model_parts& parts;

  const engine_entry* engine(const node_entry& n, const std::string& name) const {
    auto i = std::find_if(n.engines.begin(), n.engines.end(), [&](const engine_entry& e) { return e.name.value == name; });
    return i == n.engines.end() ? nullptr : &*i;
  }

  bool here(const node_entry& n) const { return machine.empty() || n.machine == machine; }

  void fail(mark at, std::string text) { found.push_back({at, std::move(text)}); }

  void role_fits(const role_entry& r, const model_part& part) {
    auto holds = "engine `" + r.engine.value + "` holds " + part.text();
    if (r.kind == role::generator && !part.whole())
      fail(r.engine.at, holds + ": a generator needs the whole model");
    if (r.kind == role::drafter && r.split.value > 0 && !part.gap_from(r.split.value))
      fail(r.split.at, holds + ": `split: " + std::to_string(r.split.value) + "` needs the layers before that one, and a stage that begins no earlier for those to draft with");
    else if (r.kind == role::drafter && !part.gap_from(r.split.value))
      fail(r.engine.at, holds + ": a drafter needs embedding, the first layers and head, and leaves the other layers to "
                                "the cloud, e.g. stages: embedding,0-0,head");
    else if (r.kind == role::drafter && r.serves == strategy::hat && !drafts(r, part))
      fail(r.engine.at, holds + ": to draft for hat it needs an `adapter` (`virga train adapter` makes one), or the cloud's layers "
                                "too, with `split`");
    if (r.kind == role::verifier && !part.middle())
      fail(r.engine.at, holds + ": a verifier needs decoder layers and nothing else, e.g. stages: 1-"
                          + std::to_string(part.layers() - 1));
  }

  /// Something stands between the input stages and the head.
  static bool drafts(const role_entry& r, const model_part& part) {
    auto before = part.stages_before(part.gap_from(r.split.value)->first);
    return part.adapter || before + 1 < part.stages.size();
  }

  /// What a role is done with, for comparing.
  struct holding {
    std::string who;  ///< "engine `middle` of cloud-1"
    model_part part;
    dtype compute = dtype::f32, kv = dtype::f32;
    std::optional<std::pair<std::uint32_t, std::uint32_t>> layers;  ///< of a verifier
  };

  static std::string kept_apart(const holding& a, const holding& b) {
    return " keep keys and values in " + std::string(to_string(a.kv)) + " and " + std::string(to_string(b.kv))
           + ": give both the same kv_dtype";
  }

  /// Of a role that the node does itself; nothing when it is wrong, which is said elsewhere.
  std::optional<holding> own(const node_entry& n, const role_entry& r) {
    const auto* e = engine(n, r.engine.value);
    problems reported_already;
    auto part = e ? parts.of(*e, reported_already) : std::nullopt;
    if (!part)
      return std::nullopt;
    return holding{"engine `" + e->name.value + "` of " + n.name.value, *part, part->compute,
                   e->kv.value_or(models::kv_type(part->compute)), part->middle()};
  }

  /// Of a role that may be done elsewhere: as a whole.
  std::optional<holding> whole(const node_entry& n, const role_entry& r) {
    if (r.nodes.empty())
      return own(n, r);
    auto all = far(r);
    if (all.size() != r.nodes.size())
      return std::nullopt;
    auto sum = all.front();
    for (std::size_t i = 1; r.in_turn && i < all.size(); ++i) {
      if (!sum.layers || !all[i].layers || sum.layers->second != all[i].layers->first)
        return std::nullopt;
      sum.layers->second = all[i].layers->second;
    }
    return sum;
  }

  std::vector<holding> far(const role_entry& r) {
    std::vector<holding> all;
    for (const auto& name : r.nodes)
      if (const auto* n = m.find(name.value))
        if (const auto* role = own_role(*n, r.kind))
          if (auto h = own(*n, *role))
            all.push_back(std::move(*h));
    return all;
  }

  /// Nodes that do one role together have one model, in one dtype; replicas the same layers, stages layers in turn.
  void agree(const node_entry& n, const role_entry& r) {
    for (const auto& name : r.nodes)
      if (const auto* at = m.find(name.value); at && !here(*at))
        node(*at);  // this machine needs its model's folder too
    const auto all = far(r);
    for (std::size_t i = 1; i < all.size(); ++i)
      agree(n, r, all[i - 1], all[i], r.nodes[i].at);
  }

  void agree(const node_entry& n, const role_entry& r, const holding& a, const holding& b, mark at) {
    const auto pair = a.who + " and " + b.who + ", which do one role of " + n.name.value + ",";
    const auto next = std::to_string(a.layers ? a.layers->second : 0);
    if (a.part.folder->digest() != b.part.folder->digest())
      fail(at, pair + " hold different models (" + a.part.folder->digest().substr(0, 12) + " and "
                 + b.part.folder->digest().substr(0, 12) + "): give both the same");
    else if (a.compute != b.compute)
      fail(at, pair + " compute in " + std::string(to_string(a.compute)) + " and " + std::string(to_string(b.compute))
                 + ": give both the same dtype");
    else if (a.kv != b.kv)
      fail(at, pair + kept_apart(a, b));
    else if (a.layers && b.layers && !r.in_turn && a.layers != b.layers)
      fail(at, pair + " hold " + layers_text(*a.layers) + " and " + layers_text(*b.layers)
                 + ": give both the same layers, or use `pipeline`");
    else if (a.layers && b.layers && r.in_turn && a.layers->second != b.layers->first)
      fail(at, pair + " hold " + layers_text(*a.layers) + " and " + layers_text(*b.layers) + ": the second must begin with layer "
                 + next);
  }

  /// Drafter and verifier hold two parts of one model, and compute alike.
  void completes(const node_entry& device, const role_entry& drafter, const node_entry& cloud, const role_entry& verifier) {
    const auto d = own(device, drafter), c = whole(cloud, verifier);
    const auto gap = d ? d->part.gap_from(drafter.split.value) : std::nullopt;
    if (!d || !c || !gap || !c->layers)
      return;
    const auto pair = d->who + " and " + c->who;
    if (d->part.folder->digest() != c->part.folder->digest())
      fail(drafter.at, pair + " come from different models (" + d->part.folder->digest().substr(0, 12) + " and "
                         + c->part.folder->digest().substr(0, 12) + "): cut both from one folder");
    else if (gap != c->layers)
      fail(drafter.at, pair + " do not complete each other: the device leaves " + layers_text(*gap)
                         + " to the cloud, which holds " + layers_text(*c->layers) + ": make them the same");
    else if (d->compute != c->compute)
      fail(drafter.at, pair + " compute in " + std::string(to_string(d->compute)) + " and "
                         + std::string(to_string(c->compute)) + ": give both the same dtype");
    else if (d->kv != c->kv)
      fail(drafter.at, pair + kept_apart(*d, *c));
  }

  void partners(const node_entry& device, const role_entry& drafter) {
    for (const auto& l : m.links)
      if (const auto* cloud = l.from.value == device.name.value ? m.find(l.to.value) : nullptr; cloud && here(*cloud))
        for (const auto& r : cloud->roles)
          if (r.kind == role::verifier)
            completes(device, drafter, *cloud, r);
  }

  void node(const node_entry& n) {
    std::map<std::string, model_part> held;
    for (const auto& e : n.engines)
      if (auto part = parts.of(e, found))
        held[e.name.value] = *part;
    for (const auto& r : n.roles) {
      if (auto i = held.find(r.engine.value); i != held.end())
        role_fits(r, i->second);
      if (r.kind == role::drafter)
        partners(n, r);
      if (!r.nodes.empty())
        agree(n, r);
    }
    if (n.gateway && n.gateway->api_keys_file && !std::filesystem::is_regular_file(n.gateway->api_keys_file.value))
      fail(n.gateway->api_keys_file.at, n.gateway->api_keys_file.value + " is no file: write one key a line into it");
  }

  void run() {
    if (!machine.empty() && std::none_of(m.nodes.begin(), m.nodes.end(), [&](const node_entry& n) { return here(n); }))
      fail({}, "no node runs on machine `" + machine + "`");
    for (const auto& n : m.nodes)
      if (here(n))
        node(n);
    if (m.certs.value != "auto" && !std::filesystem::is_directory(m.certs.value))
      fail(m.certs.at, m.certs.value + " is no folder: make it with `virga certs " + m.file.filename().string() + " --out DIR`");
  }
};

} // namespace

void check_folders(const manifest& m, const std::string& machine, problems& found, model_parts& parts) {
  folder_checker{m, machine, found, parts}.run();
}

manifest load_checked(const std::filesystem::path& file, const std::string& machine) {
  auto m = load_manifest(file);
  problems found;
  model_parts parts;
  check_folders(m, machine, found, parts);
  if (!found.empty())
    throw bad_manifest(file, std::move(found));
  return m;
}

} // namespace virga::deploy
