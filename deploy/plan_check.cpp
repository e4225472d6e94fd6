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
    auto holds = "engine `" + r.engine.value + "` holds " + models::describe(part.stages);
    if (r.kind == role::generator && !part.whole())
      fail(r.engine.at, holds + ": a generator needs the whole model");
    if (r.kind == role::drafter && !part.gap())
      fail(r.engine.at, holds + ": a drafter needs embedding, the first layers and head, and leaves the other layers to "
                                "the cloud, e.g. stages: embedding,0-0,head");
    if (r.kind == role::verifier && !part.middle())
      fail(r.engine.at, holds + ": a verifier needs decoder layers and nothing else, e.g. stages: 1-"
                          + std::to_string(part.layers() - 1));
  }

  /// Drafter and verifier hold two parts of one model, and compute alike.
  void completes(const node_entry& device, const role_entry& drafter, const node_entry& cloud, const role_entry& verifier) {
    const auto *de = engine(device, drafter.engine.value), *ce = engine(cloud, verifier.engine.value);
    problems reported_already;
    auto d = de ? parts.of(*de, reported_already) : std::nullopt, c = ce ? parts.of(*ce, reported_already) : std::nullopt;
    if (!d || !c || !d->gap() || !c->middle())
      return;
    auto pair = "engine `" + de->name.value + "` of " + device.name.value + " and engine `" + ce->name.value + "` of "
                + cloud.name.value;
    if (d->folder->digest() != c->folder->digest())
      fail(drafter.at, pair + " come from different models (" + d->folder->digest().substr(0, 12) + " and "
                         + c->folder->digest().substr(0, 12) + "): cut both from one folder");
    else if (d->gap() != c->middle())
      fail(drafter.at, pair + " do not complete each other: the device leaves " + layers_text(*d->gap())
                         + " to the cloud, which holds " + layers_text(*c->middle()) + ": make them the same");
    else if (de->compute != ce->compute)
      fail(drafter.at, pair + " compute in " + std::string(to_string(de->compute)) + " and "
                         + std::string(to_string(ce->compute)) + ": give both the same dtype");
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
