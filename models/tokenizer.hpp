// models/tokenizer.hpp: text to token ids and back, as tokenizer.json says. Immutable after construction, so threads may share it.
#pragma once

#include "messages/types.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace virga::models {

class tokenizer {
public:
  virtual ~tokenizer() = default;

  /// With the post-processor's special tokens (such as a leading <bos>) when `add_special`. Special tokens written in
  /// the text stay text. A word outside the vocabulary is the unknown token, or bad_segment when there is none.
  virtual std::vector<token_id> encode(std::string_view text, bool add_special) const = 0;

  /// Special tokens are left out. Unknown ids: bad_segment.
  virtual std::string decode(const std::vector<token_id>& ids) const = 0;

  virtual std::uint32_t vocab_size() const = 0;
  virtual std::optional<token_id> id_of(std::string_view token) const = 0;
};

/// Turns tokens that arrive one by one into pieces of text whose concatenation is decode(all of them).
/// Holds back what may still change (half a UTF-8 character).
class text_stream {
public:
  explicit text_stream(std::shared_ptr<const tokenizer> tok) : tok_(std::move(tok)) {}
  std::string push(token_id id);
  std::string finish();

private:
  std::shared_ptr<const tokenizer> tok_;
  std::vector<token_id> ids_;
  std::size_t emitted_ = 0;
};

/// Reads DIR/tokenizer.json. @throws bad_model for a damaged file or a kind that is not supported yet, naming it
std::shared_ptr<const tokenizer> load_tokenizer(const std::filesystem::path& dir);

} // namespace virga::models
