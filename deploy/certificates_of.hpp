// deploy/certificates_of.hpp: the certificates that a manifest's nodes need.
#pragma once

#include "deploy/manifest.hpp"

namespace virga::deploy {

/// Makes those of all links, and of each site that has several nodes, in `dir`; what is there and valid is kept.
/// @returns the names of those sites
/// @throws certificate_error
std::vector<std::string> make_certificates(const manifest& m, const std::filesystem::path& dir);

} // namespace virga::deploy
