#include "deploy/adapter_sources.hpp"

#include "deploy/progress_line.hpp"

#include <algorithm>
#include <fstream>

namespace virga::deploy {

namespace train = models::train;

namespace {

constexpr std::uint64_t own_seed = 1;  // of the prompts: every seed of a run learns from the same answers

local_options whole_model(const adapter_source_options& o) {
  local_options l;
  l.model = o.model;
  l.dtype = o.dtype;
  return l;
}

std::vector<std::string> lines_of(const std::string& file) {
  std::ifstream in(file);
  if (!in)
    throw bad_input(file + " cannot be read; give a file with a prompt on each line");
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);)
    if (!line.empty())
      lines.push_back(line);
  if (lines.empty())
    throw bad_input(file + " is empty; give a file with a prompt on each line");
  return lines;
}

} // namespace

adapter_sources::adapter_sources(const adapter_source_options& o) : local_(whole_model(o)) {
  folder().need_numbers("training");
  if (local_.tokenizer() && train::speaks_of_the_world(*local_.tokenizer(), words_))
    world_ = std::make_unique<models::world::world>();
  choose_data(o);
}

void adapter_sources::choose_data(const adapter_source_options& o) {
  if (o.data == std::vector<std::string>{"own"}) {
    data_ = own_data(o);
    return;
  }
  if (o.data.empty() || o.data == std::vector<std::string>{"world"}) {
    if (!world_)
      throw bad_input(o.model + " does not speak of the generated world: say what to learn from with --data FILE... or "
                                "--data own --prompts FILE");
    data_ = train::world_data(*world_, words_);
  } else {
    std::vector<std::filesystem::path> files(o.data.begin(), o.data.end());
    auto width = std::min(o.width, folder().config().max_position_embeddings);
    data_ = train::fixed_data(train::text_rows(files, local_.need_tokenizer(), width), "text files");
  }
  load_features(o, data_->longest());
}

void adapter_sources::load_features(const adapter_source_options& o, std::uint64_t longest) {
  auto positions = std::max<std::uint64_t>(o.batch_tokens, train::whole_pages(longest));
  features_ =
      std::make_unique<train::adapter_features>(folder(), o.split, positions, dtype_named(o.dtype), progress_line());
}

std::unique_ptr<train::adapter_data> adapter_sources::own_data(const adapter_source_options& o) {
  auto prompts = prompts_of(o);
  std::size_t longest = 0;
  for (auto& p : prompts)
    longest = std::max(longest, p.size());
  auto context = std::size_t{folder().config().max_position_embeddings};
  load_features(o, std::min(longest + o.answer_tokens, context));
  train::greedy_options how{.stop = stop(), .most_tokens = o.answer_tokens};
  auto told = [line = progress_line(), count = prompts.size()](std::size_t index, auto&) {
    line("answering prompts", index + 1, count);
  };
  auto examples =
      train::own_examples(features_->model(), prompts, how, std::filesystem::path(o.out) / "continuations.txt", told);
  return train::fixed_data(std::move(examples), "the model's own greedy answers");
}

train::prompt_list adapter_sources::prompts_of(const adapter_source_options& o) const {
  if (o.prompts.empty()) {
    if (!world_)
      throw bad_input(o.model + " does not speak of the generated world: give the prompts with --prompts FILE");
    return train::world_prompts(*world_, words_, own_seed, o.prompt_count);
  }
  auto chat = o.chat ? models::load_chat_template(folder().dir()) : nullptr;
  if (o.chat && !chat)
    throw bad_input(o.model + " has no chat template: leave out --chat");
  train::prompt_list out;
  for (auto& line : lines_of(o.prompts)) {
    out.push_back(encode_prompt(line, chat.get()));
    local_.check_prompt(out.back(), 1);
  }
  return out;
}

std::vector<token_id> adapter_sources::encode_prompt(const std::string& text, const models::chat_template* chat) const {
  auto& tok = local_.need_tokenizer();
  if (!chat)
    return tok.encode(text);
  auto rendered = chat->render(std::vector<chat_message>{{"user", text}});
  return tok.encode(rendered.text, {false, true, rendered.user_text});
}

} // namespace virga::deploy
