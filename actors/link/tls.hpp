// actors/link/tls.hpp: TLS 1.3 with certificates on both sides; only our own CA counts, and names are compared.
#pragma once

#include "actors/node/config.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace boost::asio::ssl {
class context;
} // namespace boost::asio::ssl
struct ssl_st; // SSL of OpenSSL

namespace virga {

/// A file of the identity is missing, unreadable, or does not fit the others; the text names it and the cure.
class bad_identity : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// For both directions: TLS 1.3 only, own certificate shown, the peer's demanded and verified against `ca_file` alone.
/// @throws bad_identity
std::unique_ptr<boost::asio::ssl::context> make_tls_context(const tls_config& identity);

/// Reads the files of an identity as make_tls_context does, for those who use them elsewhere. @throws bad_identity
void check_identity(const tls_config& identity);

/// The DNS names in the certificate that the peer has proved, e.g. {"edge-1", "home.site.virga"}.
std::vector<std::string> peer_names(ssl_st* connection);

/// The name that stands for a site in a certificate.
std::string site_name(const std::string& site);

/// Whether the names are those of this node of this site.
bool proves(const std::vector<std::string>& names, const std::string& node, const std::string& site);

} // namespace virga
