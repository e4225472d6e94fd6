#include "models/jinja/frame.hpp"

#include "models/defaults.hpp"

#include <cstdlib>

namespace virga::models::jinja {

value frame::lookup(const std::string& name) const {
  for (auto* s = here.get(); s; s = s->outer.get())
    if (auto it = s->names.find(name); it != s->names.end())
      return it->second;
  return value::variant(undefined{name});
}

void frame::write(const text& t) {
  charge(t.bytes.size());
  out_ += t;
}

void frame::charge(std::size_t bytes) {
  auto stack = reinterpret_cast<std::intptr_t>(__builtin_frame_address(0)) - stack_base_;
  if (static_cast<std::uint64_t>(std::abs(stack)) > defaults::template_stack)
    complain("the chat template's expressions and macros nest too deeply");
  constexpr std::size_t bytes_per_step = 64;
  steps_ += 1 + bytes / bytes_per_step;
  if (steps_ > defaults::template_steps)
    complain("the chat template does more than " + std::to_string(defaults::template_steps)
             + " steps with these messages; shorten them");
}

void frame::enter() {
  if (++depth_ > defaults::template_depth) {
    --depth_;
    complain("the chat template nests more than " + std::to_string(defaults::template_depth) + " loops and macros");
  }
}

} // namespace virga::models::jinja
