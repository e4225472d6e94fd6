#include "models/hf/tok/decoder.hpp"

#include "models/hf/tok/pattern.hpp"
#include "models/hf/tok/pre_tokenizer.hpp"
#include "models/hf/tok/utf8.hpp"

#include <unordered_map>

namespace virga::models::hf::tok {

namespace {

/// A step without memory.
class mapping final : public decode_step {
public:
  explicit mapping(const std::function<std::string(std::string)>& f) : f_(f) {}
  void push(std::string piece, pieces& out) override { out.push_back(f_(std::move(piece))); }

private:
  const std::function<std::string(std::string)>& f_;
};

/// No decoder: spaces between tokens.
class joining final : public decode_step {
public:
  void push(std::string piece, pieces& out) override {
    out.push_back((first_ ? "" : " ") + piece);
    first_ = false;
  }

private:
  bool first_ = true;
};

/// Printable characters back to bytes, bytes to text. Holds back half a character.
class byte_level final : public decode_step {
public:
  void push(std::string piece, pieces& out) override {
    bytes_ += bytes_of(piece);
    out.push_back(take(false));
  }
  void finish(pieces& out) override { out.push_back(take(true)); }

private:
  static std::string bytes_of(const std::string& token) {
    static const auto byte_of = [] {
      std::unordered_map<std::string, char> m;
      for (unsigned b = 0; b < 256; ++b)
        m.emplace(byte_characters()[b], static_cast<char>(b));
      return m;
    }();
    std::string out;
    for (std::size_t at = 0; at < token.size();) {
      auto length = utf8_front(std::string_view(token).substr(at)).length;
      auto it = byte_of.find(token.substr(at, length));
      if (it == byte_of.end())
        return token;  // an added token, which is written as it is
      out += it->second;
      at += length;
    }
    return out;
  }

  std::string take(bool all) {
    std::string out;
    std::size_t at = 0;
    while (at < bytes_.size()) {
      auto c = utf8_front(std::string_view(bytes_).substr(at));
      if (c.kind == utf8_character::unfinished && !all)
        break;
      out += c.kind == utf8_character::good ? std::string_view(bytes_).substr(at, c.length) : replacement_character;
      at += c.length;
    }
    bytes_.erase(0, at);
    return out;
  }

  std::string bytes_;
};

/// <0xXX> back to bytes. A run of them is text when all of it is UTF-8, so it is held back to its end.
class byte_fallback final : public decode_step {
public:
  void push(std::string piece, pieces& out) override {
    if (auto b = byte_of(piece); b >= 0) {
      run_ += static_cast<char>(b);
      return;
    }
    finish(out);
    out.push_back(std::move(piece));
  }
  void finish(pieces& out) override {
    if (run_.empty())
      return;
    if (first_broken_byte(run_) == std::string::npos)
      out.push_back(run_);
    else
      for (std::size_t i = 0; i < run_.size(); ++i)
        out.emplace_back(replacement_character);
    run_.clear();
  }

private:
  static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  }
  static int byte_of(const std::string& t) {
    if (t.size() != 6 || !t.starts_with("<0x") || t[5] != '>' || digit(t[3]) < 0 || digit(t[4]) < 0)
      return -1;
    return digit(t[3]) * 16 + digit(t[4]);
  }
  std::string run_;
};

/// Takes characters off both ends: of each piece, or of the whole text behind a step that fuses.
struct strip_rule {
  std::string character;
  std::uint64_t start, stop;

  std::string front(std::string_view s, std::uint64_t& left) const {
    for (; left > 0 && s.starts_with(character); --left)
      s.remove_prefix(character.size());
    return std::string(s);
  }
  /// Length of `s` without the characters that are to go.
  std::size_t kept(std::string_view s) const {
    auto left = stop;
    for (; left > 0 && s.ends_with(character); --left)
      s.remove_suffix(character.size());
    return s.size();
  }
};

class strip_whole final : public decode_step {
public:
  explicit strip_whole(strip_rule rule) : rule_(std::move(rule)), left_(rule_.start) {}
  void push(std::string piece, pieces& out) override {
    if (piece.empty())
      return;
    if (left_ > 0) {
      piece = rule_.front(piece, left_);
      if (!piece.empty())
        left_ = 0;
    }
    held_ += piece;
    auto kept = rule_.kept(held_);
    out.push_back(held_.substr(0, kept));
    held_.erase(0, kept);
  }

private:
  strip_rule rule_;
  std::uint64_t left_;
  std::string held_;  ///< dropped at the end
};

/// Marks back to spaces; those of the first token go, where the pre-tokenizer put one in front.
class metaspace final : public decode_step {
public:
  metaspace(std::string mark, bool prepended) : mark_(pattern::literal(std::move(mark))), first_(prepended) {}
  void push(std::string piece, pieces& out) override {
    out.push_back(mark_.replaced(piece, first_ ? "" : " "));
    first_ = false;
  }

private:
  pattern mark_;
  bool first_;
};

/// Reads the steps one after the other, knowing whether they see tokens or the fused text.
class decoder_reader {
public:
  explicit decoder_reader(const std::string& where) : where_(where) {}

