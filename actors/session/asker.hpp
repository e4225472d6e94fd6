// actors/session/asker.hpp: who a session or a relay answers. A plain class.
//
// An asker that is itself a relay may lose its way here and come back on another: what it was told is kept for it, at most the
// context's tokens, and said again from where it stopped.
#pragma once

#include "actors/answers.hpp"

#include <utility>
#include <vector>

namespace virga {

/// Between two askings of a relay lie the epochs of those that it asks: an edge's relay asks a cloud's, that asks a session,
/// and the session places itself with epochs of its own.
inline constexpr std::uint32_t site_epochs = 1u << 10;  ///< of a relay to another node of its site
inline constexpr std::uint32_t link_epochs = 1u << 20;  ///< of a relay across a link
static_assert(site_epochs > 1000 && link_epochs / site_epochs > 1000);

class asker {
public:
  asker() = default;
  asker(header hdr, sink client) : hdr_(hdr), client_(std::move(client)), may_return_(hdr.epoch >= site_epochs) {}

  /// A piece of the answer.
  void tell(tokens piece) {
    if (may_return_)
      told_.push_back(piece);
    reply_to(client_, hdr_, std::move(piece), false);
  }

  /// The end of the answer.
  void end(outcome last) { reply_to(client_, hdr_, std::move(last)); }

  /// It asks again; the former way is closed with ec::stale_epoch.
  /// @param known tokens of the answer @returns false when it has more of them than there are; it has then been told nothing
  bool returned(const call<generate>& again, std::size_t known) {
    fail_to(client_, hdr_, ec::stale_epoch, "its asker came back another way", again.hdr.epoch);
    hdr_.epoch = again.hdr.epoch;
    hdr_.unit = again.hdr.unit;
    client_ = again.reply;
    if (again.body.answered.size() > known)
      return false;
    for (auto& piece : told_)
      if (piece.position >= again.body.answered.size())
        reply_to(client_, hdr_, piece, false);
    return true;
  }

private:
  header hdr_;
  sink client_;
  bool may_return_ = false;
  std::vector<tokens> told_;
};

} // namespace virga
