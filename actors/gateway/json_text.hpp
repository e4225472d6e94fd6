// actors/gateway/json_text.hpp: JSON text as people write it (Boost.JSON prints 12.5 as 1.25E1).
#pragma once

#include <boost/json/fwd.hpp>

#include <string>
#include <string_view>

namespace virga {

/// Compact JSON in the order of the object's fields. Doubles in their shortest form; those that JSON cannot say are null.
std::string json_text(const boost::json::value& v);

/// The text with every byte that is not UTF-8 replaced by U+FFFD, so that it may stand in JSON.
std::string to_utf8(std::string_view text);

} // namespace virga
