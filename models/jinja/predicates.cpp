// Jinja's tests (`x is name`) and the global functions.
#include "models/chat_template.hpp"
#include "models/jinja/builtins.hpp"
#include "models/jinja/text_tools.hpp"

#include <ctime>
#include <map>

namespace virga::models::jinja {

namespace {

bool is_string(const value& v, const arguments&) { return v.as_text(); }
bool is_mapping(const value& v, const arguments&) { return v.as_dict(); }
bool is_iterable(const value& v, const arguments&) { return v.as_text() || v.as_list() || v.as_dict() || v.is_undefined(); }
bool is_sequence(const value& v, const arguments&) { return v.as_text() || v.as_list() || v.as_dict() || v.is_undefined(); }
bool is_defined(const value& v, const arguments&) { return !v.is_undefined(); }
bool is_undefined(const value& v, const arguments&) { return v.is_undefined(); }
bool is_none(const value& v, const arguments&) { return v.is_none(); }
bool is_true(const value& v, const arguments&) { return v.as<bool>() && *v.as<bool>(); }
bool is_false(const value& v, const arguments&) { return v.as<bool>() && !*v.as<bool>(); }
bool is_boolean(const value& v, const arguments&) { return v.as<bool>(); }
bool is_integer(const value& v, const arguments&) { return v.as<std::int64_t>(); }
bool is_float(const value& v, const arguments&) { return v.as<double>(); }
bool is_number(const value& v, const arguments&) { return v.is_number(); }
bool is_callable(const value& v, const arguments&) { return v.as_function(); }

std::int64_t remainder(const value& v, std::int64_t by) {
  auto n = need_whole(v, "the number tested");
  if (by == 0)
    complain("a division by zero");
  return by == -1 ? 0 : n % by;
}
bool is_odd(const value& v, const arguments&) { return remainder(v, 2) != 0; }
bool is_even(const value& v, const arguments&) { return remainder(v, 2) == 0; }
bool is_divisible(const value& v, const arguments& a) { return remainder(v, need_whole(a.at(0, "num"), "the divisor")) == 0; }

bool is_equal(const value& v, const arguments& a) { return equal(v, a.at(0, "other")); }
bool is_unequal(const value& v, const arguments& a) { return !equal(v, a.at(0, "other")); }
bool is_less(const value& v, const arguments& a) { return less(v, a.at(0, "other")); }
bool is_greater(const value& v, const arguments& a) { return less(a.at(0, "other"), v); }
bool is_at_most(const value& v, const arguments& a) { return !less(a.at(0, "other"), v); }
bool is_at_least(const value& v, const arguments& a) { return !less(v, a.at(0, "other")); }
bool is_in(const value& v, const arguments& a) { return contains(a.at(0, "seq"), v); }
bool is_same(const value& v, const arguments& a) { return v.raw().index() == a.at(0, "other").raw().index() && equal(v, a.at(0, "other")); }

bool is_lower(const value& v, const arguments&) {
  auto t = str(v);
  return lowercase(t).bytes == t.bytes && uppercase(t).bytes != t.bytes;
}
bool is_upper(const value& v, const arguments&) {
  auto t = str(v);
  return uppercase(t).bytes == t.bytes && lowercase(t).bytes != t.bytes;
}

value range(frame& f, const arguments& a) {
  a.at_most(3, "range()");
  auto n = [&](std::size_t i) { return need_whole(a.positional[i], "range()'s argument"); };
  if (a.positional.empty())
    complain("range() needs an argument");
  auto from = a.positional.size() > 1 ? n(0) : 0, to = a.positional.size() > 1 ? n(1) : n(0);
  auto step = a.positional.size() > 2 ? n(2) : 1;
  if (step == 0)
    complain("range()'s step is 0");
  constexpr std::size_t longest = 100'000;  // as the sandbox of Jinja has it
  list out;
  for (auto i = from; step > 0 ? i < to : i > to;) {
    if (out.items.size() == longest)
      complain("range() is longer than " + std::to_string(longest));
    out.items.push_back(i);
    if (__builtin_add_overflow(i, step, &i))
      break;
  }
  f.charge(out.items.size() * 64);
  return out;
}

void copy_into(dict& d, const arguments& a) {
  for (auto& v : a.positional) {
    if (!v.as_dict())
      complain("what it copies is " + kind_of(v) + "; it must be a mapping");
    for (auto& [key, item] : v.as_dict()->items)
      d.set(key, item);
  }
  for (auto& [name, v] : a.named)
    d.set(text(name), v);
}

value make_namespace(frame&, const arguments& a) {
  auto n = std::make_shared<name_space>();
  copy_into(n->attributes, a);
  for (auto& [key, v] : n->attributes.items)
    depth_inside(v);
  return value::variant(n);
}

value make_dict(frame&, const arguments& a) {
  dict d;
  copy_into(d, a);
  return d;
}

value raise_exception(frame&, const arguments& a) { throw bad_chat(str(a.at(0, "message")).bytes); }

value strftime_now(frame& f, const arguments& a) {
  auto& format = need_text(a.at(0, "format"), "strftime_now()'s format").bytes;
  auto time = std::chrono::system_clock::to_time_t(f.now);
  std::tm parts{};
  ::localtime_r(&time, &parts);
  std::string out(4096, '\0');
  if (format.size() > 200)
    complain("strftime_now()'s format is too long");
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &parts));
  return text(out);
}

} // namespace

predicate find_predicate(std::string_view name) {
  static const std::map<std::string_view, predicate> table{
    {"string", is_string}, {"mapping", is_mapping}, {"iterable", is_iterable}, {"sequence", is_sequence},
    {"defined", is_defined}, {"undefined", is_undefined}, {"none", is_none}, {"true", is_true}, {"false", is_false},
    {"boolean", is_boolean}, {"integer", is_integer}, {"float", is_float}, {"number", is_number}, {"callable", is_callable},
    {"odd", is_odd}, {"even", is_even}, {"divisibleby", is_divisible}, {"eq", is_equal}, {"equalto", is_equal},
    {"ne", is_unequal}, {"lt", is_less}, {"lessthan", is_less}, {"gt", is_greater}, {"greaterthan", is_greater},
    {"le", is_at_most}, {"ge", is_at_least}, {"in", is_in}, {"sameas", is_same}, {"lower", is_lower}, {"upper", is_upper}};
  auto it = table.find(name);
  return it == table.end() ? nullptr : it->second;
}

void add_globals(scope& names) {
  using call = value (*)(frame&, const arguments&);
  for (auto [name, f] : {std::pair<const char*, call>{"range", range}, {"namespace", make_namespace}, {"dict", make_dict},
                         {"raise_exception", raise_exception}, {"strftime_now", strftime_now}})
    names.names[name] = value::variant(std::make_shared<const function>(function{name, f}));
}

} // namespace virga::models::jinja
