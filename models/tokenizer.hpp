// models/tokenizer.hpp: text to token ids and back, as tokenizer.json says. Immutable after construction, so threads may share it.
#pragma once

#include "messages/types.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace virga::models {

/// Bytes [begin, end) of a text.
struct text_range {
  std::size_t begin = 0, end = 0;
  bool operator==(const text_range&) const = default;
};

struct encode_options {
  bool add_special = true;    ///< the post-processor's tokens, such as a leading <bos>
  bool parse_special = false; ///< special tokens written in the text become those tokens; else they stay text
  /// With parse_special: where they stay text all the same, such as what a user wrote in a rendered chat. Ascending.
  std::vector<text_range> literal{};
};

/// Turns tokens that arrive one by one into pieces of text whose concatenation is decode(all of them). Holds back what
/// may still change: half a UTF-8 character, a run of byte tokens. A push costs about the same however long the text is.
class text_stream {
public:
  virtual ~text_stream() = default;
  /// An id without token gives no text: a model's vocabulary may be larger than its tokenizer's.
  virtual std::string push(token_id id) = 0;
  virtual std::string finish() = 0;
};

class tokenizer {
public:
  virtual ~tokenizer() = default;

  /// Added tokens that are not special (`"special": false`) are read from text always, as the tokenizers library does.
  /// @throws bad_segment for text that is no UTF-8 (naming the byte), and for a word outside the vocabulary when there
  ///   is no unknown token
  virtual std::vector<token_id> encode(std::string_view text, const encode_options& how = {}) const = 0;

  /// @param skip_special leave special tokens out. The tokenizer must outlive the stream.
  virtual std::unique_ptr<text_stream> stream(bool skip_special = true) const = 0;

  /// Always UTF-8: bytes of tokens that make none come out as U+FFFD. @throws bad_segment for an id without token
  std::string decode(std::span<const token_id> ids, bool skip_special = true) const;

  virtual bool has(token_id id) const = 0;

  /// Highest id + 1 that has a token; a model's vocabulary may be larger.
  virtual std::uint32_t vocab_size() const = 0;
  virtual std::optional<token_id> id_of(std::string_view token) const = 0;
};

/// A tokenizer from the text of a tokenizer.json. @throws bad_model for a damaged file or a kind that cannot be run, naming
/// `where` and the kind
std::shared_ptr<const tokenizer> parse_tokenizer(std::string_view text, const std::string& where);

/// Reads DIR/tokenizer.json. @throws bad_model
std::shared_ptr<const tokenizer> load_tokenizer(const std::filesystem::path& dir);

} // namespace virga::models
