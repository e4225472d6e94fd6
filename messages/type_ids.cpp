#include "messages/type_ids.hpp"

#include "messages/limits.hpp"

#include <caf/exit_reason.hpp>
#include <caf/sec.hpp>

namespace virga {

namespace {

constexpr auto own_category = caf::detail::error_factory<ec>::category;

bool is_own(const caf::error& e) noexcept { return e && e.category() == own_category; }

bool has_context(const caf::message& m) noexcept { return m.match_elements<std::uint64_t, std::string>(); }

ec nearest(caf::sec code) noexcept {
  switch (code) {
    case caf::sec::request_timeout: return ec::deadline_exceeded;
    case caf::sec::request_receiver_down:
    case caf::sec::no_actor_published_at_port:
    case caf::sec::cannot_connect_to_node:
    case caf::sec::disconnect_during_handshake: return ec::peer_unreachable;
    default: return ec::internal;
  }
}

ec nearest(caf::exit_reason reason) noexcept {
  switch (reason) {
    case caf::exit_reason::user_shutdown: return ec::shutting_down;
    case caf::exit_reason::unknown:
    case caf::exit_reason::kill:
    case caf::exit_reason::remote_link_unreachable:
    case caf::exit_reason::unreachable: return ec::peer_unreachable;
    default: return ec::internal;
  }
}

} // namespace

caf::error make_error(ec code, std::string text, std::uint64_t detail) {
  if (code == ec::none)
    return {};
  return {static_cast<std::uint8_t>(code), own_category, caf::make_message(detail, std::move(text))};
}

ec code_of(const caf::error& e) noexcept {
  if (!e)
    return ec::none;
  if (is_own(e))
    return e.code() < ec_count ? static_cast<ec>(e.code()) : ec::internal;
  if (e.category() == caf::atom("system"))
    return nearest(static_cast<caf::sec>(e.code()));
  if (e.category() == caf::atom("exit"))
    return nearest(static_cast<caf::exit_reason>(e.code()));
  return ec::internal;
}

std::uint64_t detail_of(const caf::error& e) {
  return is_own(e) && has_context(e.context()) ? e.context().get_as<std::uint64_t>(0) : 0;
}

std::string text_of(const caf::error& e) {
  if (!e)
    return {};
  if (is_own(e))
    return has_context(e.context()) ? e.context().get_as<std::string>(1) : std::string{};
  return to_string(e);
}

failure to_failure(const caf::error& e) {
  auto text = text_of(e);
  if (text.size() > limits::text_bytes)
    text.resize(limits::text_bytes);
  return {code_of(e), detail_of(e), std::move(text)};
}

caf::error to_error(const failure& f) { return make_error(f.code, f.text, f.detail); }

std::string render_error(std::uint8_t code, caf::atom_value, const caf::message& context) {
  std::string out = "virga: ";
  out += to_string(static_cast<ec>(code));
  if (!has_context(context))
    return out;
  if (auto& text = context.get_as<std::string>(1); !text.empty())
    out += ": " + text;
  if (auto detail = context.get_as<std::uint64_t>(0); detail != 0)
    out += " (" + std::to_string(detail) + ")";
  return out;
}

} // namespace virga
