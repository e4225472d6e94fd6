#include "models/hf/json.hpp"

#include "models/defaults.hpp"

#include <boost/json/basic_parser_impl.hpp>

#include <cmath>
#include <fstream>
#include <set>

namespace virga::models::hf {

namespace {

/// Watches a parse for two equal keys in one object.
struct duplicate_watch {
  static constexpr std::size_t max_object_size = std::size_t(-1), max_array_size = std::size_t(-1);
  static constexpr std::size_t max_key_size = std::size_t(-1), max_string_size = std::size_t(-1);

  std::vector<std::set<std::string>> open;
  std::string key, duplicate;

  using error = json::error_code;
  bool on_document_begin(error&) { return true; }
  bool on_document_end(error&) { return true; }
  bool on_object_begin(error&) { return open.emplace_back(), true; }
  bool on_object_end(std::size_t, error&) { return open.pop_back(), true; }
  bool on_array_begin(error&) { return true; }
  bool on_array_end(std::size_t, error&) { return true; }
  bool on_key_part(json::string_view s, std::size_t, error&) { return key.append(s.data(), s.size()), true; }
  bool on_key(json::string_view s, std::size_t, error& e) {
    key.append(s.data(), s.size());
    if (!open.back().insert(key).second) {
      duplicate = key;
      e = json::error::syntax;
      return false;
    }
    return key.clear(), true;
  }
  bool on_string_part(json::string_view, std::size_t, error&) { return true; }
  bool on_string(json::string_view, std::size_t, error&) { return true; }
  bool on_number_part(json::string_view, error&) { return true; }
  bool on_int64(std::int64_t, json::string_view, error&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, error&) { return true; }
  bool on_double(double, json::string_view, error&) { return true; }
  bool on_bool(bool, error&) { return true; }
  bool on_null(error&) { return true; }
  bool on_comment_part(json::string_view, error&) { return true; }
  bool on_comment(json::string_view, error&) { return true; }
};

void refuse_duplicates(std::string_view text, const std::string& where) {
  json::basic_parser<duplicate_watch> watch{json::parse_options{}};
  json::error_code error;
  watch.write_some(false, text.data(), text.size(), error);
  if (!watch.handler().duplicate.empty())
    fail(where, "the key " + in_quotes(watch.handler().duplicate) + " stands twice in one object; one of them must go");
}

/// A value as JSON writes it, for messages.
std::string shortened(const json::value& v) {
  constexpr std::size_t longest = 80;
  auto text = json::serialize(v);
  return text.size() > longest ? text.substr(0, longest) + "..." : text;
}

} // namespace

void fail(const std::string& where, const std::string& what) { throw bad_model(where + ": " + what); }

std::string in_quotes(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  constexpr std::size_t longest = 80;
  std::string out = "\"";
  for (unsigned char c : text.substr(0, longest))
    if (c < 0x20 || c == 0x7f)
      out += {'\\', 'x', digits[c >> 4], digits[c & 15]};
    else
      out += static_cast<char>(c);
  return out + (text.size() > longest ? "...\"" : "\"");
}

std::string read_text(const std::filesystem::path& file) {
  std::error_code error;
  auto size = std::filesystem::file_size(file, error);
  if (error)
    fail(file.string(), "cannot be read (" + error.message() + ")");
  if (size > defaults::json_file_bytes)
    fail(file.string(), "has " + std::to_string(size) + " bytes; at most " + std::to_string(defaults::json_file_bytes)
                          + " are read");
  std::ifstream in(file, std::ios::binary);
  std::string text(size, '\0');
  if (!in.read(text.data(), static_cast<std::streamsize>(size)))
    fail(file.string(), "cannot be read to its end");
  return text;
}

json::value parse_strict(std::string_view text, const std::string& where) {
  refuse_duplicates(text, where);
  json::error_code error;
  auto v = json::parse(json::string_view(text.data(), text.size()), error);
  if (error)
    fail(where, "is not valid JSON (" + error.message() + "); copy the file again");
  return v;
}

std::uint64_t whole_number(const json::value& v, const std::string& where, std::uint64_t low, std::uint64_t high) {
  auto range = std::to_string(low) + " to " + std::to_string(high);
  std::uint64_t n = 0;
  if (v.is_uint64())
    n = v.get_uint64();
  else if (v.is_int64() && v.get_int64() >= 0)
    n = static_cast<std::uint64_t>(v.get_int64());
  else
    fail(where, "is " + shortened(v) + "; it must be a whole number from " + range);
  if (n < low || n > high)
    fail(where, "is " + std::to_string(n) + "; it must be from " + range);
  return n;
}

fields::fields(const json::value& object, std::string where) : object_(object.if_object()), where_(std::move(where)) {
  if (!object_)
    fail(where_, "must be a JSON object");
}

const json::value* fields::find(std::string_view key) const {
  auto v = object_->if_contains(json::string_view(key.data(), key.size()));
  return v && !v->is_null() ? v : nullptr;
}

bool fields::has(std::string_view key) const { return object_->contains(json::string_view(key.data(), key.size())); }

const json::value& fields::at(std::string_view key) const {
  if (auto v = find(key))
    return *v;
  fail(where_, "the field " + in_quotes(key) + " is missing");
}

void fields::complain(std::string_view key, const std::string& what) const {
  fail(where_, std::string(key) + " is " + shortened(at(key)) + "; " + what);
}

std::uint64_t fields::whole(std::string_view key, std::uint64_t low, std::uint64_t high) const {
  return whole_number(at(key), where_ + ": " + std::string(key), low, high);
}

std::uint64_t fields::whole_or(std::string_view key, std::uint64_t low, std::uint64_t high, std::uint64_t other) const {
  return find(key) ? whole(key, low, high) : other;
}

std::vector<std::uint64_t> fields::whole_numbers(std::string_view key) const {
  auto list = at(key).if_array();
  if (!list)
    complain(key, "it must be a list of whole numbers");
  std::vector<std::uint64_t> out;
  for (auto& v : *list)
    out.push_back(whole_number(v, where_ + ": " + std::string(key), 0, UINT64_MAX));
  return out;
}

double fields::number_or(std::string_view key, double other) const {
  auto v = find(key);
  if (!v)
    return other;
  if (!v->is_number() || !std::isfinite(v->to_number<double>()))
    complain(key, "it must be a finite number");
  return v->to_number<double>();
}

bool fields::flag_or(std::string_view key, bool other) const {
  auto v = find(key);
  if (!v)
    return other;
  if (!v->is_bool())
    complain(key, "it must be true or false");
  return v->get_bool();
}

std::string fields::text(std::string_view key) const {
  auto& v = at(key);
  if (!v.is_string())
    complain(key, "it must be a string");
  return {v.get_string().data(), v.get_string().size()};
}

std::string fields::text_or(std::string_view key, std::string other) const {
  return find(key) ? text(key) : std::move(other);
}

} // namespace virga::models::hf
