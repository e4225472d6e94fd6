// actors/gateway/http_connection.hpp: the life of one HTTP connection over any byte stream: reads requests one after the
// other, hands each to the handler, writes its answer. A derived class is the socket. Lives on the HTTP thread.
#pragma once

#include "actors/gateway/http.hpp"
#include "actors/gateway/request_reader.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace virga {

class http_connection : public responder, public std::enable_shared_from_this<http_connection> {
public:
  /// @param client its address, for the log
  http_connection(http_handler& handler, std::string client);

  // -- from the socket
  void on_open();
  void on_bytes(std::string_view bytes);
  void on_written();
  /// The client sends nothing more. During an answer that means: it has gone.
  void on_end();
  void on_broken();
  /// Ends what takes too long.
  void on_tick(time_point now);
  /// No further request; an answer under way goes on.
  void on_drain();

  void close();
  bool is_closed() const { return state_ == state::closed; }

  // -- responder
  void reply(http_reply r) override;
  void begin_stream(http_reply head) override;
  void write(std::string piece) override;
  void end_stream() override;
  void on_gone(std::function<void()> gone) override { gone_ = std::move(gone); }

protected:
  // -- the socket: one read and one write at a time
  virtual void do_read() = 0;
  /// `bytes` stay until on_written.
  virtual void do_write(std::string_view bytes) = 0;
  virtual void do_end_writing() = 0;
  virtual void do_close() = 0;
  /// Runs `f` soon, not now.
  virtual void do_later(std::function<void()> f) = 0;

private:
  enum class state {
    reading,    ///< waiting for a request or in the middle of one
    answering,  ///< the handler has it
    streaming,  ///< the handler is writing
    flushing,   ///< the answer is complete, not all of it is written
    lingering,  ///< refused; what still comes is dropped until the client has read the refusal
    closed,
  };

  void parse();
  void dispatch();
  void refuse(const api_error& e);
  void send(std::string bytes);
  void begin_write();
  void answered();
  void next_request();
  void linger();
  void want_read();
  bool answers() const { return state_ == state::answering || state_ == state::streaming; }

  http_handler& handler_;
  std::string client_;
  request_reader reader_;
  state state_ = state::reading;
  bool reading_ = false;    ///< a do_read is under way
  bool writing_ = false;    ///< a do_write is under way
  bool keep_alive_ = true;
  bool chunked_ = true;
  bool continued_ = false;  ///< "100 Continue" was sent
  bool refused_ = false;
  std::string ahead_;       ///< read, not parsed
  std::string unsent_;      ///< behind `sending_`
  std::string sending_;
  std::size_t dropped_ = 0;
  time_point since_;        ///< when the state, the request, or the linger began
  bool first_byte_ = false; ///< of the request being read
  time_point write_since_;
  std::function<void()> gone_;
};

} // namespace virga
