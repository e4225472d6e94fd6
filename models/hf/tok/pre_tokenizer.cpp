#include "models/hf/tok/pre_tokenizer.hpp"

#include "models/hf/tok/pattern.hpp"
#include "models/hf/tok/utf8.hpp"

namespace virga::models::hf::tok {

namespace {

/// Part of a text and whether the pattern matched it.
struct part {
  text_range range;
  bool match;
};

using behavior = std::vector<part> (*)(std::vector<part>);

std::vector<part> isolated(std::vector<part> parts) { return parts; }

std::vector<part> removed(std::vector<part> parts) {
  std::erase_if(parts, [](auto& p) { return p.match; });
  return parts;
}

std::vector<part> contiguous(std::vector<part> parts) {
  std::vector<part> out;
  for (auto& p : parts)
    if (!out.empty() && out.back().match == p.match)
      out.back().range.end = p.range.end;
    else
      out.push_back(p);
  return out;
}

std::vector<part> merged_with_previous(std::vector<part> parts) {
  std::vector<part> out;
  bool before = false;
  for (auto& p : parts) {
    if (p.match && !before && !out.empty())
      out.back().range.end = p.range.end;
    else
      out.push_back(p);
    before = p.match;
  }
  return out;
}

std::vector<part> merged_with_next(std::vector<part> parts) {
  std::vector<part> out;
  bool after = false;
  for (auto p = parts.rbegin(); p != parts.rend(); ++p) {
    if (p->match && !after && !out.empty())
      out.back().range.begin = p->range.begin;
    else
      out.push_back(*p);
    after = p->match;
  }
  return {out.rbegin(), out.rend()};
}

std::vector<part> parts_of(const pattern& p, std::string_view text, bool invert) {
  std::vector<part> out;
  std::size_t done = 0;
  p.find_all(text, [&](text_range r) {
    if (r.begin > done)
      out.push_back({{done, r.begin}, invert});
    out.push_back({r, !invert});
    done = r.end;
  });
  if (done < text.size())
    out.push_back({{done, text.size()}, invert});
  return out;
}

void split(std::vector<word_piece>& pieces, const pattern& p, behavior how, bool invert) {
  std::vector<word_piece> out;
  for (auto& piece : pieces)
    for (auto& [range, match] : how(parts_of(p, piece.text, invert)))
      out.push_back({piece.text.substr(range.begin, range.end - range.begin), piece.first && range.begin == 0});
  pieces = std::move(out);
}

void add_split(pre_tokenizer& out, pattern p, behavior how, bool invert = false) {
  out.push_back([p = std::move(p), how, invert](auto& pieces) { split(pieces, p, how, invert); });
}

behavior read_behavior(const fields& f) {
  auto name = f.text("behavior");
  if (name == "Isolated")
    return isolated;
  if (name == "Removed")
    return removed;
  if (name == "Contiguous")
    return contiguous;
  if (name == "MergedWithPrevious")
    return merged_with_previous;
  if (name == "MergedWithNext")
    return merged_with_next;
  f.complain("behavior", "it must be Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext");
}

void read_byte_level(pre_tokenizer& out, const fields& f) {
  constexpr auto gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  if (f.flag_or("add_prefix_space", true))
    out.push_back([](auto& pieces) {
      for (auto& p : pieces)
        if (!p.text.starts_with(' '))
          p.text.insert(0, 1, ' ');
    });
  if (f.flag_or("use_regex", true))
    add_split(out, pattern::regex(gpt2, f.where()), isolated);
  out.push_back([](auto& pieces) {
    for (auto& p : pieces) {
      std::string text;
      for (unsigned char c : p.text)
        text += byte_characters()[c];
      p.text = std::move(text);
    }
  });
}

enum class prepend_scheme { always, never, first };

prepend_scheme read_scheme(const fields& f) {
  auto name = f.text_or("prepend_scheme", f.flag_or("add_prefix_space", true) ? "always" : "never");
  if (name == "always")
    return prepend_scheme::always;
  if (name == "first")
    return prepend_scheme::first;
  if (name != "never")
    f.complain("prepend_scheme", "it must be always, first or never");
  return prepend_scheme::never;
}

void read_metaspace(pre_tokenizer& out, const fields& f) {
  auto mark = f.text("replacement");
  if (!pattern::literal(mark).is_one_character())
    f.complain("replacement", "it must be one character");
  out.push_back([mark, scheme = read_scheme(f), space = pattern::literal(" ")](auto& pieces) {
    for (auto& p : pieces) {
      p.text = space.replaced(p.text, mark);
      bool wanted = scheme == prepend_scheme::always || (scheme == prepend_scheme::first && p.first);
      if (wanted && !p.text.starts_with(mark))
        p.text.insert(0, mark);
    }
  });
  if (f.flag_or("split", true))
    add_split(out, pattern::literal(mark), merged_with_next);
}

void read_into(pre_tokenizer& out, const json::value& v, const std::string& where);

void read_sequence(pre_tokenizer& out, const fields& f) {
  auto* list = f.at("pretokenizers").if_array();
  if (!list)
    f.complain("pretokenizers", "it must be a list");
  for (auto& one : *list)
    read_into(out, one, f.where());
}

void read_into(pre_tokenizer& out, const json::value& v, const std::string& where) {
  fields f(v, where);
  auto kind = f.text("type");
  auto regex = [&](const char* source) { return pattern::regex(source, where); };
  if (kind == "Sequence")
    read_sequence(out, f);
  else if (kind == "Split")
    add_split(out, pattern::read(f.at("pattern"), where + ": pattern"), read_behavior(f), f.flag_or("invert", false));
  else if (kind == "ByteLevel")
    read_byte_level(out, f);
  else if (kind == "Metaspace")
    read_metaspace(out, f);
  else if (kind == "Digits")
    add_split(out, regex("\\p{N}"), f.flag_or("individual_digits", false) ? isolated : contiguous);
  else if (kind == "WhitespaceSplit")
    add_split(out, regex("\\s"), removed);
  else if (kind == "Whitespace")
    add_split(out, regex("[\\w\\x{200c}\\x{200d}]+|[^\\w\\s\\x{200c}\\x{200d}]+"), removed, true);  // Rust's \w has the joiners
  else if (kind == "Punctuation")
    add_split(out, regex("[\\p{P}!-/:-@\\[-`{-~]"), f.find("behavior") ? read_behavior(f) : isolated);
  else
    fail(where, "the kind " + in_quotes(kind) + " cannot be run so far; Split, ByteLevel, Metaspace, Digits, "
                  "WhitespaceSplit, Whitespace, Punctuation and Sequence can be");
}

} // namespace

pre_tokenizer read_pre_tokenizer(const json::value* v, const std::string& where) {
  pre_tokenizer out;
  if (v)
    read_into(out, *v, where);
  return out;
}

std::vector<std::string> words_of(const pre_tokenizer& p, std::string text, bool first) {
  std::vector<word_piece> pieces;
  if (!text.empty())
    pieces.push_back({std::move(text), first});
  for (auto& step : p)
    step(pieces);
  std::vector<std::string> out;
  out.reserve(pieces.size());
  for (auto& piece : pieces)
    out.push_back(std::move(piece.text));
  return out;
}

const std::array<std::string, 256>& byte_characters() {
  static const auto table = [] {
    std::array<std::string, 256> t;
    char32_t next = 256;
    for (unsigned b = 0; b < 256; ++b) {
      bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
      append_utf8(t[b], printable ? b : next++);
    }
    return t;
  }();
  return table;
}

} // namespace virga::models::hf::tok
