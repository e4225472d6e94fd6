// models/jinja/frame.hpp: what one rendering knows: variables, output, and how much it may still do. Private to models.
#pragma once

#include "models/jinja/value.hpp"

#include <chrono>
#include <map>

namespace virga::models::jinja {

/// Variables of a block; those of the blocks around it are seen through it. Macros keep theirs.
struct scope {
  std::shared_ptr<scope> outer;
  std::map<std::string, value, std::less<>> names;
};

class frame {
public:
  explicit frame(std::chrono::system_clock::time_point time)
      : now(time), here(std::make_shared<scope>()), stack_base_(reinterpret_cast<std::intptr_t>(__builtin_frame_address(0))) {}

  value lookup(const std::string& name) const;  ///< undefined when no scope has it
  void set(const std::string& name, value v) { here->names.insert_or_assign(name, std::move(v)); }

  void write(const text& t);

  /// Counts work: steps, and bytes that a step makes. @throws bad_chat beyond defaults::template_steps and template_stack
  void charge(std::size_t bytes = 0);

  /// Runs `body` in a scope of its own inside `around`. @throws bad_chat when macros or loops nest too deeply
  template <class Body>
  auto inside(std::shared_ptr<scope> around, Body body) {
    struct restore {
      frame& f;
      std::shared_ptr<scope> old;
      ~restore() {
        f.here = std::move(old);
        --f.depth_;
      }
    };
    enter();
    restore r{*this, std::exchange(here, std::make_shared<scope>(scope{std::move(around), {}}))};
    return body();
  }

  /// What `body` writes, instead of writing it.
  template <class Body>
  text captured(Body body) {
    struct restore {
      frame& f;
      text old;
      ~restore() { f.out_ = std::move(old); }
    } r{*this, std::exchange(out_, {})};
    body();
    return std::move(out_);
  }

  text take() { return std::move(out_); }

  const std::chrono::system_clock::time_point now;
  std::shared_ptr<scope> here;

private:
  void enter();
  text out_;
  std::size_t steps_ = 0;
  std::size_t depth_ = 0;
  std::intptr_t stack_base_;
};

/// Whether a statement went to its end; break and continue go up to the loop.
enum class flow { on, break_, continue_ };

using expression = std::function<value(frame&)>;
using statement = std::function<flow(frame&)>;

} // namespace virga::models::jinja
