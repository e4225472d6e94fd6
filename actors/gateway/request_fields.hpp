// actors/gateway/request_fields.hpp: reading fields of a JSON object one by one; the first wrong one is thrown as refused.
#pragma once

#include "actors/gateway/api_error.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace virga {

/// Leaves the parser; never the folder.
struct refused {
  api_error error;
};

[[noreturn]] void refuse(std::string_view field, std::string message);

/// The field's value; null pointer when it is absent or null, as OpenAI's clients send unset fields.
const boost::json::value* find_field(const boost::json::object& o, std::string_view field);

/// Each returns nothing for an absent or null field and refuses another type or a value outside [low, high].
std::optional<bool> read_bool(const boost::json::object& o, std::string_view field);
std::optional<std::uint64_t> read_uint(const boost::json::object& o, std::string_view field, std::uint64_t low,
                                       std::uint64_t high);
std::optional<double> read_double(const boost::json::object& o, std::string_view field, double low, double high);

/// Refuses what the OpenAI API knows, would change the answer, and is not supported yet, unless it asks for nothing.
void refuse_unsupported(const boost::json::object& o);

} // namespace virga
