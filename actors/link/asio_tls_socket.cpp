#include "actors/link/asio_tls_socket.hpp"

#include "actors/link/defaults.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace virga {

namespace {

constexpr std::size_t record_bytes = 16 * 1024;

std::string reason_of(unsigned long code) {
  auto reason = ERR_reason_error_string(code);
  return reason ? reason : "error " + std::to_string(code);
}

} // namespace

tls_socket::tls_socket(boost::asio::io_context& io, boost::asio::ssl::context& tls)
  : socket_{io}, ssl_{SSL_new(tls.native_handle()), SSL_free} {
  auto encrypted = BIO_new(BIO_s_mem());
  if (!ssl_ || !encrypted)
    throw std::bad_alloc{};
  SSL_set0_wbio(ssl_.get(), encrypted);
}

// -- handshake ---------------------------------------------------------------------------------------------------------

void tls_socket::async_handshake(side s, std::function<void(std::string)> done) {
  done_ = std::move(done);
  boost::system::error_code e;
  socket_.native_non_blocking(true, e);
  SSL_set0_rbio(ssl_.get(), BIO_new_socket(socket_.native_handle(), BIO_NOCLOSE));
  s == side::client ? SSL_set_connect_state(ssl_.get()) : SSL_set_accept_state(ssl_.get());
  shake_hands();
}

void tls_socket::shake_hands() {
  ERR_clear_error();
  errno = 0;
  auto result = SSL_do_handshake(ssl_.get());
  auto why = SSL_get_error(ssl_.get(), result);
  auto failed = result != 1 && why != SSL_ERROR_WANT_READ;
  state_ = failed ? fail() : state::fine;
  if (auto wrong = SSL_get_verify_result(ssl_.get()); failed && wrong != X509_V_OK)
    error_ += std::string(": ") + X509_verify_cert_error_string(wrong) + "; `virga certs` makes new ones";
  auto sentence = state_ == state::ended ? "the peer closed the connection" : error_;
  auto sent = flush();  // also the alert that tells the peer
  if (failed || state_ == state::broken)
    return std::exchange(done_, nullptr)(failed ? sentence : error_);
  if (!sent)
    return wait(tcp::socket::wait_write);
  if (result != 1)
    return wait(tcp::socket::wait_read);
  std::exchange(done_, nullptr)({});
}

void tls_socket::wait(tcp::socket::wait_type what) {
  socket_.async_wait(what, [self = shared_from_this()](boost::system::error_code e) {
    if (!e)
      return self->shake_hands();
    std::exchange(self->done_, nullptr)(e.message());  // the socket was closed
  });
}

// -- bytes -------------------------------------------------------------------------------------------------------------

/// What the last call of OpenSSL, or of the kernel below it, has met.
tls_socket::state tls_socket::fail() {
  auto code = ERR_peek_error();
  auto ended = ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING || (code == 0 && errno == 0);
  error_ = ended ? "" : code != 0 ? reason_of(code) : std::strerror(errno);
  return ended ? state::ended : state::broken;
}

std::size_t tls_socket::write(std::span<const std::byte> bytes) {
  std::size_t taken = 0;
  auto encrypted = SSL_get_wbio(ssl_.get());
  state_ = state::fine;
  while (taken < bytes.size()) {
    if (BIO_pending(encrypted) >= static_cast<int>(link_defaults::gather_bytes) && !flush())
      break;
    auto size = std::min(record_bytes, bytes.size() - taken);
    ERR_clear_error();
    if (SSL_write(ssl_.get(), bytes.data() + taken, static_cast<int>(size)) <= 0) {
      state_ = fail();
      break;
    }
    taken += size;
  }
  return taken;
}

bool tls_socket::flush() {
  auto encrypted = SSL_get_wbio(ssl_.get());
  char* data = nullptr;
  auto all = static_cast<std::size_t>(BIO_get_mem_data(encrypted, &data));
  while (flushed_ < all) {
    auto n = ::send(socket_.native_handle(), data + flushed_, all - flushed_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      state_ = errno == EAGAIN ? state::blocked : state::broken;
      error_ = std::strerror(errno);
      return false;
    }
    flushed_ += static_cast<std::size_t>(n);
  }
  flushed_ = 0;
  if (all > 0)
    BIO_reset(encrypted);
  return true;
}

std::size_t tls_socket::read(std::span<std::byte> room) {
  ERR_clear_error();
  errno = 0;
  auto n = SSL_read(ssl_.get(), room.data(), static_cast<int>(std::min<std::size_t>(room.size(), 1 << 30)));
  if (n > 0) {
    state_ = state::fine;
    return static_cast<std::size_t>(n);
  }
  switch (SSL_get_error(ssl_.get(), n)) {
    case SSL_ERROR_WANT_READ: state_ = state::blocked; break;
    case SSL_ERROR_ZERO_RETURN: state_ = state::ended; break;
    default: state_ = fail();
  }
  return 0;
}

} // namespace virga
