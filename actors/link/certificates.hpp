// actors/link/certificates.hpp: makes the CA of a deployment's links, that of each site, and their nodes' certificates (`virga certs`).
// EC P-256; the CA is good for ten years, a node's certificate for one. Files are readable by their owner only.
#pragma once

#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>

namespace virga {

struct node_identity {
  std::string node;
  std::string site;
};

/// A certificate could not be made, read or written; the text names the file.
class certificate_error : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Writes ca.pem and ca.key; what is there already and still valid is kept.
/// @throws certificate_error
void make_ca(const std::filesystem::path& dir);

/// Writes <node>.pem and <node>.key, signed by the CA in `ca_dir`, with the names DNS:<node> and DNS:<site>.site.virga.
/// Kept when there already, signed by this CA, of these names, and valid for another 30 days.
/// @param days how long it is valid; negative makes one that is expired, for tests
/// @throws certificate_error
void make_node_certificate(const std::filesystem::path& ca_dir, const node_identity& who,
                           const std::filesystem::path& out_dir, int days = 365);

/// All of a deployment's links in one folder. Safe to repeat.
/// @throws certificate_error
void make_link_certificates(const std::filesystem::path& dir, std::span<const node_identity> nodes);

/// Where a site's own CA and certificates lie in that folder: sites/<site>. CAF's TLS compares no names, so that whoever has
/// a certificate of this CA is in: each site has a CA of its own, and only its nodes get its files.
std::filesystem::path site_certificates(const std::filesystem::path& dir, const std::string& site);

/// Those of one site, beside the links'. Safe to repeat. @param nodes of this site alone
/// @throws certificate_error
void make_site_certificates(const std::filesystem::path& dir, std::span<const node_identity> nodes);

} // namespace virga
