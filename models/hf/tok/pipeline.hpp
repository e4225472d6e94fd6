// models/hf/tok/pipeline.hpp: the tokenizer that a tokenizer.json describes, step by step:
//   text -> added tokens cut out -> normalizer -> added tokens again -> pre-tokenizer -> model -> post-processor
// Source: the tokenizers library 0.23. Private to models/hf.
#pragma once

#include "models/hf/tok/added_tokens.hpp"
#include "models/hf/tok/decoder.hpp"
#include "models/hf/tok/pre_tokenizer.hpp"

namespace virga::models::hf::tok {

struct pipeline_parts {
  std::unique_ptr<vocabulary> words;
  token_finder raw_tokens, normalized_tokens;  ///< looked for before and behind the normalizer
  normalizer normal;
  pre_tokenizer pre;
  std::unique_ptr<word_model> model;
  std::vector<token_id> before, after;         ///< the post-processor's
  decoder decode;
};

class pipeline final : public tokenizer {
public:
  explicit pipeline(pipeline_parts parts) : p_(std::move(parts)) {}
  std::vector<token_id> encode(std::string_view text, const encode_options& how) const override;
  std::unique_ptr<text_stream> stream(bool skip_special) const override;
  bool has(token_id id) const override { return p_.words->token(id) != nullptr; }
  std::uint32_t vocab_size() const override { return p_.words->size(); }
  std::optional<token_id> id_of(std::string_view token) const override { return p_.words->id_of(token); }

private:
  void add_text(marked_text text, bool first, bool parse_special, std::vector<token_id>& out) const;
  void add_words(std::string_view text, bool first, std::vector<token_id>& out) const;

  pipeline_parts p_;
};

} // namespace virga::models::hf::tok
