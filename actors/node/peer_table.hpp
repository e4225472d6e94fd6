// actors/node/peer_table.hpp: what the peers offer now. A plain class.
#pragma once

#include "actors/node/config.hpp"

#include <optional>
#include <string>
#include <vector>

namespace virga {

class peer_table {
public:
  /// A role that runs at a peer, and the link (index in the configuration) that leads there.
  struct offer {
    std::size_t via = 0;
    std::uint64_t incarnation = 0;
    bool operator==(const offer&) const = default;
  };

  explicit peer_table(const std::vector<link_config>& links);

  /// News from the link to this peer. @returns false when no link of ours leads to its site
  bool update(peer_state now);

  /// What the link (index in the configuration) measures now; changes nothing else.
  void measured(std::size_t index, const peer_state& now) {
    peers_.at(index).quality = now.quality;
    peers_.at(index).counts = now.counts;
  }

  /// The link itself is gone.
  void lose(std::size_t index, std::string why);

  /// Who offers the role: the first link, in the order of the configuration, whose peer is up and runs it.
  std::optional<offer> find(role kind) const;

  /// Why nobody offers it, for people.
  std::string why_not(role kind) const;

  /// The same of one peer alone. Unknown node: nothing, "there is no such node".
  std::optional<offer> find(role kind, const std::string& node_name) const;
  std::string why_not(role kind, const std::string& node_name) const;

  const std::vector<peer_state>& all() const { return peers_; }

private:
  std::vector<peer_state> peers_;
};

} // namespace virga
