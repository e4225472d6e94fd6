// actors/link/ssl_error_queue.hpp: makes CAF's TLS safe for more than one connection; the .cpp says from what.
#pragma once

namespace virga {

/// Whether libraries of this process find the guarded functions. Asking also links them in.
bool ssl_error_queue_is_guarded();

} // namespace virga
