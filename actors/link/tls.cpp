#include "actors/link/tls.hpp"

#include "actors/link/defaults.hpp"

#include <boost/asio/ssl/context.hpp>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <fstream>

namespace virga {

namespace {

constexpr const char* cure = "; `virga certs` makes a complete set";

void check_readable(const std::string& path, const char* what) {
  if (path.empty())
    throw bad_identity(std::string{"no "} + what + " is given, and a link needs one" + cure);
  if (!std::ifstream{path})
    throw bad_identity(std::string{what} + " " + path + " cannot be read" + cure);
}

/// Runs one step of Asio's context and gives its error a sentence.
template <class Step>
void load(const std::string& path, const char* what, Step step) {
  check_readable(path, what);
  boost::system::error_code error;
  step(error);
  if (error)
    throw bad_identity(std::string{what} + " " + path + " is not usable: " + error.message() + cure);
}

} // namespace

std::unique_ptr<boost::asio::ssl::context> make_tls_context(const tls_config& identity) {
  namespace ssl = boost::asio::ssl;
  auto out = std::make_unique<ssl::context>(ssl::context::tls);
  auto raw = out->native_handle();
  if (SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) != 1)
    throw bad_identity("this OpenSSL has no TLS 1.3, which links need");
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(raw, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(raw, 1);
  SSL_CTX_set_default_read_buffer_len(raw, link_defaults::read_ahead_bytes);
  SSL_CTX_set_num_tickets(raw, 0);  // a resumed session would not show its certificate again
  load(identity.ca_file, "the CA's certificate", [&](auto& e) { out->load_verify_file(identity.ca_file, e); });
  load(identity.cert_file, "the node's certificate",
       [&](auto& e) { out->use_certificate_chain_file(identity.cert_file, e); });
  load(identity.key_file, "the node's key", [&](auto& e) { out->use_private_key_file(identity.key_file, ssl::context::pem, e); });
  if (SSL_CTX_check_private_key(raw) != 1)
    throw bad_identity("the key " + identity.key_file + " does not belong to the certificate " + identity.cert_file + cure);
  out->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
  return out;
}

void check_identity(const tls_config& identity) { make_tls_context(identity); }

std::vector<std::string> peer_names(ssl_st* connection) {
  std::vector<std::string> out;
  auto certificate = SSL_get0_peer_certificate(connection);
  if (!certificate)
    return out;
  auto names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    auto name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS)
      out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                       static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  GENERAL_NAMES_free(names);
  return out;
}

std::string site_name(const std::string& site) { return site + ".site.virga"; }

bool proves(const std::vector<std::string>& names, const std::string& node_name, const std::string& site) {
  auto has = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  return has(node_name) && has(site_name(site));
}

} // namespace virga
