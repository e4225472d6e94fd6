// deploy/table.hpp: rows of text in columns, for people.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace virga::deploy {

/// Prints the rows with each column as wide as its widest cell; the first row is the head. Numbers go to the right.
void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows);

/// "12.3"; `digits` after the point.
std::string fixed(double x, int digits);

} // namespace virga::deploy
