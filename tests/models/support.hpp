// What the tests of models/ share: fixtures, scratch folders, damaged files, segments in one line.
#pragma once

#include "models/hf/convert.hpp"
#include "models/make_shard.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include <stdlib.h>

namespace virga::models::test {

namespace fs = std::filesystem;

inline fs::path fixture(const std::string& name) { return fs::path(VIRGA_SOURCE_DIR) / "tests/parity/fixtures" / name; }

/// A folder of this test's own, removed at its end.
class scratch {
public:
  scratch() {
    auto pattern = (fs::temp_directory_path() / "virga-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~scratch() { fs::remove_all(path_); }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  fs::path operator/(const std::string& name) const { return path_ / name; }

private:
  fs::path path_;
};

inline std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

/// The file with the first `from` in it replaced.
inline void edit_file(const fs::path& file, const std::string& from, const std::string& to) {
  auto text = read_file(file);
  auto at = text.find(from);
  if (at == std::string::npos)
    throw std::logic_error("the test's file has no " + from);
  write_file(file, text.replace(at, from.size(), to));
}

/// What bad_model says, "" when nothing is thrown.
inline std::string complaint(const std::function<void()>& f) {
  try {
    f();
  } catch (const bad_model& e) {
    return e.what();
  }
  return "";
}

inline std::vector<double> numbers(const hf::safetensors_file& file, const std::string& name) {
  return hf::to_reals<double>(file.tensors().at(name));
}

inline std::vector<double> numbers(const tensor& t) {
  return hf::to_reals<double>({"", t.type, {t.rows, t.cols}, t.data});
}

inline std::vector<token_id> token_ids(const std::vector<double>& v) { return {v.begin(), v.end()}; }

/// Tokens through the stages [first, last]; `all` logits and choices when the last one is a head, else all rows.
inline segment feed(const shard& s, sequence seq, std::uint32_t first, std::uint32_t last, std::uint64_t base,
                    std::vector<token_id> ids, tensor rows = {}) {
  segment out{seq, first, last, base, std::move(ids), std::move(rows), {}};
  if (s.info().stages.at(last).kind == stage_kind::head)
    out.want.logits = out.want.tokens = rows_wanted::all;
  else
    out.want.rows = rows_wanted::all;
  return out;
}

inline segment_result run(shard& s, const segment& one) { return s.step({&one, 1}).at(0); }

/// The positions [first, end) of a sequence into one that ends at `first`, maybe of another shard, in pieces and in any
/// order of layers.
template <class Random>
void move_kv(const shard& from, sequence a, shard& to, sequence b, std::uint64_t first, std::uint64_t end,
             Random& random) {
  while (first < end) {
    const auto n = static_cast<std::uint32_t>(1 + random() % std::min<std::uint64_t>(end - first, 90));
    std::vector<kv_slice> slices;
    for (std::uint32_t i = 0; i < from.info().stages.size(); ++i)
      if (auto kind = from.info().stages[i].kind; kind == stage_kind::layers || kind == stage_kind::adapter)
        for (auto& s : from.export_kv(a, i, first, n))
          slices.push_back(std::move(s));
    std::shuffle(slices.begin(), slices.end(), random);
    to.import_kv(b, slices);
    first += n;
  }
}

inline std::size_t argmax(std::span<const double> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

/// Between the two largest.
inline double margin(std::vector<double> row) {
  std::partial_sort(row.begin(), row.begin() + 2, row.end(), std::greater<>());
  return row[0] - row[1];
}

} // namespace virga::models::test
