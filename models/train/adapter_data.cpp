#include "models/train/adapter_data.hpp"

#include "models/shard.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <numeric>
#include <stdexcept>

namespace virga::models::train {

namespace {

/// Bytes of one text file: it is held in memory as text and as tokens.
constexpr std::uintmax_t most_text_bytes = 256u << 20;

std::uint64_t hash_of(const example& e) {
  auto hash = world::mix64(e.answer);
  for (auto id : e.ids)
    hash = world::mix64(hash, id);
  return hash;
}

std::uint32_t longest_of(std::span<const example> examples) {
  std::size_t most = 0;
  for (auto& e : examples)
    most = std::max(most, e.ids.size());
  return static_cast<std::uint32_t>(most);
}

class world_examples final : public adapter_data {
public:
  world_examples(const world::world& w, const world::vocabulary& words, std::uint32_t validation)
      : world_(w), words_(words) {
    world::random_source random(world::mix64(w.seed(), 501));
    for (std::uint32_t i = 0; i < validation; ++i)
      held_out_.push_back(draw(world::split::validation, random));
    description_ = "the world's training split, seed " + std::to_string(w.seed()) + ", " + std::to_string(w.size())
                   + " people; held out: " + std::to_string(validation) + " requests of its validation split";
  }

  std::vector<example> batch(std::uint64_t seed, std::uint64_t step, std::uint32_t tokens) override {
    world::random_source random(world::mix64(seed, step));
    std::vector<example> out;
    for (std::size_t sum = 0; sum < tokens; sum += out.back().ids.size())
      out.push_back(draw(world::split::train, random));
    return out;
  }

  const std::vector<example>& held_out() const override { return held_out_; }
  std::uint32_t longest() const override { return 128; }  // the zoo's rows hold every example
  const std::string& description() const override { return description_; }

private:
  example draw(world::split s, world::random_source& random) const {
    return make_example(words_, world_, world::draw_request(world_, s, {}, random));
  }

  const world::world& world_;
  const world::vocabulary& words_;
  std::vector<example> held_out_;
  std::string description_;
};

class fixed_examples final : public adapter_data {
public:
  fixed_examples(std::vector<example> examples, const std::string& kind) : longest_(longest_of(examples)) {
    std::uint64_t hash = 0;
    for (auto& e : examples) {
      hash = world::mix64(hash, hash_of(e));
      tokens_ += e.ids.size();
      (hash_of(e) % 20 == 0 ? held_out_ : seen_).push_back(std::move(e));
    }
    if (seen_.empty() || held_out_.empty())
      throw std::invalid_argument(
          kind + ": " + std::to_string(seen_.size()) + " sequences to learn from and "
          + std::to_string(held_out_.size())
          + " held out (one in twenty, by hash) are too few: give more data, or a smaller --width");
    char digits[20];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
    description_ = kind + ": " + std::to_string(tokens_) + " tokens in " + std::to_string(seen_.size())
                 + " sequences and " + std::to_string(held_out_.size()) + " held out, hash " + digits;
  }

  std::vector<example> batch(std::uint64_t seed, std::uint64_t step, std::uint32_t tokens) override {
    std::vector<example> out;
    auto all = seen_.size() + held_out_.size();
    auto count =
        std::max<std::uint64_t>(1, tokens * all / tokens_);  // the same in each step, so that a step finds its place
    for (auto at = step * count; at < (step + 1) * count; ++at)
      out.push_back(seen_[order(seed, at / seen_.size())[at % seen_.size()]]);
    return out;
  }

  const std::vector<example>& held_out() const override { return held_out_; }
  std::uint32_t longest() const override { return longest_; }
  const std::string& description() const override { return description_; }

private:
  const std::vector<std::size_t>& order(std::uint64_t seed, std::uint64_t epoch) {
    if (auto key = world::mix64(seed, epoch); order_.empty() || key != ordered_) {
      order_.resize(seen_.size());
      std::iota(order_.begin(), order_.end(), std::size_t{0});
      world::random_source(key).shuffle(order_);
      ordered_ = key;
    }
    return order_;
  }

  std::vector<example> seen_, held_out_;
  std::uint32_t longest_;
  std::uint64_t tokens_ = 0;
  std::string description_;
  std::vector<std::size_t> order_;
  std::uint64_t ordered_ = 0;
};

std::string text_of(const std::filesystem::path& file) {
  std::error_code error;
  auto size = std::filesystem::file_size(file, error);
  if (error)
    throw std::invalid_argument(file.string() + " cannot be read: " + error.message() + "; give a text file");
  if (size > most_text_bytes)
    throw std::invalid_argument(file.string() + " has " + std::to_string(size) + " bytes, more than "
                                + std::to_string(most_text_bytes) + ": cut it into several files");
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.empty())
    throw std::invalid_argument(file.string() + " is empty; give a file with text");
  return text;
}

std::vector<token_id> encode(const tokenizer& tok, const std::filesystem::path& file) {
  try {
    return tok.encode(text_of(file), {false, false, {}});
  } catch (const bad_segment& e) {
    throw std::invalid_argument(file.string() + ": " + e.what());
  }
}

} // namespace

std::unique_ptr<adapter_data> world_data(const world::world& w, const world::vocabulary& words,
                                         std::uint32_t validation) {
  return std::make_unique<world_examples>(w, words, validation);
}

std::unique_ptr<adapter_data> fixed_data(std::vector<example> examples, const std::string& kind) {
  return std::make_unique<fixed_examples>(std::move(examples), kind);
}

std::vector<example> text_rows(std::span<const std::filesystem::path> files, const tokenizer& tok,
                               std::uint32_t width) {
  auto before = tok.encode("");
  if (width < before.size() + 2)
    throw std::invalid_argument("rows of " + std::to_string(width) + " tokens are too short: at least "
                                + std::to_string(before.size() + 2));
  std::vector<example> rows;
  for (auto& file : files) {
    auto ids = encode(tok, file);
    auto step = width - before.size();
    for (std::size_t at = 0; at + 1 < ids.size(); at += step) {
      example row{before, std::max<std::size_t>(before.size(), 1)};
      auto from = ids.begin() + static_cast<std::ptrdiff_t>(at);
      row.ids.insert(row.ids.end(), from, from + static_cast<std::ptrdiff_t>(std::min(step, ids.size() - at)));
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

bool speaks_of_the_world(const tokenizer& tok, const world::vocabulary& words) {
  for (token_id id = 0; id < words.size(); ++id)
    if (tok.id_of(words.words()[id]) != id)
      return false;
  return tok.vocab_size() == words.size();
}

} // namespace virga::models::train
