#include "deploy/yaml_map.hpp"

#include <charconv>
#include <cmath>
#include <sstream>

namespace virga::deploy {
namespace {

std::string number_text(double x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

bool good_name(const std::string& s) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  if (s.empty() || s.size() > 63 || !plain(s.front()) || !plain(s.back()))
    return false;
  for (char c : s)
    if (!plain(c) && c != '-')
      return false;
  return true;
}

template <class Names>
std::string join(const Names& names) {
  std::string all;
  for (const auto& n : names)
    all += (all.empty() ? "" : ", ") + std::string(n);
  return all;
}

} // namespace

mark mark_of(const YAML::Node& node) {
  auto m = node.Mark();
  return m.is_null() ? mark{} : mark{m.line + 1, m.column + 1};
}

yaml_map::yaml_map(const YAML::Node& node, std::string what, problems& found)
  : node_(node), what_(std::move(what)), found_(&found), at_(mark_of(node)) {
  if (!node_.IsMap()) {
    fail(at_, what_ + " must be a mapping (key: value)" + (node_.IsNull() ? ", it is empty" : ""));
    node_ = YAML::Node(YAML::NodeType::Map);
  }
}

bool yaml_map::has(const char* key) const { return static_cast<bool>(std::as_const(node_)[key]); }

mark yaml_map::at(const char* key) const {
  const auto value = std::as_const(node_)[key];
  return value ? mark_of(value) : at_;
}

std::optional<std::string> yaml_map::scalar(const char* key, bool needed) {
  known_.insert(key);
  const auto value = std::as_const(node_)[key];
  if (!value) {
    if (needed)
      fail(at_, what_ + " has no `" + key + "`: add it");
    return std::nullopt;
  }
  if (!value.IsScalar() || value.Scalar().empty()) {
    fail(mark_of(value), "`" + std::string(key) + "` of " + what_ + " must be a single value");
    return std::nullopt;
  }
  return value.Scalar();
}

marked<std::string> yaml_map::marked_text(const char* key, bool needed) {
  return {scalar(key, needed).value_or(""), at(key)};
}

std::string yaml_map::text(const char* key) { return marked_text(key).value; }

marked<std::string> yaml_map::name(const char* key) {
  auto result = marked_text(key);
  if (result && !good_name(result.value)) {
    fail(result.at, "`" + std::string(key) + "` of " + what_ + " is `" + result.value.substr(0, 80)
                      + "`: use 1 to 63 letters, digits and '-', beginning and ending with a letter or digit");
    result.value.clear();
  }
  return result;
}

double yaml_map::number(const char* key, double fallback, range allowed) {
  auto text = scalar(key, false);
  if (!text)
    return fallback;
  double x = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), x);
  if (error == std::errc{} && end == text->data() + text->size() && x >= allowed.min && x <= allowed.max)
    return x;
  fail(at(key), "`" + std::string(key) + "` of " + what_ + " is `" + text->substr(0, 80) + "`: give a number from "
                  + number_text(allowed.min) + " to " + number_text(allowed.max));
  return fallback;
}

std::uint64_t yaml_map::whole(const char* key, std::optional<std::uint64_t> fallback, range allowed) {
  auto text = scalar(key, !fallback.has_value());
  if (!text)
    return fallback.value_or(0);
  std::uint64_t n = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), n);
  if (error == std::errc{} && end == text->data() + text->size() && n >= allowed.min && n <= allowed.max)
    return n;
  std::ostringstream limits;
  limits << static_cast<std::uint64_t>(allowed.min) << " to " << static_cast<std::uint64_t>(allowed.max);
  fail(at(key), "`" + std::string(key) + "` of " + what_ + " is `" + text->substr(0, 80)
                  + "`: give a whole number from " + limits.str());
  return fallback.value_or(0);
}

std::size_t yaml_map::choice(const char* key, std::optional<std::size_t> fallback,
                             std::initializer_list<std::string_view> names) {
  auto text = scalar(key, !fallback.has_value());
  if (!text)
    return fallback.value_or(0);
  std::size_t i = 0;
  for (auto n : names) {
    if (n == *text)
      return i;
    ++i;
  }
  fail(at(key), "`" + std::string(key) + "` of " + what_ + " is `" + text->substr(0, 80) + "`: give one of " + join(names));
  return fallback.value_or(0);
}

std::optional<yaml_map> yaml_map::map(const char* key, const std::string& what) {
  known_.insert(key);
  const auto value = std::as_const(node_)[key];
  if (!value)
    return std::nullopt;
  return yaml_map(value, what, *found_);
}

void yaml_map::list(const char* key, bool needed, std::size_t limit,
                    const std::function<void(const YAML::Node&)>& each) {
  known_.insert(key);
  const auto value = std::as_const(node_)[key];
  if (!value) {
    if (needed)
      fail(at_, what_ + " has no `" + key + "`: add a list");
    return;
  }
  if (!value.IsSequence() || (needed && value.size() == 0)) {
    fail(mark_of(value), "`" + std::string(key) + "` of " + what_ + " must be a list (- ...)");
    return;
  }
  if (value.size() > limit) {
    fail(mark_of(value), "`" + std::string(key) + "` of " + what_ + " has " + std::to_string(value.size())
                           + " entries, at most " + std::to_string(limit) + " are allowed");
    return;
  }
  for (const auto& entry : value)
    each(entry);
}

void yaml_map::finish() {
  std::set<std::string> seen;
  for (const auto& entry : std::as_const(node_)) {
    auto key = entry.first.IsScalar() ? entry.first.Scalar() : std::string("?");
    if (!known_.contains(key))
      fail(mark_of(entry.first), "unknown key `" + key.substr(0, 80) + "` in " + what_ + "; known are: " + join(known_));
    else if (!seen.insert(key).second)
      fail(mark_of(entry.first), "`" + key + "` stands twice in " + what_ + ": keep one");
  }
}

} // namespace virga::deploy
