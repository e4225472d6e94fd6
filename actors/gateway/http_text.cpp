#include "actors/gateway/http_text.hpp"

#include <charconv>
#include <ctime>

namespace virga {

namespace {

std::string_view reason_of(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 413: return "Content Too Large";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Unknown";
  }
}

std::string date_text() {
  auto now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc)};
}

std::string head_text(const http_reply& r, bool keep_alive) {
  std::string out = "HTTP/1.1 " + std::to_string(r.status) + ' ';
  out += reason_of(r.status);
  out += "\r\nDate: " + date_text() + "\r\nContent-Type: " + r.content_type;
  for (auto& [name, value] : r.headers)
    out += "\r\n" + name + ": " + value;
  out += keep_alive ? "\r\nConnection: keep-alive\r\n" : "\r\nConnection: close\r\n";
  return out;
}

} // namespace

std::string reply_text(const http_reply& r, bool keep_alive) {
  return head_text(r, keep_alive) + "Content-Length: " + std::to_string(r.body.size()) + "\r\n\r\n" + r.body;
}

std::string stream_head_text(const http_reply& head, bool keep_alive, bool chunked) {
  return head_text(head, keep_alive && chunked) + (chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
}

std::string chunk_text(std::string_view piece) {
  if (piece.empty())
    return {};
  char size[16];
  auto end = std::to_chars(size, size + sizeof size, piece.size(), 16).ptr;
  std::string out(size, end);
  out += "\r\n";
  out += piece;
  return out += "\r\n";
}

} // namespace virga
