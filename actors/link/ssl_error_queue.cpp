// OpenSSL keeps a queue of errors per thread, and SSL_get_error() takes whatever lies in it for an error of the connection that it
// is asked about: the queue has to be empty before every operation. CAF 0.17.6 does not empty it. All its connections share one
// thread, so that a peer which dies, or a stranger who sends rubbish, breaks the connections to all others with its own.
//
// Hence these: the program's definitions stand before the library's, for CAF too. They empty the queue and go on to OpenSSL.
#include "actors/link/ssl_error_queue.hpp"

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdio>
#include <cstdlib>

namespace {

template <class Function>
Function next(const char* name) {
  auto* at = ::dlsym(RTLD_NEXT, name);
  if (!at) {
    std::fprintf(stderr, "OpenSSL has no %s: this program needs version 3\n", name);
    std::abort();
  }
  return reinterpret_cast<Function>(at);
}

} // namespace

extern "C" {

int SSL_connect(SSL* ssl) {
  static const auto real = next<int (*)(SSL*)>("SSL_connect");
  ERR_clear_error();
  return real(ssl);
}

int SSL_accept(SSL* ssl) {
  static const auto real = next<int (*)(SSL*)>("SSL_accept");
  ERR_clear_error();
  return real(ssl);
}

int SSL_read(SSL* ssl, void* to, int bytes) {
  static const auto real = next<int (*)(SSL*, void*, int)>("SSL_read");
  ERR_clear_error();
  return real(ssl, to, bytes);
}

int SSL_write(SSL* ssl, const void* from, int bytes) {
  static const auto real = next<int (*)(SSL*, const void*, int)>("SSL_write");
  ERR_clear_error();
  return real(ssl, from, bytes);
}
}

namespace virga {

bool ssl_error_queue_is_guarded() {
  return ::dlsym(RTLD_DEFAULT, "SSL_read") == reinterpret_cast<void*>(&SSL_read);
}

} // namespace virga