  void read(const json::value& v) {
    fields f(v, where_);
    auto kind = f.text("type");
    if (kind == "Sequence")
      return sequence(f);
    if (kind == "ByteLevel") {
      add<byte_level>(f);
      fused_ = true;
    } else if (kind == "ByteFallback") {
      add<byte_fallback>(f);
    } else if (kind == "Fuse") {
      fused_ = true;
    } else if (kind == "Metaspace") {
      metaspace_step(f);
    } else if (kind == "Replace") {
      replace_step(f);
    } else if (kind == "Strip") {
      strip_step(f);
    } else {
      fail(where_, "the kind " + in_quotes(kind) + " cannot be run so far; ByteLevel, ByteFallback, Metaspace, Replace, "
                     "Fuse, Strip, Sequence and null can be");
    }
  }

  decoder out;

private:
  void sequence(const fields& f) {
    auto* list = f.at("decoders").if_array();
    if (!list)
      f.complain("decoders", "it must be a list");
    for (auto& one : *list)
      read(one);
  }

  /// For steps that must see token by token.
  void need_tokens(const fields& f) const {
    if (fused_)
      f.complain("type", "behind a step that joins all tokens this cannot be run so far");
  }

  template <class Step, class... Args>
  void add(const fields& f, Args... args) {
    need_tokens(f);
    out.push_back([args...] { return std::make_unique<Step>(args...); });
  }

  void map(std::function<std::string(std::string)> f) {
    out.push_back([f = std::move(f)] { return std::make_unique<mapping>(f); });
  }

  void metaspace_step(const fields& f) {
    auto mark = f.text("replacement");
    bool prepended = f.text_or("prepend_scheme", f.flag_or("add_prefix_space", true) ? "always" : "never") != "never";
    add<metaspace>(f, mark, prepended);
  }

  void replace_step(const fields& f) {
    auto p = pattern::read(f.at("pattern"), where_ + ": pattern");
    if (!p.is_one_character())
      need_tokens(f);
    map([p, with = f.text("content")](std::string s) { return p.replaced(s, with); });
  }

  void strip_step(const fields& f) {
    strip_rule rule{f.text("content"), f.whole("start", 0, 1000), f.whole("stop", 0, 1000)};
    if (!pattern::literal(rule.character).is_one_character())
      f.complain("content", "it must be one character");
    if (fused_)
      out.push_back([rule] { return std::make_unique<strip_whole>(rule); });
    else
      map([rule](std::string s) {
        auto left = rule.start;
        s = rule.front(s, left);
        return s.substr(0, rule.kept(s));
      });
  }

  const std::string& where_;
  bool fused_ = false;
};

} // namespace

decoder read_decoder(const json::value* v, const std::string& where) {
  if (!v)
    return {[] { return std::make_unique<joining>(); }};
  decoder_reader reader(where);
  reader.read(*v);
  return std::move(reader.out);
}

running_decoder::running_decoder(const decoder& d) {
  for (auto& make : d)
    steps_.push_back(make());
}

std::string running_decoder::run(pieces p, std::size_t from) {
  for (auto i = from; i < steps_.size(); ++i) {
    pieces next;
    for (auto& piece : p)
      steps_[i]->push(std::move(piece), next);
    p = std::move(next);
  }
  std::string out;
  for (auto& piece : p)
    out += piece;
  return out;
}

std::string running_decoder::finish() {
  std::string out;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    pieces rest;
    steps_[i]->finish(rest);
    out += run(std::move(rest), i + 1);
  }
  return out;
}

} // namespace virga::models::hf::tok
