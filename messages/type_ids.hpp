// messages/type_ids.hpp: `ec` as a category of caf::error. The context of such an error is always (u64 detail, text).
#pragma once

#include "messages/errors.hpp"
#include "messages/types.hpp"

#include <caf/error.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>

#include <cstdint>
#include <string>

CAF_ERROR_CODE_ENUM(virga::ec, "virga")

namespace virga {

/// An error with the code's detail (as errors.hpp says) and one sentence for people.
caf::error make_error(ec code, std::string text = {}, std::uint64_t detail = 0);

/// The code. ec::none for no error; CAF's own errors become the nearest code (a down or disconnected receiver
/// ec::peer_unreachable, a time-out ec::deadline_exceeded, anything else ec::internal).
ec code_of(const caf::error& e) noexcept;

/// So that `answer.error() == ec::queue_full` reads as it is meant.
inline bool operator==(const caf::error& e, ec code) noexcept { return code_of(e) == code; }

/// The detail, 0 where there is none.
std::uint64_t detail_of(const caf::error& e);

/// The sentence; for CAF's own errors their rendered form.
std::string text_of(const caf::error& e);

/// The error as a payload for the wire (text cut to limits::text_bytes), and back.
failure to_failure(const caf::error& e);
caf::error to_error(const failure& f);

/// "virga: code: text (detail)", for logs and for actor_system_config::add_error_category(caf::atom("virga"), ...).
std::string render_error(std::uint8_t code, caf::atom_value, const caf::message& context);

} // namespace virga
