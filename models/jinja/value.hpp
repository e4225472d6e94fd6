// models/jinja/value.hpp: the values of a template, which behave as Python's do. Private to models.
#pragma once

#include "models/tokenizer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace virga::models::jinja {

/// A string and which of its bytes came from the messages. Valid UTF-8; cut between characters only.
struct text {
  std::string bytes;
  std::string marks;  ///< empty: none; else one per byte, '\1' for one from the messages

  text() = default;
  text(std::string s, bool user = false) : bytes(std::move(s)), marks(user ? bytes.size() : 0, '\1') {}
  text(const char* s) : bytes(s) {}

  text& operator+=(const text& other);
  text slice(std::size_t begin, std::size_t end) const;  ///< of bytes
  bool any_mark() const { return marks.find('\1') != std::string::npos; }
};

class value;
class frame;

struct list {
  std::vector<value> items;
  bool tuple = false;
  std::uint32_t depth = 1;  ///< of lists and mappings inside each other, itself included; set when it becomes a value
};

struct dict {
  std::vector<std::pair<value, value>> items;  ///< in the order of insertion
  std::uint32_t depth = 1;
  const value* find(const value& key) const;
  const value* named(std::string_view key) const;  ///< the one of a string key
  void set(value key, value v);
};

struct arguments {
  std::vector<value> positional;
  std::vector<std::pair<std::string, value>> named;
  /// The i-th positional or the one named so; nullptr when neither is there.
  const value* find(std::size_t i, std::string_view name) const;
  /// The same without None. @throws bad_chat when it is missing
  const value& at(std::size_t i, std::string_view name) const;
  void at_most(std::size_t n, const char* what) const;  ///< @throws bad_chat
};

struct function {
  std::string name;
  std::function<value(frame&, const arguments&)> call;
};

/// namespace(): its attributes can be set, but nothing can hold it, so that values never make a circle.
struct name_space {
  dict attributes;
};

/// The `loop` of a for.
struct loop_state {
  std::shared_ptr<const list> items;
  std::size_t index0 = 0;
  std::vector<value> last_changed;
};

struct undefined {
  std::string name;  ///< for messages: what was asked for
};
struct none {};

class value {
public:
  using variant = std::variant<undefined, none, bool, std::int64_t, double, std::shared_ptr<const text>,
                               std::shared_ptr<const list>, std::shared_ptr<const dict>, std::shared_ptr<name_space>,
                               std::shared_ptr<loop_state>, std::shared_ptr<const function>>;
  value() = default;
  value(variant v) : v_(std::move(v)) {}
  value(bool b) : v_(b) {}
  value(std::int64_t n) : v_(n) {}
  value(double d) : v_(d) {}
  value(text t) : v_(std::make_shared<const text>(std::move(t))) {}
  value(const char* s) : value(text(s)) {}
  /// @throws bad_chat when lists and mappings nest deeper than defaults::template_depth, or hold a namespace
  value(list l);
  value(dict d);

  template <class T>
  const T* as() const {  ///< of bool, int64, double, undefined, none
    return std::get_if<T>(&v_);
  }
  const text* as_text() const { return pointer<const text>(); }
  const list* as_list() const { return pointer<const list>(); }
  const dict* as_dict() const { return pointer<const dict>(); }
  name_space* as_namespace() const { return pointer<name_space>(); }
  loop_state* as_loop() const { return pointer<loop_state>(); }
  const function* as_function() const { return pointer<const function>(); }
  std::shared_ptr<const list> shared_list() const { return std::get<std::shared_ptr<const list>>(v_); }
  const variant& raw() const { return v_; }

  bool is_undefined() const { return as<undefined>(); }
  bool is_none() const { return as<none>(); }
  bool is_number() const { return as<std::int64_t>() || as<double>() || as<bool>(); }
  bool is_whole() const { return as<std::int64_t>() || as<bool>(); }
  std::int64_t whole() const;  ///< of a bool or an int
  double number() const;       ///< of any number

private:
  template <class T>
  T* pointer() const {
    auto* p = std::get_if<std::shared_ptr<T>>(&v_);
    return p ? p->get() : nullptr;
  }
  variant v_;
};

/// How deep a value that is held by another makes it. @throws bad_chat for a namespace
std::uint32_t depth_inside(const value& v);

// -- Python's ways ----------------------------------------------------------------------------------------------------

/// Throws bad_chat.
[[noreturn]] void complain(const std::string& what);

bool truth(const value& v);
bool equal(const value& a, const value& b);
/// a < b. @throws bad_chat for kinds that have no order
bool less(const value& a, const value& b);
/// "a string", "a list", ...
std::string kind_of(const value& v);
text str(const value& v);   ///< what {{ v }} prints
text repr(const value& v);
std::string float_repr(double d);

/// The items that a for over `v` visits: of a list, the keys of a dict, the characters of a string; undefined has none.
/// @throws bad_chat
std::shared_ptr<const list> items_of(const value& v);

/// json.dumps(v, ensure_ascii=False, indent=...). @param indent below 0: one line
text to_json(const value& v, std::int64_t indent, bool sort_keys, const std::string& item_separator,
             const std::string& key_separator, bool ascii);

/// From JSON; strings are marked as the messages' when `user`. @throws bad_chat naming `what` when it is no JSON
value from_json(std::string_view json, bool user, const std::string& what);

// -- strings by characters --------------------------------------------------------------------------------------------

std::size_t character_count(std::string_view s);
/// Byte offsets where each character begins, and the end.
std::vector<std::size_t> character_starts(std::string_view s);
/// str.isspace() of one character.
bool is_space(char32_t c);

} // namespace virga::models::jinja
