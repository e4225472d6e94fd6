// What contradicts itself across the entries of a manifest. Entries that the reader refused have empty names: skipped.
#include "deploy/manifest.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace virga::deploy {
namespace {

std::string quoted(const std::string& s) { return "`" + s + "`"; }

bool loopback(const std::string& host) { return host == "127.0.0.1" || host == "::1" || host == "localhost"; }
bool wildcard(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

struct checker {
  const manifest& m;
  problems& found;

  void fail(mark at, std::string text) const { found.push_back({at, std::move(text)}); }

  void names() const {
    std::map<std::string, mark> seen;
    for (const auto& n : m.nodes) {
      if (!n.name)
        continue;
      auto [first, fresh] = seen.emplace(n.name.value, n.name.at);
      if (!fresh)
        fail(n.name.at, "node " + quoted(n.name.value) + " stands already in line " + std::to_string(first->second.line)
                          + ": give one of them another name");
    }
  }

  /// A site is one trust domain of one kind.
  void sites() const {
    std::map<std::string, const node_entry*> first;
    for (const auto& n : m.nodes) {
      auto [other, fresh] = first.emplace(n.site.value, &n);
      if (!fresh && other->second->kind != n.kind)
        fail(n.site.at, "site " + quoted(n.site.value) + " has cloud and edge nodes (" + other->second->name.value + ", "
                          + n.name.value + "): a site is one or the other");
    }
  }

  struct taken_port {
    std::string machine, host;
    std::uint16_t port;
    std::string use;  ///< "cloud-1's listen"
  };

  void port(const taken_port& wanted, mark at, std::vector<taken_port>& taken) const {
    if (wanted.port == 0)
      return;
    for (const auto& t : taken)
      if (t.port == wanted.port && t.machine == wanted.machine
          && (t.host == wanted.host || wildcard(t.host) || wildcard(wanted.host)))
        return fail(at, "port " + std::to_string(t.port) + " is already " + t.use + " port: give " + wanted.use + " another");
    taken.push_back(wanted);
  }

  void ports() const {
    std::vector<taken_port> taken;
    for (const auto& n : m.nodes) {
      if (n.listen)
        port({n.machine, n.listen->host, n.listen->port, n.name.value + "'s listen"}, n.listen->at, taken);
      if (n.site_listen)
        port({n.machine, n.site_listen->host, n.site_listen->port, n.name.value + "'s site_listen"}, n.site_listen->at, taken);
      if (n.gateway)
        port({n.machine, n.gateway->host, n.gateway->port, n.name.value + "'s gateway"}, n.gateway->at, taken);
    }
  }

  void gateway(const node_entry& n) const {
    if (n.gateway && !loopback(n.gateway->host) && !n.gateway->api_keys_file)
      fail(n.gateway->at, "the gateway of " + n.name.value + " listens on " + n.gateway->host
                            + " where others can reach it: add `api_keys_file: FILE` (one key a line), or use host 127.0.0.1");
  }

  void engines(const node_entry& n) const {
    std::set<std::string> names, used;
    for (const auto& r : n.roles)
      used.insert(r.engine.value);
    for (const auto& e : n.engines) {
      if (!e.name)
        continue;
      if (!names.insert(e.name.value).second)
        fail(e.name.at, "node " + n.name.value + " has two engines " + quoted(e.name.value) + ": rename one");
      else if (!used.contains(e.name.value))
        fail(e.name.at, "no role of " + n.name.value + " uses engine " + quoted(e.name.value) + ": use it or remove it");
      if (e.device != n.engines.front().device)
        fail(e.name.at, "node " + n.name.value + " has engines on " + n.engines.front().device + " and " + e.device
                          + ": an error of a GPU ends its process, so give " + quoted(e.name.value) + " a node of its own");
    }
    for (const auto& r : n.roles)
      if (r.engine && !names.contains(r.engine.value))
        fail(r.engine.at, "node " + n.name.value + " has no engine " + quoted(r.engine.value) + ": it has "
                            + (names.empty() ? "none" : list(names)));
  }

  static std::string list(const std::set<std::string>& names) {
    std::string all;
    for (const auto& n : names)
      all += (all.empty() ? "" : ", ") + n;
    return all;
  }

  void role_fits(const node_entry& n, const role_entry& r) const {
    auto what = std::string(to_string(r.kind)) + " for " + std::string(to_string(r.serves));
    bool cloud = n.kind == node_kind::cloud;
    bool fits = r.kind == role::generator ? r.serves == (cloud ? strategy::cloud : strategy::edge)
                 : r.kind == role::verifier ? r.serves == strategy::split && cloud
                                            : (r.serves == strategy::split || r.serves == strategy::hat) && !cloud;
    if (!fits)
      fail(r.at, "a " + what + " cannot run on " + n.name.value + ", " + (cloud ? "a cloud" : "an edge")
                   + " node: cloud nodes run generator (serves cloud) and verifier (split), edge nodes generator (edge) and "
                     "drafter (split or hat)");
    else if (r.kind == role::drafter && !peer_verifies(n))
      fail(r.at, n.name.value + " drafts for " + std::string(to_string(r.serves)) + ", but no cloud node that it links to has a verifier: add the role "
                                "`verifier` there, and a link");
  }

  bool peer_verifies(const node_entry& n) const {
    return std::any_of(m.links.begin(), m.links.end(), [&](const link_entry& l) {
      const auto* cloud = l.from.value == n.name.value ? m.find(l.to.value) : nullptr;
      return cloud && (!cloud->sound || std::any_of(cloud->roles.begin(), cloud->roles.end(),
                                  [](const role_entry& r) { return r.kind == role::verifier; }));
    });
  }

  /// A role that other nodes of the site do in this one's place.
  void far_role(const node_entry& n, const role_entry& r) const {
    const auto what = std::string(to_string(r.kind));
    if (n.kind != node_kind::cloud)
      return fail(r.at, n.name.value + " is an edge node: only roles of cloud nodes can be done by other nodes");
    if (r.in_turn && r.kind != role::verifier)
      fail(r.at, "a " + what + " cannot be cut over nodes: use `replicas`; a `pipeline` is for role `verifier`");
    std::set<std::string> seen;
    for (const auto& name : r.nodes)
      if (name)
        doer(n, r, name, seen.insert(name.value).second);
  }

  void doer(const node_entry& n, const role_entry& r, const marked<std::string>& name, bool first) const {
    const auto* at = m.find(name.value);
    const auto what = std::string(to_string(r.kind));
    if (!at)
      return fail(name.at, "node " + quoted(name.value) + " is to do a role of " + n.name.value + ": there is no such node");
    if (!first)
      return fail(name.at, "node " + quoted(name.value) + " stands twice: keep one");
    if (!at->sound)
      return;
    if (at == &n || at->site.value != n.site.value)
      fail(name.at, "node " + quoted(name.value) + (at == &n ? " is this node itself" : " is of site " + quoted(at->site.value))
                      + ": name other nodes of site " + quoted(n.site.value));
    else if (!own_role(*at, r.kind))
      fail(name.at, "node " + quoted(name.value) + " does not do the role " + quoted(what) + " itself: add it there, with an engine");
    else if (!at->site_listen)
      fail(name.at, "node " + quoted(name.value) + " lets no other node of its site in: add `site_listen: {port: 7171}` to it");
    else if (wildcard(at->site_listen->host))
      fail(at->site_listen->at, "`site_listen` of " + name.value + " is " + at->site_listen->host + ", which is no address to dial: give the one at which "
                                  + n.name.value + " reaches it");
  }

  void roles(const node_entry& n) const {
    std::set<std::pair<role, strategy>> seen;
    for (const auto& r : n.roles) {
      if (!r.nodes.empty())
        far_role(n, r);
      role_fits(n, r);
      if (!seen.insert({r.kind, r.serves}).second)
        fail(r.at, n.name.value + " has two roles " + quoted(std::string(to_string(r.kind))) + " for "
                     + std::string(to_string(r.serves)) + ": keep one");
    }
  }

  void link_end(const link_entry& l, const marked<std::string>& name, node_kind kind, const char* key) const {
    if (!name)
      return;
    const auto* n = m.find(name.value);
    if (!n)
      return fail(name.at, "`" + std::string(key) + "` of the link is " + quoted(name.value) + ": there is no such node");
    if (!n->sound)
      return;
    if (n->kind != kind)
      return fail(name.at, "`" + std::string(key) + "` of the link is " + quoted(name.value) + ", "
                             + (kind == node_kind::edge ? "a cloud" : "an edge")
                             + " node: links go from an edge node to a cloud node");
    if (kind != node_kind::cloud)
      return;
    if (!n->listen)
      fail(name.at, "node " + quoted(name.value) + " accepts no links: add `listen: {port: 7070}` to it");
    else if (l.settings.host.empty() && wildcard(n->listen->host))
      fail(l.at, "node " + quoted(name.value) + " listens on " + n->listen->host
                   + ", which is no address to dial: add `host:` to the link");
  }

  void links() const {
    std::set<std::string> from;
    for (const auto& l : m.links) {
      link_end(l, l.from, node_kind::edge, "from");
      link_end(l, l.to, node_kind::cloud, "to");
      if (l.from && !from.insert(l.from.value).second)
        fail(l.from.at, "node " + quoted(l.from.value) + " has two links: an edge node has one cloud");
    }
  }

  void machines() const {
    std::set<std::string> all;
    for (const auto& n : m.nodes)
      all.insert(n.machine);
    if (all.size() > 1 && m.certs.value == "auto")
      fail(m.certs.at, "`certs: auto` makes certificates on one machine, the manifest has " + std::to_string(all.size())
                         + " (" + list(all) + "): run `virga certs`, copy the files, and name their folder");
  }

  void run() const {
    names();
    sites();
    ports();
    for (const auto& n : m.nodes) {
      gateway(n);
      engines(n);
      if (n.sound)
        roles(n);
    }
    links();
    machines();
  }
};

} // namespace

void check_manifest(const manifest& m, problems& found) { checker{m, found}.run(); }

} // namespace virga::deploy
