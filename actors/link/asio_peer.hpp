// actors/link/asio_peer.hpp: the network's side of one transport. Private to the asio_*.cpp files.
#pragma once

#include "actors/link/asio_connection.hpp"
#include "actors/link/shaper.hpp"
#include "actors/node/config.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace virga {

/// "a, b", or "nobody".
std::string list_of(const std::vector<std::string>& names);

/// Dials or is given the connections of one peer; has one at a time. Everything runs on the network's thread.
class tls_peer : public std::enable_shared_from_this<tls_peer> {
public:
  tls_peer(boost::asio::io_context& io, boost::asio::ssl::context& tls, caf::timespan handshake_time, link_config config,
           pipe_events events);

  /// Dials; pipe_up or pipe_down follows. Does nothing on the accepting side.
  void open();
  void close(std::uint64_t number, const std::string& reason);
  /// Of the shaper that it dials through; nothing when there is none.
  std::optional<link_shape> reshape(const shape_change& what);
  const link_config& config() const { return config_; }
  /// The connection of this number, if it is the one in use.
  tls_connection* connection(std::uint64_t number) const {
    return current_ && current_->number() == number ? current_.get() : nullptr;
  }

  /// Whether these proven names are the peer's, and it is the peer who dials.
  bool expects(const std::vector<std::string>& names) const;
  bool is_connected() const { return current_ && current_->is_open(); }

  /// A connection that has proved to be from this peer; it takes the place of the one before.
  void adopt(std::shared_ptr<tls_socket> s, std::uint64_t number = 0);

  /// The link is gone.
  void end();

  /// The network is gone; nothing runs any more.
  void abandon();

private:
  class attempt;
  std::pair<std::string, std::uint16_t> address();

  boost::asio::io_context& io_;
  boost::asio::ssl::context& tls_;
  caf::timespan handshake_time_;
  link_config config_;
  pipe_events events_;
  bool ended_ = false;
  std::uint64_t numbers_ = 0;  // of connections and dials
  std::shared_ptr<tls_connection> current_;
  std::unique_ptr<shaper> shaper_;
};

} // namespace virga
