#include "actors/gateway/gateway.hpp"
#include "actors/link/asio_transport.hpp"
#include "actors/node/run_node.hpp"
#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/plan.hpp"
#include "deploy/processes.hpp"

#include <CLI/CLI.hpp>
#include <spdlog/spdlog.h>

namespace virga::deploy {
namespace {

namespace fs = std::filesystem;

struct options {
  std::string manifest, name, base, run_dir;
};

/// The node's own folder when nobody gave one: gone when the node ends.
struct own_folder {
  explicit own_folder(const std::string& name) : dir(run_dir_of(name)) { make_run_dir(dir); }
  ~own_folder() { remove_run_dir(dir); }
  own_folder(const own_folder&) = delete;
  own_folder& operator=(const own_folder&) = delete;
  run_dir dir;
};

/// An admin address also changes the shapers of this node's links.
node_parts make_parts(const node_config& c) {
  node_parts parts;
  // The sockets of the node live as long as the parts that use them.
  auto sockets = c.links.empty() ? nullptr : std::make_shared<network>(c.tls);
  parts.start_gateway = [sockets](caf::actor_system& system, const gateway_config& g, const node_stubs& stubs, node home) {
    link_reshaper reshape;
    if (sockets && !g.api)
      reshape = [sockets](auto& peer, auto& what, auto done) { sockets->reshape(peer, what, std::move(done)); };
    return start_gateway(system, g, stubs, std::move(home), std::move(reshape));
  };
  if (!sockets)
    return parts;
  if (!c.listen_host.empty())
    sockets->listen(c.listen_host, c.listen_port);
  parts.make_transport = [sockets](const link_config& link, pipe_events events) {
    return sockets->make_transport(link, std::move(events));
  };
  parts.link_host = [sockets](caf::actor_system& system) { return sockets->host(system); };
  return parts;
}

int run_in(const run_dir& dir, const manifest& m, const node_entry& n, model_parts& folders) {
  fs::create_directories(dir.node(n.name.value));
  cut_parts(m, n, dir, folders);
  auto config = make_node_config(m, n.name.value, dir, folders);
  return run_node(config, [&] { return make_parts(config); });
}

int run(const options& o) {
  spdlog::flush_on(spdlog::level::info);  // the last lines before a crash are the ones that matter
  auto m = load_manifest(o.manifest, o.base);
  const auto* n = m.find(o.name);
  if (!n)
    throw bad_input(o.manifest + " has no node `" + o.name + "`");
  use_threads(n->threads);
  problems found;
  model_parts folders;
  check_folders(m, n->machine, found, folders);
  if (!found.empty())
    throw bad_manifest(o.manifest, std::move(found));
  if (!o.run_dir.empty())
    return run_in({o.run_dir}, m, *n, folders);
  const bool alone = m.links.empty() && m.dials(*n).empty() && m.dialed_by(*n).empty();
  if (m.certs.value == "auto" && !alone)
    throw bad_input(o.manifest + ": `certs: auto` is for `virga up`; for a node of its own run `virga certs` and name the folder");
  own_folder own(m.deployment + "+" + n->name.value);  // no deployment has a + in its name
  return run_in(own.dir, m, *n, folders);
}

} // namespace

void add_node_command(CLI::App& app) {
  auto* command = app.add_subcommand("node", "Run one node of a manifest in the foreground; SIGTERM drains it");
  auto o = std::make_shared<options>();
  command->add_option("--manifest", o->manifest, "The manifest")->required();
  command->add_option("--name", o->name, "Which of its nodes")->required();
  command->add_option("--base", o->base, "What the manifest's paths are relative to; default: its folder")->group("");
  command->add_option("--run-dir", o->run_dir, "Where port files and cut parts go")->group("");
  command->callback([o] {
    if (int code = run(*o); code != 0)
      throw CLI::RuntimeError(code);
  });
}

} // namespace virga::deploy
