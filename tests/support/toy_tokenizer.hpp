// tests/support/toy_tokenizer.hpp: a tokenizer whose tokens are texts of their own.
#pragma once

#include "models/tokenizer.hpp"

namespace virga::testing {

class toy_tokenizer : public models::tokenizer {
public:
  /// @param first whether it begins the answer
  virtual std::string text_of(token_id id, bool first) const = 0;

  std::unique_ptr<models::text_stream> stream(bool) const override { return std::make_unique<texts>(*this); }
  bool has(token_id id) const override { return id < vocab_size(); }
  std::uint32_t vocab_size() const override { return 96; }
  std::optional<token_id> id_of(std::string_view) const override { return std::nullopt; }

private:
  struct texts final : models::text_stream {
    explicit texts(const toy_tokenizer& t) : toy(t) {}
    std::string push(token_id id) override { return toy.text_of(id, std::exchange(first, false)); }
    std::string finish() override { return {}; }
    const toy_tokenizer& toy;
    bool first = true;
  };
};

} // namespace virga::testing
