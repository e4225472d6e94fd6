// models/hf/json.hpp: strict JSON for the files of a model folder. Private to models/hf.
#pragma once

#include "models/shard.hpp"

#include <boost/json.hpp>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace virga::models::hf {

namespace json = boost::json;

/// Throws bad_model("WHERE: WHAT").
[[noreturn]] void fail(const std::string& where, const std::string& what);

/// `text` in quotes, at most 80 bytes of it, control characters as \xNN: for messages.
std::string in_quotes(std::string_view text);

/// The whole file. @throws bad_model when it cannot be read or is larger than defaults::json_file_bytes
std::string read_text(const std::filesystem::path& file);

/// Parses one JSON text. Stricter than Boost.JSON, which keeps the last of two equal keys: that is bad_model here.
json::value parse_strict(std::string_view text, const std::string& where);

/// An object with the name of its place, so that every complaint names file and field. Holds no copy.
class fields {
public:
  fields(const json::value& object, std::string where);  ///< @throws bad_model when it is no object

  const json::value* find(std::string_view key) const;   ///< nullptr when absent or null
  bool has(std::string_view key) const;                  ///< also true for null
  const json::value& at(std::string_view key) const;     ///< @throws bad_model when absent or null
  std::uint64_t whole(std::string_view key, std::uint64_t low, std::uint64_t high) const;
  std::uint64_t whole_or(std::string_view key, std::uint64_t low, std::uint64_t high, std::uint64_t other) const;
  std::vector<std::uint64_t> whole_numbers(std::string_view key) const;  ///< a list
  double number_or(std::string_view key, double other) const;  ///< finite
  bool flag_or(std::string_view key, bool other) const;
  std::string text(std::string_view key) const;
  std::string text_or(std::string_view key, std::string other) const;
  [[noreturn]] void complain(std::string_view key, const std::string& what) const;

  const json::object& object() const { return *object_; }
  const std::string& where() const { return where_; }

private:
  const json::object* object_;
  std::string where_;
};

/// A whole number in [low, high], or bad_model.
std::uint64_t whole_number(const json::value& v, const std::string& where, std::uint64_t low, std::uint64_t high);

} // namespace virga::models::hf
