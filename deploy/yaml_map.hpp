// deploy/yaml_map.hpp: reads a YAML mapping key by key and collects what is wrong with it, each with line and column.
// Nothing is thrown for a user's mistake, so that one run shows them all.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace virga::deploy {

/// Where something stands in the file, counted from 1.
struct mark {
  int line = 1;
  int column = 1;
};

struct problem {
  mark at;
  std::string text;  ///< what is wrong (both values), what to do
};
using problems = std::vector<problem>;

/// A value and where it stands (where the mapping starts when the key is missing).
template <class T>
struct marked {
  T value{};
  mark at;
  explicit operator bool() const { return value != T{}; }
};

struct range {
  double min, max;
};

class yaml_map {
public:
  /// @param what how a person calls this mapping: "node edge-1"
  /// `found` must outlive the reader.
  yaml_map(const YAML::Node& node, std::string what, problems& found);

  bool has(const char* key) const;
  mark at(const char* key) const;
  mark at() const { return at_; }

  std::string text(const char* key);              ///< needed and not empty
  marked<std::string> marked_text(const char* key, bool needed = true);
  /// Letters, digits and '-', at most 63: names become file names and certificate names.
  marked<std::string> name(const char* key);
  double number(const char* key, double fallback, range allowed);
  std::uint64_t whole(const char* key, std::optional<std::uint64_t> fallback, range allowed);
  /// One of `names`; the index in it.
  std::size_t choice(const char* key, std::optional<std::size_t> fallback, std::initializer_list<std::string_view> names);
  std::optional<yaml_map> map(const char* key, const std::string& what);
  /// Calls `each` with every entry of the list; at most `limit` entries.
  void list(const char* key, bool needed, std::size_t limit, const std::function<void(const YAML::Node&)>& each);

  void fail(mark where, std::string text) { found_->push_back({where, std::move(text)}); }

  /// To be called last: refuses the keys that nobody asked for, and keys that stand there twice.
  void finish();

private:
  std::optional<std::string> scalar(const char* key, bool needed);

  YAML::Node node_;
  std::string what_;
  problems* found_;
  mark at_;
  std::set<std::string> known_;
};

mark mark_of(const YAML::Node& node);

/// The document in `text`, refused (with one problem) when it is more than one document, has anchors, aliases or tags,
/// more than `max_nodes` values, or is no YAML.
std::optional<YAML::Node> parse_yaml(const std::string& text, std::size_t max_nodes, problems& found);

} // namespace virga::deploy
