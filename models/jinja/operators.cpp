// Attributes, items, slices and arithmetic.
#include "models/chat_template.hpp"
#include "models/jinja/builtins.hpp"

#include <cmath>

namespace virga::models::jinja {

namespace {

/// A Python index into `size` items; npos when outside.
std::size_t place(std::int64_t index, std::size_t size) {
  auto n = static_cast<std::int64_t>(size);
  if (index < 0)
    index += n;
  return index >= 0 && index < n ? static_cast<std::size_t>(index) : std::string::npos;
}

value loop_attribute(const loop_state& l, const std::string& name) {
  auto index = static_cast<std::int64_t>(l.index0), size = static_cast<std::int64_t>(l.items->items.size());
  auto& items = l.items->items;
  if (name == "index0")
    return index;
  if (name == "index")
    return index + 1;
  if (name == "revindex")
    return size - index;
  if (name == "revindex0")
    return size - index - 1;
  if (name == "first")
    return index == 0;
  if (name == "last")
    return index + 1 == size;
  if (name == "length")
    return size;
  if (name == "depth" || name == "depth0")  // it counts recursive loops only
    return std::int64_t{name == "depth" ? 1 : 0};
  if (name == "previtem" && index > 0)
    return items[l.index0 - 1];
  if (name == "nextitem" && index + 1 < size)
    return items[l.index0 + 1];
  return value::variant(undefined{"loop." + name});
}

void refuse_overflow(const std::string& sign, bool overflow) {
  if (overflow)
    complain("the result of " + sign + " is too large");
}

std::int64_t floor_divided(std::int64_t a, std::int64_t b) {
  auto q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

value whole_power(std::int64_t a, std::int64_t b) {
  if (b < 0)
    return std::pow(static_cast<double>(a), static_cast<double>(b));
  std::int64_t result = 1;
  if (a == 0 || a == 1 || a == -1)
    return b == 0 || (a == -1 && b % 2 == 0) ? std::int64_t{1} : a;
  for (; b > 0; --b)
    refuse_overflow("**", __builtin_mul_overflow(result, a, &result));
  return result;
}

value whole_arithmetic(const std::string& sign, std::int64_t a, std::int64_t b) {
  std::int64_t r = 0;
  if (sign == "+" || sign == "-" || sign == "*") {
    refuse_overflow(sign, sign == "+"   ? __builtin_add_overflow(a, b, &r)
                          : sign == "-" ? __builtin_sub_overflow(a, b, &r)
                                        : __builtin_mul_overflow(a, b, &r));
    return r;
  }
  if (sign == "**")
    return whole_power(a, b);
  if (b == 0)
    complain("a division by zero");
  if (sign == "/")
    return static_cast<double>(a) / static_cast<double>(b);
  if (a == INT64_MIN && b == -1)
    refuse_overflow(sign, true);
  auto q = floor_divided(a, b);
  return sign == "//" ? q : a - q * b;
}

value float_arithmetic(const std::string& sign, double a, double b) {
  if (sign == "+")
    return a + b;
  if (sign == "-")
    return a - b;
  if (sign == "*")
    return a * b;
  if (sign == "**")
    return std::pow(a, b);
  if (b == 0)
    complain("a division by zero");
  if (sign == "/")
    return a / b;
  auto q = std::floor(a / b);
  return sign == "//" ? q : a - q * b;
}

value repeated(frame& f, const value& what, std::int64_t times) {
  auto n = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  auto size = what.as_text() ? what.as_text()->bytes.size() : what.as_list()->items.size() * 64;
  if (size > 0 && n > (std::size_t{1} << 40) / size)
    complain("the result of * is too large");
  f.charge(n * size);
  text t;
  list l;
  for (std::size_t i = 0; i < n; ++i)
    if (what.as_text())
      t += *what.as_text();
    else
      l.items.insert(l.items.end(), what.as_list()->items.begin(), what.as_list()->items.end());
  return what.as_text() ? value(t) : value(l);
}

/// The places that a slice visits.
std::vector<std::size_t> slice_places(std::size_t size, const value& begin, const value& end, const value& step) {
  auto n = static_cast<std::int64_t>(size);
  auto by = step.is_none() ? 1 : need_whole(step, "a slice's step");
  if (by == 0)
    complain("a slice's step is 0");
  auto bound = [&](const value& v, std::int64_t other) {
    if (v.is_none())
      return other;
    auto i = need_whole(v, "a slice's border");
    if (i < 0)
      i = i < -n ? -1 : i + n;
    else
      i = std::min(i, n);
    return by > 0 ? std::max<std::int64_t>(i, 0) : std::min(i, n - 1);
  };
  auto from = bound(begin, by > 0 ? 0 : n - 1), to = bound(end, by > 0 ? n : -1);
  std::vector<std::size_t> out;
  if (by > 0)
    for (auto i = from; i < to; i += std::min(by, n))
      out.push_back(static_cast<std::size_t>(i));
  else
    for (auto i = from; i > to; i += std::max(by, -n))
      out.push_back(static_cast<std::size_t>(i));
  return out;
}

} // namespace

bool flag(const arguments& a, std::size_t i, const char* name, bool other) {
  auto* v = a.find(i, name);
  return v ? truth(*v) : other;
}

const text& need_text(const value& v, const char* what) {
  if (auto* t = v.as_text())
    return *t;
  complain(std::string(what) + " is " + kind_of(v) + "; it must be a string");
}

std::int64_t need_whole(const value& v, const char* what) {
  if (v.is_whole())
    return v.whole();
  complain(std::string(what) + " is " + kind_of(v) + "; it must be a whole number");
}

value attribute(const value& v, const std::string& name) {
  if (auto* l = v.as_loop())
    return loop_attribute(*l, name);
  if (auto* n = v.as_namespace())
    if (auto* found = n->attributes.named(name))
      return *found;
  if (auto* d = v.as_dict())
    if (auto* found = d->named(name))
      return *found;
  if (auto* u = v.as<undefined>())
    complain(u->name + " is undefined, so it has no " + name);
  return value::variant(undefined{name});
}

value item(const value& v, const value& key) {
  if (auto* d = v.as_dict()) {
    if (auto* found = d->find(key))
      return *found;
  } else if (auto* l = v.as_list()) {
    if (key.is_whole())
      if (auto i = place(key.whole(), l->items.size()); i != std::string::npos)
        return l->items[i];
  } else if (auto* t = v.as_text()) {
    if (key.is_whole()) {
      auto starts = character_starts(t->bytes);
      if (auto i = place(key.whole(), starts.size() - 1); i != std::string::npos)
        return t->slice(starts[i], starts[i + 1]);
    }
  } else if (key.as_text()) {
    return attribute(v, key.as_text()->bytes);
  } else if (auto* u = v.as<undefined>()) {
    complain(u->name + " is undefined, so it has no items");
  }
  return value::variant(undefined{str(key).bytes});
}

value attribute_path(const value& v, const std::string& path) {
  auto dot = path.find('.');
  auto first = path.substr(0, dot);
  bool number = !first.empty() && first.size() < 10 && first.find_first_not_of("0123456789") == std::string::npos;
  auto next = number ? item(v, std::int64_t{std::stoi(first)}) : item(v, text(first));
  return dot == std::string::npos ? next : attribute_path(next, path.substr(dot + 1));
}

value add(frame& f, const value& a, const value& b) {
  if (a.as_text() && b.as_text()) {
    auto out = *a.as_text();
    out += *b.as_text();
    f.charge(out.bytes.size());
    return out;
  }
  if (a.as_list() && b.as_list()) {
    auto out = *a.as_list();
    out.items.insert(out.items.end(), b.as_list()->items.begin(), b.as_list()->items.end());
    f.charge(out.items.size() * 64);
    return out;
  }
  if (a.is_number() && b.is_number())
    return a.is_whole() && b.is_whole() ? whole_arithmetic("+", a.whole(), b.whole())
                                        : float_arithmetic("+", a.number(), b.number());
  for (auto* side : {&a, &b})
    if (auto* u = side->as<undefined>())
      complain(u->name + " is undefined, so nothing can be added to it");
  complain(kind_of(a) + " and " + kind_of(b) + " cannot be added");
}

value arithmetic(frame& f, const std::string& sign, const value& a, const value& b) {
  f.charge();
  if (sign == "+")
    return add(f, a, b);
  if (sign == "*" && (a.as_text() || a.as_list()) && b.is_whole())
    return repeated(f, a, b.whole());
  if (sign == "*" && (b.as_text() || b.as_list()) && a.is_whole())
    return repeated(f, b, a.whole());
  if (!a.is_number() || !b.is_number())
    complain("the sign " + sign + " cannot be used on " + kind_of(a) + " and " + kind_of(b));
  return a.is_whole() && b.is_whole() ? whole_arithmetic(sign, a.whole(), b.whole())
                                      : float_arithmetic(sign, a.number(), b.number());
}

bool contains(const value& v, const value& item) {
  if (auto* t = v.as_text())
    return t->bytes.find(need_text(item, "what `in` looks for in a string").bytes) != std::string::npos;
  if (auto* d = v.as_dict())
    return d->find(item);
  auto all = items_of(v);
  for (auto& i : all->items)
    if (equal(i, item))
      return true;
  return false;
}

value slice(const value& v, const value& begin, const value& end, const value& step) {
  if (auto* l = v.as_list()) {
    list out;
    out.tuple = l->tuple;
    for (auto i : slice_places(l->items.size(), begin, end, step))
      out.items.push_back(l->items[i]);
    return out;
  }
  if (auto* t = v.as_text()) {
    auto starts = character_starts(t->bytes);
    auto places = slice_places(starts.size() - 1, begin, end, step);
    if (places.empty())
      return text();
    if (step.is_none())
      return t->slice(starts[places.front()], starts[places.back() + 1]);
    text out;
    for (auto i : places)
      out += t->slice(starts[i], starts[i + 1]);
    return out;
  }
  if (auto* u = v.as<undefined>())
    complain(u->name + " is undefined, so it has no parts");
  complain(kind_of(v) + " has no parts");
}

} // namespace virga::models::jinja
