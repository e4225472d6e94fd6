// messages/checks.hpp: the rules that the writing and the reading side share. Private to the codec's sources.
#pragma once

#include "messages/limits.hpp"
#include "messages/tensor_of.hpp"
#include "messages/types.hpp"

#include <stdexcept>
#include <string>

namespace virga {

/// A value or a body breaks a rule of the wire. Never leaves messages/: encode() and decode_slice() turn it into an
/// error.
class rule_broken : public std::runtime_error {
public:
  rule_broken(ec why, const std::string& sentence) : std::runtime_error(sentence), code(why) {}
  ec code;
};

/// @throws rule_broken with the name, both numbers and `code` when `size` is beyond `limit`
inline void check_size(std::size_t size, std::size_t limit, const char* name, ec code = ec::bad_frame) {
  if (size > limit)
    throw rule_broken(code, std::string{name} + " has a size of " + std::to_string(size) + ", the limit is "
                              + std::to_string(limit));
}

/// The bounds of a `generate` that stand in several of its fields. @throws rule_broken ec::bad_request
inline void check_chat(std::size_t messages, std::size_t bytes) {
  check_size(messages, limits::chat_messages, "the list of messages", ec::bad_request);
  check_size(bytes, limits::prompt_bytes, "the prompt", ec::bad_request);
}

/// Log-probabilities come with every id or with none. @throws rule_broken ec::bad_frame
inline void check_logprobs(std::size_t logprobs, std::size_t ids) {
  if (logprobs != 0 && logprobs != ids)
    throw rule_broken(ec::bad_frame, "tokens has " + std::to_string(ids) + " ids and " + std::to_string(logprobs)
                                       + " log-probabilities");
}

/// Bytes of a whole matrix; i8_rows has one f32 scale a row before its data.
/// @throws rule_broken ec::bad_tensor when it is beyond limits::tensor_bytes or has rows without columns
inline std::uint64_t matrix_bytes(dtype type, std::uint32_t rows, std::uint32_t cols) {
  if (rows != 0 && cols == 0)
    throw rule_broken(ec::bad_tensor, "a tensor of " + std::to_string(rows) + " rows has no columns");
  auto elements = std::uint64_t{rows} * cols; // two u32: no overflow; below, rows <= elements
  auto bytes = elements > limits::tensor_bytes ? elements : elements * size_of(type);
  if (type == dtype::i8_rows && elements <= limits::tensor_bytes)
    bytes += std::uint64_t{4} * rows;
  if (bytes > limits::tensor_bytes)
    throw rule_broken(ec::bad_tensor, "a tensor of " + std::to_string(rows) + " x " + std::to_string(cols)
                                        + " is larger than " + std::to_string(limits::tensor_bytes) + " bytes");
  return bytes;
}

} // namespace virga
