// tests/support/http_client.hpp: a blocking HTTP client of one socket that lets tests misbehave. Reads give up after 10 s.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace virga::test {

struct http_answer {
  int status = 0;
  std::string head;  ///< status line and headers
  std::string body;  ///< chunks joined
};

class http_client {
public:
  /// @param receive_bytes the kernel's buffer for what is not read; 0: as usual
  explicit http_client(std::uint16_t port, int receive_bytes = 0) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    timeval patience{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (receive_bytes != 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      throw std::runtime_error("cannot connect");
  }
  ~http_client() { close(); }
  http_client(const http_client&) = delete;
  http_client& operator=(const http_client&) = delete;

  void close() {
    if (fd_ >= 0)
      ::close(fd_);
    fd_ = -1;
  }

  void send(const std::string& bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
      auto n = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0)
        return;  // the server has closed; what it said before can still be read
      at += static_cast<std::size_t>(n);
    }
  }

  void get(const std::string& path, const std::string& headers = {}) {
    send("GET " + path + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n");
  }

  void post(const std::string& path, const std::string& body, const std::string& headers = {}) {
    send("POST " + path + " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: "
         + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
  }

  /// Reads until `marker` has come; gives everything up to its end. Throws at the end of the connection.
  std::string read_until(const std::string& marker) {
    std::size_t at;
    while ((at = buffer_.find(marker)) == std::string::npos)
      if (!fill())
        throw std::runtime_error("the connection ended before: " + marker);
    return take(at + marker.size());
  }

  /// Reads one whole answer.
  http_answer answer() {
    http_answer a;
    a.head = read_until("\r\n\r\n");
    a.status = std::stoi(a.head.substr(9, 3));
    if (auto length = header(a.head, "Content-Length"); !length.empty())
      a.body = read(std::stoul(length));
    else if (!header(a.head, "Transfer-Encoding").empty())
      while (auto size = std::stoul(read_until("\r\n"), nullptr, 16))
        a.body += read(size), read(2);
    if (a.head.find("Transfer-Encoding") != std::string::npos)
      read(2);
    return a;
  }

  /// Whether the server has closed; reads and drops what comes before.
  bool ended() {
    while (fill())
      buffer_.clear();
    return !timed_out_;
  }

  static std::string header(const std::string& head, const std::string& name) {
    auto at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos)
      return {};
    at += name.size() + 4;
    return head.substr(at, head.find("\r\n", at) - at);
  }

private:
  std::string take(std::size_t n) {
    auto front = buffer_.substr(0, n);
    buffer_.erase(0, n);
    return front;
  }

  std::string read(std::size_t n) {
    while (buffer_.size() < n)
      if (!fill())
        throw std::runtime_error("the connection ended inside an answer");
    return take(n);
  }

  bool fill() {
    char bytes[16 * 1024];
    auto n = ::recv(fd_, bytes, sizeof bytes, 0);
    timed_out_ = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    if (n <= 0)
      return false;
    buffer_.append(bytes, static_cast<std::size_t>(n));
    return true;
  }

  int fd_;
  bool timed_out_ = false;
  std::string buffer_;
};

} // namespace virga::test
