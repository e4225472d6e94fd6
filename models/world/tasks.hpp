// models/world/tasks.hpp: what can be asked about the world, which wording each question has, and its one right answer.
// A request is the question as data; prompt and answer follow from it and the world alone.
//   fact      what is the job of NAME ?                  baker .
//   friend_of who is the friend of NAME ?                NAME .
//   two_hop   what is the job of the friend of NAME ?    the friend is NAME and the job is baker .
//   describe  describe NAME : town job ?                 one sentence per key; the first says the name
//   sketch    sketch NAME : town job ?                   she ; town oslo ; job baker     (level 1)
//   brief     brief NAME : town job ?                    she ; oslo ; baker              (level 2)
//   expand    expand SKETCH : point two ?                that one sentence; point one adds "of NAME"
#pragma once

#include "models/world/templates.hpp"
#include "models/world/world.hpp"

#include <optional>
#include <string>
#include <vector>

namespace virga::models::world {

enum class task_kind : std::uint8_t { fact, friend_of, two_hop, describe, sketch, brief, expand };
inline constexpr std::size_t task_count = 7;
std::string_view to_string(task_kind kind) noexcept;

/// Facts that a sketch states instead of the world's: values in the order of the request's keys.
struct stated_facts {
  bool female = false;
  std::vector<std::uint32_t> values;
};

struct request {
  task_kind kind = task_kind::fact;
  person_id who = 0;
  std::vector<attribute> keys{};       ///< one for fact and two_hop, none for friend_of, else 2 to 5 different ones in order
  bool brief_sketch = false;           ///< expand: the sketch is of level 2
  std::uint32_t point = 0;             ///< expand: which key's sentence, from 0
  std::optional<stated_facts> stated{};  ///< expand only: a counterfactual sketch
};

/// The question's words. @throws std::invalid_argument when the request breaks the rules above
text prompt_of(const world& w, const request& r);

/// The only right answer.
text answer_of(const world& w, const request& r);

/// The sentence of one attribute, as the descriptions have it.
text sentence_of(const world& w, person_id who, attribute key, bool by_name);

// -- splits -----------------------------------------------------------------------------------------------------------

/// Facts are seen in training (recall from weights is the point). Held out, half for validation and half for test:
/// 10 % of (person, keys in order) for describe, sketch and brief; 20 % of people for expand; 10 % of (person, key) for
/// two_hop. fact and friend_of are in every split. By hash, so a request belongs to one split whoever draws it.
enum class split : std::uint8_t { train, validation, test };
std::string_view to_string(split s) noexcept;
bool belongs(const world& w, const request& r, split s);

// -- drawing ----------------------------------------------------------------------------------------------------------

/// Relative weights of the tasks.
struct mixture {
  double fact = 20, friend_of = 7, two_hop = 8, describe = 15, sketch = 24.5, brief = 10.5, expand = 25;
  std::uint32_t min_keys = 2, max_keys = 5;  ///< of describe, sketch, brief and expand; 3 keys give answers of 46 words or more
  bool uniform_people = false;               ///< else by popularity
  bool uniform_expand = true;                ///< people of expand requests are uniform: copying must beat recall
};

/// Draws a request of the split. 30 % of the expand requests have a sketch of level 2, as sketches are drawn.
/// @throws std::invalid_argument when no weight is positive or the key counts are not 1 <= min <= max <= 5
request draw_request(const world& w, split s, const mixture& mix, random_source& random);

/// An expand request whose sketch contradicts the world in every value; gender mark drawn anew. Validation and test only.
request draw_counterfactual(const world& w, split s, bool brief_sketch, random_source& random);

} // namespace virga::models::world
