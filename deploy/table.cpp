#include "deploy/table.hpp"

#include <algorithm>
#include <iomanip>
#include <sstream>

namespace virga::deploy {
namespace {

bool is_number(const std::string& s) { return !s.empty() && s.find_first_not_of("0123456789.,-+% ") == std::string::npos; }

} // namespace

void print_table(std::ostream& out, const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> width;
  for (const auto& r : rows) {
    width.resize(std::max(width.size(), r.size()));
    for (std::size_t c = 0; c < r.size(); ++c)
      width[c] = std::max(width[c], r[c].size());
  }
  for (const auto& r : rows) {
    std::string line;
    for (std::size_t c = 0; c < r.size(); ++c) {
      auto pad = std::string(width[c] - r[c].size(), ' ');
      line += is_number(r[c]) ? pad + r[c] : r[c] + pad;
      line += "  ";
    }
    out << line.substr(0, line.find_last_not_of(' ') + 1) << "\n";
  }
  out.flush();
}

std::string fixed(double x, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << x;
  return out.str();
}

} // namespace virga::deploy
