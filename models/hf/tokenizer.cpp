// tokenizer.json to a tokenizer. Where the file asks for more than is built, it is refused by name, never half obeyed.
#include "models/tokenizer.hpp"

#include "models/defaults.hpp"
#include "models/hf/json.hpp"
#include "models/hf/tok/pipeline.hpp"

namespace virga::models {

namespace {

using namespace hf;

constexpr std::uint64_t max_id = defaults::max_vocab - 1;

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

void read_template(const fields& post, tok::pipeline_parts& t) {
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

void read_post_processor(const json::value& v, const std::string& where, tok::pipeline_parts& t) {
  fields f(v, where);
  auto kind = f.text("type");
  if (kind == "TemplateProcessing")
    return read_template(f, t);
  if (kind == "ByteLevel")
    return;  // it moves offsets only
  if (kind != "Sequence")
    fail(where, "the kind " + in_quotes(kind) + " cannot be run so far; TemplateProcessing, ByteLevel and Sequence can be");
  auto* list = f.at("processors").if_array();
  if (!list)
    f.complain("processors", "it must be a list");
  for (auto& one : *list)
    read_post_processor(one, where, t);
}

void read_added(const fields& root, tok::pipeline_parts& t) {
  std::vector<tok::added_token> raw, normalized;
  for (auto& token : tok::read_added_tokens(root, t.normal, *t.words))
    (token.normalized ? normalized : raw).push_back(std::move(token));
  t.raw_tokens = tok::token_finder(std::move(raw));
  t.normalized_tokens = tok::token_finder(std::move(normalized));
}

tok::pipeline_parts read_parts(const fields& root) {
  auto place = [&](const char* part) { return root.where() + ": " + part; };
  tok::pipeline_parts t;
  t.words = std::make_unique<tok::vocabulary>();
  t.normal = tok::read_normalizer(root.find("normalizer"), place("normalizer"));
  t.pre = tok::read_pre_tokenizer(root.find("pre_tokenizer"), place("pre_tokenizer"));
  t.decode = tok::read_decoder(root.find("decoder"), place("decoder"));
  t.model = tok::read_word_model(fields(root.at("model"), place("model")), *t.words);
  read_added(root, t);
  if (auto* post = root.find("post_processor"))
    read_post_processor(*post, place("post_processor"), t);
  for (auto* side : {&t.before, &t.after})
    for (auto id : *side)
      if (!t.words->token(id))
        fail(root.where(), "the post_processor adds the token " + std::to_string(id) + ", which has no text");
  return t;
}

} // namespace

std::string tokenizer::decode(std::span<const token_id> ids, bool skip_special) const {
  auto run = stream(skip_special);
  std::string out;
  for (auto id : ids) {
    if (!has(id))
      throw bad_segment("the token id " + std::to_string(id) + " is not in the tokenizer, which has "
                        + std::to_string(vocab_size()) + " ids");
    out += run->push(id);
  }
  return out += run->finish();
}

std::shared_ptr<const tokenizer> load_tokenizer(const std::filesystem::path& dir) {
  auto file = (dir / "tokenizer.json").string();
  auto text = read_text(file);
  return parse_tokenizer(text, file);
}

std::shared_ptr<const tokenizer> parse_tokenizer(std::string_view text, const std::string& where) {
  auto root = parse_strict(text, where);
  return std::make_shared<tok::pipeline>(read_parts(fields(root, where)));
}

} // namespace virga::models
