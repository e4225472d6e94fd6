#include "models/world/tasks.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace virga::models::world {

namespace {

struct told {
  bool female;
  std::uint32_t value;
};

/// The fact behind key `i` of a request: the sketch's where it states its own.
told told_fact(const world& w, const request& r, std::size_t i) {
  if (r.stated) {
    return {r.stated->female, r.stated->values.at(i)};
  }
  const auto& p = w.at(r.who);
  return {p.female, p.value[static_cast<std::size_t>(r.keys[i])]};
}

slots slots_of(const world& w, const request& r, std::size_t i) {
  const auto key = r.keys.at(i);
  const auto fact = told_fact(w, r, i);
  return {.name = w.name(r.who),
          .friend_name = {},
          .key = std::string(key_word(key)),
          .value = std::string(values_of(key)[fact.value]),
          .type = std::string(w.class_of(key, fact.value)),
          .number = {},
          .female = fact.female,
          .by_name = i == 0};
}

void append_sketch(text& out, const world& w, const request& r, bool brief) {
  fill(out, pattern::sketch_start, slots_of(w, r, 0));
  out.back().role = word_role::fact;  // the gender mark is knowledge, not grammar
  for (std::size_t i = 0; i < r.keys.size(); ++i) {
    fill(out, brief ? pattern::brief_point : pattern::sketch_point, slots_of(w, r, i));
  }
}

void check_keys(const request& r) {
  const bool single = r.kind == task_kind::fact || r.kind == task_kind::two_hop;
  const auto least = r.kind == task_kind::friend_of ? 0u : 1u;
  const auto most = r.kind == task_kind::friend_of ? 0u : single ? 1u : number_words.size();
  if (r.keys.size() < least || r.keys.size() > most || (r.kind == task_kind::expand && r.point >= r.keys.size())
      || (r.stated && (r.kind != task_kind::expand || r.stated->values.size() != r.keys.size()))) {
    throw std::invalid_argument("A " + std::string(to_string(r.kind)) + " request cannot have "
                                + std::to_string(r.keys.size()) + " keys, point " + std::to_string(r.point + 1)
                                + (r.stated ? " and stated facts." : "."));
  }
}

text list_prompt(const world& w, const request& r, std::string_view head) {
  text out;
  fill(out, head, {.name = w.name(r.who)});
  for (auto key : r.keys) {
    out.push_back({std::string(key_word(key)), word_role::frame});
  }
  fill(out, pattern::prompt_end, {});
  return out;
}

text expand_prompt(const world& w, const request& r) {
  text out;
  fill(out, pattern::expand_head, {});
  append_sketch(out, w, r, r.brief_sketch);
  fill(out, r.point == 0 ? pattern::expand_first_tail : pattern::expand_tail,
       {.name = w.name(r.who), .number = std::string(number_words[r.point])});
  return out;
}

text filled(std::string_view pattern, const slots& with) {
  text out;
  fill(out, pattern, with);
  return out;
}

text two_hop_answer(const world& w, const request& r) {
  const auto other = w.at(r.who).friend_id;
  return filled(pattern::two_hop_answer, {.friend_name = w.name(other),
                                          .key = std::string(key_word(r.keys[0])),
                                          .value = std::string(w.value(other, r.keys[0]))});
}

text describe_answer(const world& w, const request& r) {
  text out;
  for (std::size_t i = 0; i < r.keys.size(); ++i) {
    fill(out, pattern::sentence(r.keys[i]), slots_of(w, r, i));
  }
  return out;
}

} // namespace

std::string_view to_string(task_kind kind) noexcept {
  constexpr std::array<std::string_view, task_count> names{"fact",   "friend", "two-hop", "describe",
                                                           "sketch", "brief",  "expand"};
  return names[static_cast<std::size_t>(kind)];
}

text prompt_of(const world& w, const request& r) {
  check_keys(r);
  const auto key = r.keys.empty() ? std::string() : std::string(key_word(r.keys[0]));
  switch (r.kind) {
    case task_kind::fact: return filled(pattern::fact_prompt, {.name = w.name(r.who), .key = key});
    case task_kind::friend_of: return filled(pattern::friend_prompt, {.name = w.name(r.who)});
    case task_kind::two_hop: return filled(pattern::two_hop_prompt, {.name = w.name(r.who), .key = key});
    case task_kind::describe: return list_prompt(w, r, pattern::describe_head);
    case task_kind::sketch: return list_prompt(w, r, pattern::sketch_head);
    case task_kind::brief: return list_prompt(w, r, pattern::brief_head);
    case task_kind::expand: return expand_prompt(w, r);
  }
  throw std::invalid_argument("unknown task kind");
}

text answer_of(const world& w, const request& r) {
  check_keys(r);
  text out;
  switch (r.kind) {
    case task_kind::fact: return filled(pattern::fact_answer, slots_of(w, r, 0));
    case task_kind::friend_of:
      return filled(pattern::friend_answer, {.friend_name = w.name(w.at(r.who).friend_id)});
    case task_kind::two_hop: return two_hop_answer(w, r);
    case task_kind::describe: return describe_answer(w, r);
    case task_kind::sketch: append_sketch(out, w, r, false); return out;
    case task_kind::brief: append_sketch(out, w, r, true); return out;
    case task_kind::expand: return filled(pattern::sentence(r.keys[r.point]), slots_of(w, r, r.point));
  }
  throw std::invalid_argument("unknown task kind");
}

text sentence_of(const world& w, person_id who, attribute key, bool by_name) {
  request r{.kind = task_kind::describe, .who = who, .keys = {key}};
  auto with = slots_of(w, r, 0);
  with.by_name = by_name;
  return filled(pattern::sentence(key), with);
}

} // namespace virga::models::world
