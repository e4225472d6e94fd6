// What passes between two NEIGHBOURs that are together. neighbour.cpp has how they come together.
#include "actors/site/neighbour.hpp"

#include <algorithm>

namespace virga {

namespace {

template <class T>
constexpr bool is_request = std::is_same_v<T, generate> || std::is_same_v<T, open_session> || std::is_same_v<T, verify>;

} // namespace

void neighbour_state::send_peer(frame f) {
  if (!together_)
    return calls->undelivered(f, {ec::peer_unreachable, 0, options.config.node + " is not connected"}, false);
  send_unchecked(std::move(f));
}

void neighbour_state::send_unchecked(frame f) {
  f.sequence = ++sent_;
  auto units = encode(f, self->clock().now());
  if (!units) {
    --sent_;
    return calls->undelivered(f, to_failure(units.error()), together_);
  }
  for (auto& unit : *units) {
    seen_.bytes_out += unit.size();
    self->send(other_, site_bytes{std::move(unit)});
  }
}

/// @returns what is wrong with the bytes
std::optional<std::string> neighbour_state::decode(const site_bytes& unit) {
  for (std::span<const std::byte> rest{unit.data}; !rest.empty();) {
    const auto room = units_->room();
    const auto n = std::min(rest.size(), room.size());
    std::copy_n(rest.begin(), n, room.begin());
    units_->filled(n);
    rest = rest.subspan(n);
    for (;;) {
      auto whole = units_->next(self->clock().now());
      if (!whole)
        return text_of(whole.error());
      if (!*whole)
        break;
      take(**whole);
    }
  }
  return std::nullopt;
}

void neighbour_state::take(received& message) {
  auto& f = message.value;
  if (message.refused) {
    ++seen_.refused_frames;
    return calls->refused(f.hdr, std::move(*message.refused));
  }
  if (auto* now = std::get_if<status>(&f.body)) {
    roles_ = std::move(now->roles);
    return tell_node();
  }
  if (for_running_role(f))
    calls->deliver(f);
}

/// As in link_protocol: what is meant for an instance that no longer runs must not reach its successor.
bool neighbour_state::for_running_role(const frame& f) {
  const auto asked = std::visit([](const auto& b) { return is_request<std::decay_t<decltype(b)>>; }, f.body);
  if (!asked || f.hdr.incarnation == 0)
    return true;
  auto i = std::ranges::find(options.own.roles, f.hdr.target, &role_status::kind);
  if (i == options.own.roles.end() || i->incarnation == f.hdr.incarnation)
    return true;
  ++seen_.stale_incarnations;
  send_peer({f.hdr, 0, priority::decode,
             failure{ec::stale_incarnation, i->incarnation,
                     std::string{to_string(f.hdr.target)} + " of " + options.own.node + " was restarted"}});
  return false;
}

} // namespace virga
