#include "models/hf/folder.hpp"
#include "models/hf/json.hpp"
#include "models/hf/parts.hpp"

#include <charconv>

namespace virga::models::hf {

namespace {

std::string trimmed(const std::string& s) {
  auto first = s.find_first_not_of(' ');
  return first == std::string::npos ? "" : s.substr(first, s.find_last_not_of(' ') - first + 1);
}

/// "3" or "0-1"; nothing else.
std::optional<stage> parse_layers(std::string_view word) {
  stage s{stage_kind::layers, 0, 0};
  auto end = word.data() + word.size();
  auto [after_first, error] = std::from_chars(word.data(), end, s.first);
  s.last = s.first;
  if (error == std::errc{} && after_first != end && *after_first == '-') {
    auto second = std::from_chars(after_first + 1, end, s.last);
    after_first = second.ptr;
    error = second.ec;
  }
  if (error != std::errc{} || after_first != end || s.last == UINT32_MAX)
    return std::nullopt;
  ++s.last;
  return s;
}

stage parse_stage(const std::string& word, const std::string& where) {
  if (word == "embedding")
    return {stage_kind::embedding, 0, 0};
  if (word == "head")
    return {stage_kind::head, 0, 0};
  if (auto s = parse_layers(word.starts_with("layers ") ? trimmed(word.substr(7)) : word))
    return *s;
  fail(where, in_quotes(word) + " is no stage; write embedding, head, or layers such as 0-1");
}

} // namespace

std::vector<stage> parse_stages(const std::string& text, std::uint32_t model_layers) {
  auto where = "stages " + in_quotes(text);
  std::vector<stage> out;
  for (std::size_t at = 0; at <= text.size();) {
    auto comma = std::min(text.find(',', at), text.size());
    out.push_back(parse_stage(trimmed(text.substr(at, comma - at)), where));
    at = comma + 1;
  }
  check_order(out, model_layers, where);
  return out;
}

} // namespace virga::models::hf
