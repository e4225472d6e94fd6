#include "models/hf/tok/utf8.hpp"
#include "models/hf/tok/vocabulary.hpp"

#include <array>
#include <memory>
#include <queue>

namespace virga::models::hf::tok {

namespace {

struct merge {
  std::uint32_t rank;
  token_id id;
};

struct bpe_rules {
  std::unordered_map<std::uint64_t, merge> merges;  ///< by left << 32 | right
  std::array<std::optional<token_id>, 256> bytes;   ///< <0x00> to <0xFF>, with byte_fallback
  std::string unknown;
  bool fuse_unknown = false, ignore_merges = false;
};

/// A part of the word; merged ones live on in the left one.
struct symbol {
  token_id id;
  std::int64_t left, right;  ///< neighbours, -1: none
  bool alive = true;
};

struct candidate {
  std::uint32_t rank;
  std::size_t at;
  token_id id;
  bool operator<(const candidate& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }  // the least is on top
};

/// Joins the pair of the lowest rank, of those the leftmost, until none is left. O(n log n).
class merging {
public:
  merging(const bpe_rules& rules, const std::vector<token_id>& ids) : rules_(rules) {
    auto count = static_cast<std::int64_t>(ids.size());
    for (std::int64_t i = 0; i < count; ++i)
      symbols_.push_back({ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1});
    for (std::size_t i = 0; i < symbols_.size(); ++i)
      offer(i);
  }

  void run(std::vector<token_id>& out) {
    while (!queue_.empty()) {
      auto best = queue_.top();
      queue_.pop();
      take(best);
    }
    for (auto& s : symbols_)
      if (s.alive)
        out.push_back(s.id);
  }

private:
  const merge* merge_of(const symbol& s) const {
    if (!s.alive || s.right < 0)
      return nullptr;
    auto it = rules_.merges.find(std::uint64_t{s.id} << 32 | symbols_[static_cast<std::size_t>(s.right)].id);
    return it == rules_.merges.end() ? nullptr : &it->second;
  }

  void offer(std::size_t at) {
    if (auto* m = merge_of(symbols_[at]))
      queue_.push({m->rank, at, m->id});
  }

  void take(candidate best) {
    auto& s = symbols_[best.at];
    auto* m = merge_of(s);
    if (!m || m->id != best.id)
      return;  // one of the two has changed since
    auto& gone = symbols_[static_cast<std::size_t>(s.right)];
    gone.alive = false;
    s.id = best.id;
    s.right = gone.right;
    if (s.right >= 0)
      symbols_[static_cast<std::size_t>(s.right)].left = static_cast<std::int64_t>(best.at);
    if (s.left >= 0)
      offer(static_cast<std::size_t>(s.left));
    offer(best.at);
  }

  const bpe_rules& rules_;
  std::vector<symbol> symbols_;
  std::priority_queue<candidate> queue_;
};

class bpe final : public word_model {
public:
  bpe(bpe_rules rules, const vocabulary& words) : rules_(std::move(rules)), words_(words) {}

  void encode(std::string_view word, std::vector<token_id>& out) const override {
    if (rules_.ignore_merges)
      if (auto id = words_.id_of(word); id && !words_.is_special(*id)) {
        out.push_back(*id);
        return;
      }
    merging(rules_, characters(word)).run(out);
  }

private:
  /// Each character's token, or its bytes', or the unknown token; without one it is left out, as the library does.
  std::vector<token_id> characters(std::string_view word) const {
    std::vector<token_id> ids;
    bool unknown = false;  // waits: it is joined with the next ones, and stands behind bytes, as in the library
    auto flush = [&] {
      if (std::exchange(unknown, false))
        ids.push_back(unknown_id());
    };
    for (std::size_t at = 0; at < word.size();) {
      auto c = word.substr(at, utf8_front(word.substr(at)).length);
      at += c.size();
      if (auto id = words_.id_of(c)) {
        flush();
        ids.push_back(*id);
      } else if (!add_bytes(c, ids) && !rules_.unknown.empty()) {
        if (!rules_.fuse_unknown)
          flush();
        unknown = true;
      }
    }
    flush();
    return ids;
  }

  bool add_bytes(std::string_view c, std::vector<token_id>& ids) const {
    for (unsigned char b : c)
      if (!rules_.bytes[b])
        return false;
    for (unsigned char b : c)
      ids.push_back(*rules_.bytes[b]);
    return true;
  }

  token_id unknown_id() const {
    if (auto id = words_.id_of(rules_.unknown))
      return *id;
    throw bad_segment("the text has a character without token, and the tokenizer's unknown token "
                      + in_quotes(rules_.unknown) + " does not exist");
  }

  bpe_rules rules_;
  const vocabulary& words_;
};

/// "a b" or ["a", "b"].
std::pair<std::string, std::string> read_pair(const json::value& v, const std::string& where) {
  if (auto* text = v.if_string()) {
    std::string_view s(text->data(), text->size());
    auto space = s.find(' ');
    if (space != std::string_view::npos && space > 0 && space + 1 < s.size() && s.find(' ', space + 1) == std::string_view::npos)
      return {std::string(s.substr(0, space)), std::string(s.substr(space + 1))};
  } else if (auto* list = v.if_array(); list && list->size() == 2 && (*list)[0].is_string() && (*list)[1].is_string()) {
    auto& a = (*list)[0].get_string();
    auto& b = (*list)[1].get_string();
    return {std::string(a), std::string(b)};
  }
  fail(where, "the merge " + json::serialize(v).substr(0, 80) + " is no pair of tokens");
}

void read_merges(const fields& model, const vocabulary& words, bpe_rules& rules) {
  auto where = model.where() + ": merges";
  auto* list = model.at("merges").if_array();
  if (!list)
    model.complain("merges", "it must be a list");
  rules.merges.reserve(list->size());
  auto need = [&](const std::string& token) {
    if (auto id = words.id_of(token))
      return *id;
    fail(where, "the token " + in_quotes(token) + " is not in the vocabulary");
  };
  std::uint32_t rank = 0;
  for (auto& v : *list) {
    auto [a, b] = read_pair(v, where);
    std::uint64_t left = need(a), right = need(b);
    rules.merges[left << 32 | right] = {rank++, need(a + b)};
  }
}

std::string byte_token(unsigned b) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  return {'<', '0', 'x', digits[b >> 4], digits[b & 15], '>'};
}

} // namespace

std::unique_ptr<word_model> read_bpe(const fields& model, vocabulary& words) {
  for (auto key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (!model.text_or(key, "").empty())
      model.complain(key, "this cannot be run so far; only \"\" and null can be");
  if (model.number_or("dropout", 0) != 0)
    model.complain("dropout", "only null can be run: it is for training");
  bpe_rules rules;
  read_merges(model, words, rules);
  if (model.flag_or("byte_fallback", false))
    for (unsigned b = 0; b < 256; ++b)
      rules.bytes[b] = words.id_of(byte_token(b));
  rules.unknown = model.text_or("unk_token", "");
  rules.fuse_unknown = model.flag_or("fuse_unk", false);
  rules.ignore_merges = model.flag_or("ignore_merges", false);
  return std::make_unique<bpe>(std::move(rules), words);
}

} // namespace virga::models::hf::tok
