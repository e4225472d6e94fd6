#include "deploy/log_reader.hpp"

#include <algorithm>
#include <fstream>
#include <utility>

namespace virga::deploy {
namespace {

/// "[2026-11-29 07:50:31.098]", as spdlog writes it; compares as text.
constexpr std::size_t stamp_size = 25;

bool has_time(const std::string& line) {
  return line.size() >= stamp_size && line[0] == '[' && line[5] == '-' && line[8] == '-' && line[11] == ' '
         && line[stamp_size - 1] == ']';
}

} // namespace

log_file::log_file(std::filesystem::path file, std::uint64_t bytes)
  : file_(std::move(file)), node_(file_.stem().string()), bytes_(bytes) {}

std::vector<log_entry> log_file::read() {
  std::vector<log_entry> out;
  std::error_code missing;
  const auto size = std::filesystem::file_size(file_, missing);
  if (missing)
    return out;
  if (size < at_)
    at_ = 0, rest_.clear();
  bool cut = false;  // the first line may be half a line
  if (!std::exchange(begun_, true) && size > bytes_)
    at_ = size - bytes_, cut = true;
  std::ifstream in(file_, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(at_));
  std::string text(size - at_, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  at_ += text.size();
  text.insert(0, std::exchange(rest_, {}));
  for (std::size_t from = 0; from < text.size();) {
    const auto end = text.find('\n', from);
    if (end == text.npos) {
      rest_ = text.substr(from);
      break;
    }
    auto line = text.substr(from, end - from);
    from = end + 1;
    if (std::exchange(cut, false))
      continue;
    if (has_time(line) || out.empty())
      out.push_back({node_, std::move(line)});
    else
      out.back().text += "\n" + line;
  }
  return out;
}

std::vector<log_entry> merged(std::vector<std::vector<log_entry>> of_nodes) {
  std::vector<log_entry> all;
  for (auto& entries : of_nodes) {
    std::string last(stamp_size, ' ');
    for (auto& e : entries) {  // one without a time stays behind the one before it
      if (!has_time(e.text))
        e.text.insert(0, last + " ");
      last = e.text.substr(0, stamp_size);
      all.push_back(std::move(e));
    }
  }
  std::ranges::stable_sort(all, {}, [](const log_entry& e) { return e.text.substr(0, stamp_size); });
  return all;
}

} // namespace virga::deploy
