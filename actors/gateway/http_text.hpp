// actors/gateway/http_text.hpp: replies as the bytes of HTTP/1.1.
#pragma once

#include "actors/gateway/http.hpp"

#include <string>
#include <string_view>

namespace virga {

/// A whole reply.
std::string reply_text(const http_reply& r, bool keep_alive);

/// The head of a stream. Chunked, unless the client speaks HTTP/1.0: there the end of the connection ends the stream.
std::string stream_head_text(const http_reply& head, bool keep_alive, bool chunked);

/// One piece as a chunk; an empty one would end the stream, so it gives nothing.
std::string chunk_text(std::string_view piece);

/// What ends a chunked stream.
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

} // namespace virga
