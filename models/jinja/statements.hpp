// models/jinja/statements.hpp: a whole template, read into one function. Private to models.
#pragma once

#include "models/jinja/frame.hpp"

namespace virga::models::jinja {

/// @throws bad_model naming `where`, the line, and what is broken or not supported
statement read_template(std::string_view source, const std::string& where);

} // namespace virga::models::jinja
