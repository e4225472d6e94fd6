#include "actors/link/handshake.hpp"

#include <sstream>

namespace virga {

namespace {

template <class Left, class Right>
std::string differ(const hello& peer, const char* what, const Left& theirs, const char* mine, const Right& ours) {
  std::ostringstream out;
  out << (peer.node.empty() ? "the peer" : peer.node) << " " << what << " " << theirs << ", " << mine << " " << ours;
  return out.str();
}

std::optional<std::string> wrong_name(const handshake& h, const hello& peer, const std::string& certificate_name) {
  if (peer.node != certificate_name)
    return differ(peer, "calls itself", peer.node, "its certificate is for", certificate_name);
  if (peer.node != h.peer_node)
    return differ(peer, "calls itself", peer.node, "the manifest expects", h.peer_node);
  if (peer.site != h.peer_site)
    return differ(peer, "says it is of site", peer.site, "the manifest expects", h.peer_site);
  return {};
}

std::optional<std::string> wrong_model(const hello& own, const hello& peer) {
  if (own.model_digest.empty() || peer.model_digest.empty())
    return {};
  auto layers = [](const hello& h) { return std::to_string(h.first_layer) + "-" + std::to_string(h.last_layer); };
  const char* here = "this side has";
  if (peer.model_digest != own.model_digest)
    return differ(peer, "has the model", peer.model_digest, here, own.model_digest);
  if (layers(peer) != layers(own))
    return differ(peer, "cuts the model at layers", layers(peer), here, layers(own));
  if (peer.hidden != own.hidden)
    return differ(peer, "has the hidden size", peer.hidden, here, own.hidden);
  if (peer.wire != own.wire)
    return differ(peer, "sends tensors as", to_string(peer.wire), "this side sends them as", to_string(own.wire));
  return {};
}

} // namespace

std::optional<std::string> refusal(const handshake& h, const hello& peer, const std::string& certificate_name) {
  if (peer.protocol != h.own.protocol)
    return differ(peer, "speaks protocol version", peer.protocol, "this side speaks", h.own.protocol);
  if (auto text = wrong_name(h, peer, certificate_name))
    return text;
  return wrong_model(h.own, peer);
}

} // namespace virga
