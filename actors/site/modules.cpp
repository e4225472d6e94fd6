#include "actors/site/modules.hpp"

#include "actors/link/ssl_error_queue.hpp"
#include "actors/link/tls.hpp"
#include "actors/site/defaults.hpp"
#include "actors/site/site_bytes.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>

namespace virga {

void load_site_modules(caf::actor_system_config& config, const tls_config& own) {
  if (!ssl_error_queue_is_guarded())
    throw std::runtime_error("CAF's TLS module does not find this program's guard of OpenSSL's error queue: it was linked wrongly");
  check_identity(own);
  config.openssl_cafile = own.ca_file;
  config.openssl_certificate = own.cert_file;
  config.openssl_key = own.key_file;
  config.set("middleman.heartbeat-interval", site_defaults::heartbeat);
  config.set("middleman.connection-timeout", site_defaults::dead_after);
  config.set("middleman.workers", std::size_t{0});  // units are decoded where they arrive: in order, without a hop
  config.add_message_type<site_bytes>(site_bytes_name);
  config.load<caf::io::middleman>();
  config.load<caf::openssl::manager>();
}

caf::io::middleman_actor site_middleman(caf::actor_system& system) { return system.openssl_manager().actor_handle(); }

} // namespace virga
