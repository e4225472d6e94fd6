// tokenizer.json to a tokenizer. Where the file asks for more than is built, it is refused by name, never half obeyed.
#include "models/tokenizer.hpp"

#include "models/defaults.hpp"
#include "models/hf/json.hpp"
#include "models/hf/word_level.hpp"

#include <algorithm>

namespace virga::models {

namespace {

using namespace hf;

constexpr std::uint64_t max_id = defaults::max_vocab - 1;

/// The "type" of an optional part, "" when the part is null or absent.
std::string kind_of(const fields& root, std::string_view part) {
  auto v = root.find(part);
  return v ? fields(*v, root.where() + ": " + std::string(part)).text("type") : "";
}

void refuse_kind(const fields& root, std::string_view part, const std::string& kind, const std::string& known) {
  fail(root.where(), "the " + std::string(part) + " " + in_quotes(kind) + " cannot be run so far; " + known);
}

void add_word(word_tables& t, const std::string& word, token_id id, const std::string& where) {
  auto [at, fresh] = t.ids.emplace(word, id);
  if (!fresh && at->second != id)
    fail(where, "the token " + in_quotes(word) + " has two ids, " + std::to_string(at->second) + " and "
                  + std::to_string(id));
  if (t.words.size() <= id)
    t.words.resize(std::size_t{id} + 1);
  if (t.words[id] && *t.words[id] != word)
    fail(where, "the id " + std::to_string(id) + " has two tokens, " + in_quotes(*t.words[id]) + " and "
                  + in_quotes(word));
  t.words[id] = word;
}

void read_vocabulary(const fields& root, word_tables& t) {
  fields model(root.at("model"), root.where() + ": model");
  if (auto kind = model.text_or("type", "none"); kind != "WordLevel")
    refuse_kind(root, "model", kind, "only \"WordLevel\" can be");
  fields vocab(model.at("vocab"), model.where() + ": vocab");
  for (auto& [word, id] : vocab.object())
    add_word(t, word, static_cast<token_id>(whole_number(id, vocab.where() + ": " + in_quotes(word), 0, max_id)),
             vocab.where());
  if (model.find("unk_token"))
    if (auto it = t.ids.find(model.text("unk_token")); it != t.ids.end())
      t.unknown = it->second;
}

void read_added(const json::value& v, const std::string& where, word_tables& t) {
  fields f(v, where);
  auto content = f.text("content");
  auto id = static_cast<token_id>(f.whole("id", 0, max_id));
  if (content.empty())
    fail(where, "the token " + std::to_string(id) + " has no text");
  add_word(t, content, id, where);
  if (f.flag_or("special", false)) {
    t.special.insert(id);
    return;
  }
  for (auto key : {"single_word", "lstrip", "rstrip"})
    if (f.flag_or(key, false))
      f.complain(key, "tokens read from text cannot do that so far");
  t.parsed_first.push_back(content);
}

void read_all_added(const fields& root, word_tables& t) {
  auto where = root.where() + ": added_tokens";
  auto list = root.find("added_tokens");
  if (!list)
    return;
  if (!list->is_array())
    fail(where, "must be a list");
  for (auto& v : list->get_array())
    read_added(v, where, t);
  std::sort(t.parsed_first.begin(), t.parsed_first.end(),
            [](auto& a, auto& b) { return a.size() != b.size() ? a.size() > b.size() : a < b; });
}

/// The ids that one special token of a TemplateProcessing stands for.
std::vector<token_id> template_ids(const fields& post, const std::string& name) {
  fields all(post.at("special_tokens"), post.where() + ": special_tokens");
  fields one(all.at(name), all.where());
  std::vector<token_id> out;
  auto list = one.at("ids").if_array();
  if (!list)
    one.complain("ids", "it must be a list");
  for (auto& id : *list)
    out.push_back(static_cast<token_id>(whole_number(id, one.where() + ": ids", 0, max_id)));
  return out;
}

void read_template(const fields& root, word_tables& t) {
  fields post(root.at("post_processor"), root.where() + ": post_processor");
  auto list = post.at("single").if_array();
  if (!list)
    post.complain("single", "it must be a list");
  bool seen_text = false;
  for (auto& piece : *list) {
    fields f(piece, post.where() + ": single");
    if (f.find("Sequence")) {
      seen_text = true;
      continue;
    }
    auto ids = template_ids(post, fields(f.at("SpecialToken"), f.where()).text("id"));
    auto& side = seen_text ? t.after : t.before;
    side.insert(side.end(), ids.begin(), ids.end());
  }
}

void read_steps(const fields& root, word_tables& t) {
  if (auto kind = kind_of(root, "normalizer"); !kind.empty())
    refuse_kind(root, "normalizer", kind, "only null can be");
  auto pre = kind_of(root, "pre_tokenizer");
  if (!pre.empty() && pre != "WhitespaceSplit")
    refuse_kind(root, "pre_tokenizer", pre, "only \"WhitespaceSplit\" and null can be");
  t.split_at_space = !pre.empty();
  if (auto kind = kind_of(root, "decoder"); !kind.empty())
    refuse_kind(root, "decoder", kind, "only null, which joins words with spaces, can be");
  auto post = kind_of(root, "post_processor");
  if (post == "TemplateProcessing")
    read_template(root, t);
  else if (!post.empty())
    refuse_kind(root, "post_processor", post, "only \"TemplateProcessing\" and null can be");
}

} // namespace

std::shared_ptr<const tokenizer> load_tokenizer(const std::filesystem::path& dir) {
  auto file = dir / "tokenizer.json";
  auto root_value = parse_strict(read_text(file), file.string());
  fields root(root_value, file.string());
  word_tables t;
  read_vocabulary(root, t);
  read_all_added(root, t);
  read_steps(root, t);
  for (auto* side : {&t.before, &t.after})
    for (auto id : *side)
      if (id >= t.words.size() || !t.words[id])
        fail(file.string(), "the post_processor adds the token " + std::to_string(id) + ", which has no text");
  return std::make_shared<word_level>(std::move(t));
}

} // namespace virga::models
