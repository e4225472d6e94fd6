// models/jinja/builtins.hpp: the filters, tests, methods and global functions that templates may use. Private to models.
#pragma once

#include "models/jinja/frame.hpp"

namespace virga::models::jinja {

using filter = value (*)(frame&, const value& input, const arguments&);
using predicate = bool (*)(const value& input, const arguments&);
/// A method of a string, a mapping, or a loop. `self` is of the kind that has it.
using method = value (*)(frame&, const value& self, const arguments&);

filter find_filter(std::string_view name);        ///< nullptr: none so called
filter find_list_filter(std::string_view name);   ///< of these, those of lists and mappings
predicate find_predicate(std::string_view name);
bool is_method(std::string_view name);            ///< of any kind of value
method find_method(const value& self, std::string_view name);

/// range, namespace, dict, raise_exception, strftime_now.
void add_globals(scope& names);

/// `v.name`: a method is found by find_method; else undefined when there is none.
value attribute(const value& v, const std::string& name);
/// `v[key]`.
value item(const value& v, const value& key);
/// "a.b.0" as map(attribute=...) takes it.
value attribute_path(const value& v, const std::string& path);

value add(frame& f, const value& a, const value& b);
value arithmetic(frame& f, const std::string& sign, const value& a, const value& b);
bool contains(const value& v, const value& item);
value slice(const value& v, const value& begin, const value& end, const value& step);

/// Whether an argument of a filter is true; `other` when it is not given.
bool flag(const arguments& a, std::size_t i, const char* name, bool other = false);

/// The string, or an error that names `what`.
const text& need_text(const value& v, const char* what);
std::int64_t need_whole(const value& v, const char* what);

} // namespace virga::models::jinja
