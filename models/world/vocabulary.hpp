// models/world/vocabulary.hpp: every word of the world is one token. Independent of the world's seed.
#pragma once

#include "messages/types.hpp"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace virga::models::world {

class vocabulary {
public:
  static constexpr token_id pad = 0, bos = 1, eos = 2, unk = 3;

  /// All words of words.hpp and templates.hpp. @throws std::logic_error when a word means two things by mistake
  vocabulary();

  const std::vector<std::string>& words() const noexcept { return words_; }
  std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(words_.size()); }

  /// unk for a word outside.
  token_id id_of(std::string_view word) const;

  /// One token per word of the line, nothing added.
  std::vector<token_id> encode(std::string_view line) const;

private:
  struct hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
  };
  void add(std::string_view word, bool may_repeat);

  std::vector<std::string> words_;
  std::unordered_map<std::string, token_id, hash, std::equal_to<>> ids_;
};

} // namespace virga::models::world
