// models/jinja/text_tools.hpp: what Python's str does, keeping the marks. Private to models.
#pragma once

#include "models/jinja/frame.hpp"

namespace virga::models::jinja {

/// @param set characters to take off; "" for white space
text stripped(const text& t, const std::string& set, bool left, bool right);

/// str.split() and rsplit(). @param most splits at most, below 0: any number
std::vector<text> split_at_spaces(const text& t, std::int64_t most, bool from_right);
std::vector<text> split_at(const text& t, const std::string& separator, std::int64_t most, bool from_right);

text replaced(frame& f, const text& t, const std::string& from, const text& to, std::int64_t most);

text uppercase(const text& t);
text lowercase(const text& t);
text titlecase(const text& t);    ///< str.title()
text jinja_title(const text& t);  ///< the filter, which knows apostrophes
text capitalized(const text& t);

bool is_decimal(char32_t c);
bool is_letter(char32_t c);

} // namespace virga::models::jinja
