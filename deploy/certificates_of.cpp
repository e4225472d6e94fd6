#include "deploy/certificates_of.hpp"

#include "actors/link/certificates.hpp"

#include <set>

namespace virga::deploy {

std::vector<std::string> make_certificates(const manifest& m, const std::filesystem::path& dir) {
  std::vector<node_identity> all, of_sites;
  std::set<std::string> sites;
  for (const auto& n : m.nodes) {
    all.push_back({n.name.value, n.site.value});
    if (m.dials(n).empty() && m.dialed_by(n).empty())
      continue;
    of_sites.push_back(all.back());
    sites.insert(n.site.value);
  }
  make_link_certificates(dir, all);
  make_site_certificates(dir, of_sites);
  return {sites.begin(), sites.end()};
}

} // namespace virga::deploy
