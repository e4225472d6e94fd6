// actors/answers.hpp: the few ways to answer a call.
#pragma once

#include "actors/calls.hpp"

#include <caf/send.hpp>

namespace virga {

/// Sends one answer to a call. @param hdr the call's header
template <class Body>
void reply_to(const sink& to, const header& hdr, Body body, bool last = true) {
  if (to)
    caf::anon_send(to, answer{hdr, answer_body{std::move(body)}, last, traffic{}});
}

/// Ends a call with a failure. @param text one sentence for people
inline void fail_to(const sink& to, const header& hdr, ec code, std::string text, std::uint64_t detail = 0) {
  reply_to(to, hdr, failure{code, detail, std::move(text)});
}

} // namespace virga
