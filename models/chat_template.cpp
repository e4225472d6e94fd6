#include "models/chat_template.hpp"

#include "models/hf/json.hpp"
#include "models/hf/tok/utf8.hpp"
#include "models/jinja/builtins.hpp"
#include "models/jinja/statements.hpp"

namespace virga::models {

namespace {

namespace json = hf::json;
using jinja::value;

/// Bytes that came out of the messages.
std::vector<text_range> ranges_of(const std::string& marks) {
  std::vector<text_range> out;
  for (std::size_t at = marks.find('\1'); at != std::string::npos;) {
    auto end = std::min(marks.find('\0', at), marks.size());
    out.push_back({at, end});
    at = marks.find('\1', end);
  }
  return out;
}

/// A message as transformers gives it to the template: without keys that are null, reasoning under the names in use.
jinja::dict message(const jinja::dict& fields) {
  jinja::dict out;
  const value* reasoning = nullptr;
  for (auto name : {"reasoning", "thinking", "reasoning_content"})
    if (auto* v = fields.named(name); v && !v->is_none())
      reasoning = v;
  if (reasoning)
    out.set("thinking", *reasoning);
  for (auto& [key, v] : fields.items)
    if (!v.is_none())
      out.set(key, v);
  if (reasoning)
    out.set("reasoning_content", *reasoning);
  return out;
}

value conversation(std::string_view messages_json) {
  auto all = jinja::from_json(messages_json, true, "the messages");
  auto* list = all.as_list();
  if (!list || list->items.empty())
    throw bad_chat("the messages must be a list of at least one");
  jinja::list out;
  for (auto& m : list->items) {
    auto* fields = m.as_dict();
    if (!fields || !fields->named("role") || !fields->named("role")->as_text())
      throw bad_chat("each message must be an object with a role");
    out.items.push_back(message(*fields));
  }
  return out;
}

class jinja_template final : public chat_template {
public:
  jinja_template(jinja::statement run, value special) : run_(std::move(run)), special_(std::move(special)) {}

  rendered_chat render(std::string_view messages_json, const chat_options& how) const override {
    jinja::frame f(how.now);
    add_variables(f, messages_json, how);
    run_(f);
    auto out = f.take();
    return {std::move(out.bytes), ranges_of(out.marks)};
  }

private:
  void add_variables(jinja::frame& f, std::string_view messages_json, const chat_options& how) const {
    jinja::add_globals(*f.here);
    auto add_all = [&](const value& object) {
      for (auto& [key, v] : object.as_dict()->items)
        f.set(key.as_text()->bytes, v);
    };
    add_all(special_);
    f.set("tools", value::variant(jinja::none{}));
    f.set("documents", value::variant(jinja::none{}));
    f.set("add_generation_prompt", how.add_generation_prompt);
    if (!how.extra_json.empty()) {
      auto extra = jinja::from_json(how.extra_json, true, "the template's variables");
      if (!extra.as_dict() || extra.as_dict()->named("messages"))
        throw bad_chat("the template's variables must be an object without messages");
      add_all(extra);
    }
    f.set("messages", conversation(messages_json));
  }

  jinja::statement run_;
  value special_;
};

std::string text_of(const json::value& v, const std::string& where) {
  if (auto* t = v.if_string())
    return std::string(*t);
  return hf::fields(v, where).text("content");
}

/// bos_token and the like, from where they are set first.
json::object special_tokens(const std::filesystem::path& dir) {
  json::object out;
  for (auto name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    auto file = dir / name;
    if (!std::filesystem::exists(file))
      continue;
    auto root = hf::parse_strict(hf::read_text(file), file.string());
    hf::fields f(root, file.string());
    for (auto key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
      if (auto* v = f.find(key); v && !out.contains(key))
        out[key] = text_of(*v, file.string() + ": " + key);
  }
  return out;
}

/// chat_template of tokenizer_config.json: a text, or a list of named ones.
std::string template_of(const hf::fields& config) {
  auto* list = config.at("chat_template").if_array();
  if (!list)
    return config.text("chat_template");
  for (auto& v : *list) {
    hf::fields one(v, config.where() + ": chat_template");
    if (one.text("name") == "default")
      return one.text("template");
  }
  hf::fail(config.where(), "chat_template is a list without one that is named \"default\"");
}

} // namespace

rendered_chat chat_template::render(std::span<const chat_message> messages, const chat_options& how) const {
  json::array all;
  for (auto& m : messages)
    all.push_back(json::object{{"role", m.role}, {"content", m.content}});
  return render(json::serialize(all), how);
}

std::shared_ptr<const chat_template> parse_chat_template(std::string_view source, std::string_view special_tokens,
                                                         const std::string& where) {
  if (auto at = hf::tok::first_broken_byte(source); at != std::string_view::npos)
    hf::fail(where, "the chat template is no UTF-8 from byte " + std::to_string(at) + " on");
  auto special = jinja::from_json(special_tokens, false, where + ": the special tokens");
  if (!special.as_dict())
    hf::fail(where, "the special tokens must be an object");
  return std::make_shared<jinja_template>(jinja::read_template(source, where), std::move(special));
}

std::shared_ptr<const chat_template> load_chat_template(const std::filesystem::path& dir) {
  auto special = json::serialize(special_tokens(dir));
  if (auto file = dir / "chat_template.jinja"; std::filesystem::exists(file))
    return parse_chat_template(hf::read_text(file), special, file.string());
  auto file = dir / "tokenizer_config.json";
  if (!std::filesystem::exists(file))
    return nullptr;
  auto root = hf::parse_strict(hf::read_text(file), file.string());
  hf::fields f(root, file.string());
  if (!f.find("chat_template"))
    return nullptr;
  return parse_chat_template(template_of(f), special, file.string() + ": chat_template");
}

} // namespace virga::models
