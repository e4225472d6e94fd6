#include "tests/sim/sim_models.hpp"

#include "models/make_shard.hpp"
#include "tests/support/toy_tokenizer.hpp"

#include <algorithm>
#include <charconv>

namespace virga::testing {

namespace {

/// "heliotrope-12 heliotrope-7": the number is the token.
struct number_tokenizer final : toy_tokenizer {
  std::vector<token_id> encode(std::string_view text, const models::encode_options&) const override {
    std::vector<token_id> out;
    for (std::size_t at = text.find('-'); at != std::string_view::npos; at = text.find('-', at + 1)) {
      token_id id = 0;
      std::from_chars(text.data() + at + 1, text.data() + text.size(), id);
      out.push_back(id);
    }
    return out;
  }
  std::string text_of(token_id id, bool first) const override {
    return std::string{first ? "" : " "} + sim_models::canary + std::to_string(id);
  }
};

std::shared_ptr<const models::hf::model_folder> fixture(const std::string& name) {
  return std::make_shared<models::hf::model_folder>(std::filesystem::path{VIRGA_SOURCE_DIR} / "tests/parity/fixtures"
                                                    / name);
}

} // namespace

sim_models::sim_models()
  : cloud(fixture("gqa-untied")), edge(fixture("mha-tied")), tok(std::make_shared<number_tokenizer>()) {}

std::vector<token_id> sim_models::greedy(const models::hf::model_folder& folder, const std::vector<token_id>& prompt,
                                         std::uint32_t max_tokens) const {
  constexpr std::uint32_t longest = 48;
  constexpr token_id stop = 2;
  auto& known = known_[{&folder, prompt}];
  if (known.empty()) {
    auto shard = models::make_reference_shard(folder, {});
    models::segment s;
    s.seq = shard->open();
    s.last_stage = 2;
    s.want.tokens = rows_wanted::last;
    s.tokens = prompt;
    while (known.size() < longest && (known.empty() || known.back() != stop)) {
      known.push_back(shard->step(std::span{&s, 1})[0].choices[0].id);
      s.base += s.tokens.size();
      s.tokens = {known.back()};
    }
  }
  auto end = std::ranges::find(known, stop);
  auto size = std::min<std::ptrdiff_t>(end - known.begin(), max_tokens);
  return {known.begin(), known.begin() + size};
}

} // namespace virga::testing
