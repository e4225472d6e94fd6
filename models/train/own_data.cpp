#include "models/train/own_data.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace virga::models::train {

namespace {

std::string title_of(const shard& whole, const prompt_list& prompts, const greedy_options& how) {
  std::uint64_t hash = how.most_tokens;
  for (auto& prompt : prompts) {
    hash = world::mix64(hash, prompt.size());
    for (auto id : prompt)
      hash = world::mix64(hash, id);
  }
  return "virga-continuations-1 model=" + whole.info().model_digest + " prompts=" + std::to_string(prompts.size())
         + " hash=" + std::to_string(hash);
}

/// One answer; empty when the line holds anything but ids of the vocabulary.
std::vector<token_id> parse(const std::string& line, std::uint32_t vocab) {
  std::istringstream in(line);
  std::vector<token_id> ids;
  for (token_id id = 0; in >> id;) {
    if (id >= vocab)
      return {};
    ids.push_back(id);
  }
  return in.eof() ? ids : std::vector<token_id>{};
}

/// The answers in the file; a line that a kill has torn counts as not there.
prompt_list read_kept(const std::filesystem::path& file, const std::string& title, std::uint32_t vocab) {
  std::ifstream in(file);
  prompt_list answers;
  std::string line;
  if (!std::getline(in, line))
    return answers;
  if (line != title)
    throw std::invalid_argument(file.string()
                                + " holds the answers of another model or to other prompts: give another --out, "
                                  "or move it away");
  while (std::getline(in, line) && !in.eof()) {
    auto ids = parse(line, vocab);
    if (ids.empty())
      break;
    answers.push_back(std::move(ids));
  }
  return answers;
}

class keeper {
public:
  keeper(const std::filesystem::path& file, const std::string& title, const prompt_list& answers)
      : file_(file), out_(file, std::ios::trunc) {
    out_ << title << '\n';
    for (auto& a : answers)
      add(a);
  }

  void add(const std::vector<token_id>& answer) {
    const char* separator = "";
    for (auto id : answer) {
      out_ << separator << id;
      separator = " ";
    }
    out_ << '\n';
    if (!out_.flush())
      throw std::runtime_error("Cannot write " + file_.string() + ": is the disk full?");
  }

private:
  std::filesystem::path file_;
  std::ofstream out_;
};

} // namespace

prompt_list world_prompts(const world::world& w, const world::vocabulary& words, std::uint64_t seed,
                          std::uint32_t count) {
  world::random_source random(world::mix64(seed, 502));
  prompt_list out;
  for (std::uint32_t i = 0; i < count; ++i) {
    auto e = make_example(words, w, world::draw_request(w, world::split::train, {}, random));
    e.ids.resize(e.answer);
    out.push_back(std::move(e.ids));
  }
  return out;
}

std::vector<example> own_examples(shard& whole, const prompt_list& prompts, const greedy_options& how,
                                  const std::filesystem::path& kept, const answer_told& told) {
  auto title = title_of(whole, prompts, how);
  auto answers = read_kept(kept, title, whole.info().vocab);
  answers.resize(std::min(answers.size(), prompts.size()));
  std::filesystem::create_directories(kept.parent_path());
  keeper file(kept, title, answers);
  auto have = answers.size();
  auto more = greedy_answers(whole, std::span(prompts).subspan(have), how, [&](std::size_t index, auto& answer) {
    file.add(answer);
    if (told)
      told(have + index, answer);
  });
  answers.insert(answers.end(), more.begin(), more.end());
  std::vector<example> out;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    example e{prompts[i], prompts[i].size()};
    e.ids.insert(e.ids.end(), answers[i].begin(), answers[i].end());
    out.push_back(std::move(e));
  }
  return out;
}

} // namespace virga::models::train
