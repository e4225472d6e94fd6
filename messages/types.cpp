#include "messages/types.hpp"

namespace virga {

namespace {

template <std::size_t N, class Enum>
std::string_view name_of(const std::array<std::string_view, N>& names, Enum value) noexcept {
  auto i = static_cast<std::size_t>(value);
  return i < N ? names[i] : std::string_view{"unknown"};
}

constexpr std::array<std::string_view, ec_count> ec_names{
  "none", "deadline_exceeded", "cancelled", "queue_full", "peer_unreachable", "stale_position", "stale_epoch",
  "stale_incarnation", "unknown_session", "out_of_pages", "bad_frame", "bad_tensor", "model_mismatch", "bad_request",
  "context_exceeded", "unsupported", "shutting_down", "model_error", "handshake_refused", "internal"};

constexpr std::array<std::string_view, role_count> role_names{
  "node", "session_host", "generator", "drafter", "verifier",
  "early_exiter", "context_manager", "sketcher", "expander", "offload_decider"};

constexpr std::array<std::string_view, strategy_count> strategy_names{
  "cloud", "edge", "split", "hat", "early-exit", "pice", "auto"};

constexpr std::array<std::string_view, 7> dtype_names{"f64", "f32", "bf16", "f16", "i8_rows", "int8", "int4"};

constexpr std::array<std::string_view, 3> finish_names{"none", "stop", "length"};

static_assert(ec_names.back() == "internal" && static_cast<std::size_t>(ec::internal) + 1 == ec_names.size());
static_assert(static_cast<std::size_t>(role::offload_decider) + 1 == role_names.size());
static_assert(static_cast<std::size_t>(strategy::auto_) + 1 == strategy_names.size());
static_assert(static_cast<std::size_t>(dtype::int4) + 1 == dtype_names.size());

} // namespace

std::string_view to_string(ec code) noexcept { return name_of(ec_names, code); }
std::string_view to_string(role r) noexcept { return name_of(role_names, r); }
std::string_view to_string(strategy s) noexcept { return name_of(strategy_names, s); }
std::string_view to_string(dtype t) noexcept { return name_of(dtype_names, t); }
std::string_view to_string(finish_reason r) noexcept { return name_of(finish_names, r); }

std::size_t size_of(dtype t) noexcept {
  switch (t) {
    case dtype::f64: return 8;
    case dtype::f32: return 4;
    case dtype::bf16:
    case dtype::f16: return 2;
    case dtype::i8_rows: return 1;
    case dtype::int8:
    case dtype::int4: return 0;
  }
  return 0;
}

std::string to_string(session_id id) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out(32, '0');
  for (int i = 0; i < 16; ++i) {
    out[15 - i] = digits[(id.hi >> (4 * i)) & 15];
    out[31 - i] = digits[(id.lo >> (4 * i)) & 15];
  }
  return out;
}

} // namespace virga
