#include "actors/roles/generator.hpp"

#include "actors/answers.hpp"

namespace virga {

generator_state::generator_state(token_source_actor::pointer self_ptr) : self(self_ptr) {}

void generator_state::begin(call<complete>& c) {
  works_[c.hdr.session] = {c.hdr, c.reply, static_cast<std::uint32_t>(c.body.prompt.size()), 0};
  engine_run run{options.incarnation, std::move(c.body.prompt), std::move(c.body.stop), c.body.max_tokens,
                 c.body.choose, c.body.answered};
  self->send(model, call<engine_run>{c.hdr, std::move(run), sink{self}});
}

void generator_state::stop(call<cancel>& c) {
  auto it = works_.find(c.hdr.session);
  if (it != works_.end())
    self->send(model, call<cancel>{it->second.hdr, cancel{}, sink{self}});
}

void generator_state::on_answer(answer& a) {
  auto it = works_.find(a.hdr.session);
  if (it == works_.end() || it->second.hdr.epoch != a.hdr.epoch)
    return;
  auto& w = it->second;
  if (auto* piece = std::get_if<tokens>(&a.body)) {
    w.produced += static_cast<std::uint32_t>(piece->ids.size());
    return reply_to(w.reply, w.hdr, std::move(*piece), false);
  }
  if (auto* done = std::get_if<run_done>(&a.body))
    end(w, *done);
  else if (options.config.planted == planted_bug::swallowed_error) {
    run_done taken_for_the_end{finish_reason::stop, {}};
    end(w, taken_for_the_end);
  } else if (auto* why = std::get_if<failure>(&a.body))
    reply_to(w.reply, w.hdr, std::move(*why));
  works_.erase(it);
}

void generator_state::end(const work& w, run_done& done) {
  outcome out;
  out.how = options.config.serves;
  out.finish = done.finish;
  out.places = {{options.node, options.config.stages}};
  out.prompt_tokens = w.prompt_tokens;
  out.completion_tokens = w.produced;
  out.queue_us = done.times.queue_us;
  out.compute_us = done.times.compute_us;
  reply_to(w.reply, w.hdr, std::move(out));
}

token_source_actor::behavior_type make_generator(token_source_actor::stateful_pointer<generator_state> self,
                                                 generator_options options, engine model) {
  auto& st = self->state;
  st.options = std::move(options);
  st.model = std::move(model);
  return {[&st](call<complete>& c) { st.begin(c); },
          [&st](call<cancel>& c) { st.stop(c); },
          [&st](answer& a) { st.on_answer(a); }};
}

} // namespace virga
