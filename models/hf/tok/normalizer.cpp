#include "models/hf/tok/normalizer.hpp"

#include "models/defaults.hpp"
#include "models/hf/tok/pattern.hpp"
#include "models/hf/tok/utf8.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

namespace virga::models::hf::tok {

namespace {

/// The library sorts a run of marks in quadratic time.
void refuse_long_runs_of_marks(std::string_view text) {
  std::size_t run = 0;
  for (std::size_t at = 0; at < text.size();) {
    auto c = utf8_front(text.substr(at));
    auto* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c.value));
    run = property->combining_class != 0 ? run + 1 : 0;
    if (run > defaults::combining_marks)
      throw bad_segment("the text has more than " + std::to_string(defaults::combining_marks)
                        + " combining marks in a row, up to byte " + std::to_string(at));
    at += c.length;
  }
}

std::string unicode_form(std::string_view text, int options) {
  refuse_long_runs_of_marks(text);
  utf8proc_uint8_t* out = nullptr;
  auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), static_cast<utf8proc_ssize_t>(text.size()),
                             &out, static_cast<utf8proc_option_t>(options));
  std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(out, std::free);
  if (length < 0)
    throw bad_segment(std::string("the text cannot be put into normal form: ") + utf8proc_errmsg(length));
  return {reinterpret_cast<const char*>(out), static_cast<std::size_t>(length)};
}

bool is_ascii(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Where a change loses track of bytes, one literal byte marks them all.
void replace_all(marked_text& m, std::string text) {
  if (text == m.text)
    return;
  bool any = m.any_literal(0, m.text.size());
  m.text = std::move(text);
  m.literal.assign(any ? m.text.size() : 0, true);
}

void prepend(marked_text& m, const std::string& what) {
  if (m.text.empty())
    return;
  m.text.insert(0, what);
  if (!m.literal.empty())
    m.literal.insert(m.literal.begin(), what.size(), false);
}

void replace_matches(marked_text& m, const pattern& p, const std::string& with) {
  marked_text out;
  std::size_t done = 0;
  auto copy = [&](std::size_t end) {
    out.text.append(m.text, done, end - done);
    if (!m.literal.empty())
      out.literal.insert(out.literal.end(), m.literal.begin() + static_cast<std::ptrdiff_t>(done),
                         m.literal.begin() + static_cast<std::ptrdiff_t>(end));
  };
  p.find_all(m.text, [&](text_range r) {
    copy(r.begin);
    out.text += with;
    if (!m.literal.empty())
      out.literal.insert(out.literal.end(), with.size(), m.any_literal(r.begin, r.end));
    done = r.end;
  });
  copy(m.text.size());
  m = std::move(out);
}

/// The options of a Unicode normal form, 0 for another kind.
int form_options(const std::string& kind) {
  if (kind == "NFC")
    return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
  if (kind == "NFD")
    return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
  if (kind == "NFKC")
    return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
  if (kind == "NFKD")
    return UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
  return 0;
}

void read_into(normalizer& out, const json::value& v, const std::string& where) {
  fields f(v, where);
  auto kind = f.text("type");
  if (kind == "Sequence") {
    auto* list = f.at("normalizers").if_array();
    if (!list)
      f.complain("normalizers", "it must be a list");
    for (auto& one : *list)
      read_into(out, one, where);
  } else if (auto options = form_options(kind); options != 0) {
    out.push_back([options](marked_text& m) {
      if (!is_ascii(m.text))
        replace_all(m, unicode_form(m.text, options));
    });
  } else if (kind == "Prepend") {
    out.push_back([what = f.text("prepend")](marked_text& m) { prepend(m, what); });
  } else if (kind == "Replace") {
    out.push_back([p = pattern::read(f.at("pattern"), where + ": pattern"), with = f.text("content")](marked_text& m) {
      replace_matches(m, p, with);
    });
  } else {
    fail(where, "the kind " + in_quotes(kind) + " cannot be run so far; NFC, NFD, NFKC, NFKD, Prepend, Replace and "
                  "Sequence can be");
  }
}

} // namespace

bool marked_text::any_literal(std::size_t begin, std::size_t end) const {
  if (literal.empty())
    return false;
  auto from = literal.begin() + static_cast<std::ptrdiff_t>(begin), to = literal.begin() + static_cast<std::ptrdiff_t>(end);
  return std::find(from, to, true) != to;
}

normalizer read_normalizer(const json::value* v, const std::string& where) {
  normalizer out;
  if (v)
    read_into(out, *v, where);
  return out;
}

marked_text normalized(const normalizer& n, marked_text text) {
  for (auto& step : n)
    step(text);
  return text;
}

} // namespace virga::models::hf::tok
