#include "models/hf/tok/pipeline.hpp"

#include "models/hf/tok/utf8.hpp"

#include <algorithm>

namespace virga::models::hf::tok {

namespace {

class pipeline_stream final : public text_stream {
public:
  pipeline_stream(const pipeline_parts& p, bool skip_special) : p_(p), skip_special_(skip_special), run_(p.decode) {}
  std::string push(token_id id) override {
    auto* token = p_.words->token(id);
    return !token || (skip_special_ && p_.words->is_special(id)) ? "" : run_.push(*token);
  }
  std::string finish() override { return run_.finish(); }

private:
  const pipeline_parts& p_;
  bool skip_special_;
  running_decoder run_;
};

/// The marks of the bytes [begin, end).
std::vector<bool> marks(const std::vector<text_range>& literal, text_range r) {
  std::vector<bool> out;
  for (auto& l : literal) {
    auto from = std::max(l.begin, r.begin), to = std::min(l.end, r.end);
    if (from >= to)
      continue;
    out.resize(r.end - r.begin);
    std::fill(out.begin() + static_cast<std::ptrdiff_t>(from - r.begin), out.begin() + static_cast<std::ptrdiff_t>(to - r.begin),
              true);
  }
  return out;
}

bool overlaps(const std::vector<text_range>& literal, text_range r) {
  auto it = std::lower_bound(literal.begin(), literal.end(), r.begin, [](auto& l, auto at) { return l.end <= at; });
  return it != literal.end() && it->begin < r.end;
}

std::string_view part(std::string_view text, text_range r) { return text.substr(r.begin, r.end - r.begin); }

} // namespace

std::vector<token_id> pipeline::encode(std::string_view text, const encode_options& how) const {
  if (auto at = first_broken_byte(text); at != std::string_view::npos)
    throw bad_segment("the text is no UTF-8 from byte " + std::to_string(at) + " on");
  std::vector<token_id> out;
  if (how.add_special)
    out = p_.before;
  auto takes = [&](text_range r) { return how.parse_special && !overlaps(how.literal, r); };
  for (auto& piece : p_.raw_tokens.split(text, takes))
    if (piece.id)
      out.push_back(*piece.id);
    else
      add_text({std::string(part(text, piece.range)), marks(how.literal, piece.range)}, piece.range.begin == 0,
               how.parse_special, out);
  if (how.add_special)
    out.insert(out.end(), p_.after.begin(), p_.after.end());
  return out;
}

void pipeline::add_text(marked_text text, bool first, bool parse_special, std::vector<token_id>& out) const {
  text = normalized(p_.normal, std::move(text));
  auto takes = [&](text_range r) { return parse_special && !text.any_literal(r.begin, r.end); };
  for (auto& piece : p_.normalized_tokens.split(text.text, takes))
    if (piece.id)
      out.push_back(*piece.id);
    else
      add_words(part(text.text, piece.range), first && piece.range.begin == 0, out);
}

void pipeline::add_words(std::string_view text, bool first, std::vector<token_id>& out) const {
  for (auto& word : words_of(p_.pre, std::string(text), first))
    if (!word.empty())
      p_.model->encode(word, out);
}

std::unique_ptr<text_stream> pipeline::stream(bool skip_special) const {
  return std::make_unique<pipeline_stream>(p_, skip_special);
}

} // namespace virga::models::hf::tok
