#include "models/tokenizer.hpp"

namespace virga::models {

namespace {

/// Length of `text` without a last UTF-8 character of which bytes are still missing.
std::size_t complete_prefix(std::string_view text) {
  auto byte = [&](std::size_t back) { return static_cast<unsigned char>(text[text.size() - back]); };
  for (std::size_t back = 1; back <= std::min<std::size_t>(4, text.size()); ++back) {
    auto c = byte(back);
    if ((c & 0xc0) == 0x80)
      continue;
    std::size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return length > back ? text.size() - back : text.size();
  }
  return text.size();
}

} // namespace

std::string text_stream::push(token_id id) {
  ids_.push_back(id);
  auto text = tok_->decode(ids_);
  auto end = complete_prefix(text);
  if (end <= emitted_)
    return {};
  auto piece = text.substr(emitted_, end - emitted_);
  emitted_ = end;
  return piece;
}

std::string text_stream::finish() {
  auto piece = tok_->decode(ids_).substr(emitted_);
  emitted_ += piece.size();
  return piece;
}

} // namespace virga::models
