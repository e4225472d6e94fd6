#include "models/world/vocabulary.hpp"

#include "models/world/templates.hpp"

#include <stdexcept>

namespace virga::models::world {

namespace {

std::vector<std::string_view> frame_words() {
  std::vector<std::string_view> words;
  const auto take = [&words](std::string_view pattern) {
    for (auto w : split_words(pattern)) {
      if (w.front() != '{') {
        words.push_back(w);
      }
    }
  };
  for (auto p : {pattern::fact_prompt, pattern::fact_answer, pattern::friend_prompt, pattern::two_hop_prompt,
                 pattern::two_hop_answer, pattern::describe_head, pattern::sketch_head, pattern::brief_head,
                 pattern::prompt_end, pattern::sketch_point, pattern::expand_head, pattern::expand_first_tail}) {
    take(p);
  }
  for (auto a : all_attributes) {
    take(key_word(a));
    take(pattern::sentence(a));
  }
  for (auto n : number_words) {
    take(n);
  }
  for (bool female : {true, false}) {
    take(pronoun(female));
    take(possessive(female));
  }
  return words;
}

} // namespace

vocabulary::vocabulary() {
  for (auto special : {"<pad>", "<bos>", "<eos>", "<unk>"}) {
    add(special, false);
  }
  for (auto w : frame_words()) {
    add(w, true);
  }
  for (auto list : {first_names(), last_names()}) {
    for (auto w : list) {
      add(w, false);
    }
  }
  for (auto a : all_attributes) {
    const auto values = values_of(a);
    for (std::size_t i = 0; i < values.size(); ++i) {
      add(values[i], a == attribute::firm && i < shared_firms);
    }
    for (auto w : classes_of(a)) {
      add(w, false);
    }
  }
}

void vocabulary::add(std::string_view word, bool may_repeat) {
  const auto [at, added] = ids_.emplace(word, static_cast<token_id>(words_.size()));
  if (added) {
    words_.emplace_back(word);
  } else if (!may_repeat) {
    throw std::logic_error("The word '" + std::string(word) + "' is in two word lists of models/world.");
  }
}

token_id vocabulary::id_of(std::string_view word) const {
  const auto found = ids_.find(word);
  return found == ids_.end() ? unk : found->second;
}

std::vector<token_id> vocabulary::encode(std::string_view line) const {
  std::vector<token_id> ids;
  for (auto w : split_words(line)) {
    ids.push_back(id_of(w));
  }
  return ids;
}

} // namespace virga::models::world
