// messages/types.hpp: the vocabulary of the wire as plain C++ values. No CAF, no Cap'n Proto, no torch.
// schema/virga.capnp says the same for the wire; codec.hpp turns one into the other.
#pragma once

#include "messages/errors.hpp"

#include <array>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace virga {

// -- names ------------------------------------------------------------------------------------------------------------

/// 128 random bits that name one request everywhere; bound to the certificate of the peer that opened it.
struct session_id {
  std::uint64_t hi = 0;
  std::uint64_t lo = 0;
  auto operator<=>(const session_id&) const = default;
};

/// 32 lower-case hexadecimal digits, as written in logs and in X-Request-Id.
std::string to_string(session_id id);

using byte_buffer = std::vector<std::byte>;
using token_id = std::uint32_t;
using steady_clock = std::chrono::steady_clock;
using time_point = steady_clock::time_point;

/// The actors that can be addressed across a link. `node` is the link's own control channel. Numbers never change.
enum class role : std::uint8_t {
  node = 0, session_host = 1, generator = 2, drafter = 3, verifier = 4,
  early_exiter = 5, context_manager = 6, sketcher = 7, expander = 8, offload_decider = 9,
};
inline constexpr std::uint8_t role_count = 10;
std::string_view to_string(role r) noexcept;

/// How a session is answered. Numbers never change.
enum class strategy : std::uint8_t { cloud = 0, edge = 1, split = 2, hat = 3, early_exit = 4, pice = 5, auto_ = 6 };
inline constexpr std::uint8_t strategy_count = 7;
/// "cloud", "edge", "split", "hat", "early-exit", "pice", "auto".
std::string_view to_string(strategy s) noexcept;

/// What every data message carries. `deadline` is a point of this node's steady clock; the wire has what remains of it.
struct header {
  session_id session;
  std::uint32_t epoch = 0;        ///< placement of the session; only the session raises it
  std::uint32_t unit = 0;         ///< round, group, layer block or image, as the strategy says
  std::uint64_t incarnation = 0;  ///< instance of the target role; 0: whichever runs now
  role target = role::node;       ///< the role asked, and in an answer the role that answers
  time_point deadline{};
};

// -- tensors ----------------------------------------------------------------------------------------------------------

/// int8 and int4 are of weights alone and never travel: blocks of 32 along the inputs, one f16 scale each, the bits of GGUF's Q8_0
/// and Q4_0 (models/kernels/packed.hpp).
enum class dtype : std::uint8_t { f64 = 0, f32 = 1, bf16 = 2, f16 = 3, i8_rows = 4, int8 = 5, int4 = 6 };
inline constexpr std::uint8_t dtype_count = 5;  ///< of those that travel
std::string_view to_string(dtype t) noexcept;
/// Bytes of one element; i8_rows counts 1 (its row scales, one f32 each, stand before the data). int8 and int4 count 0: a block
/// is their smallest piece.
std::size_t size_of(dtype t) noexcept;

/// A matrix [rows, cols], row-major, little-endian. The position of its first row stands in the message around it.
struct tensor {
  dtype type = dtype::f32;
  std::uint32_t rows = 0;
  std::uint32_t cols = 0;
  byte_buffer data;
};

// -- what one asks for ------------------------------------------------------------------------------------------------

struct token_bias {
  token_id id = 0;
  double bias = 0;  ///< added to the logit
};

/// How the next token is chosen. In this order: bias, penalties, temperature, top-k, top-p, min-p, then
/// argmax(log p + Gumbel(seed, choice, position)); temperature 0 is greedy. The defaults filter nothing.
struct sampling {
  double temperature = 0;              ///< 0 or more, finite
  std::uint64_t seed = 0;
  std::uint32_t top_k = 0;             ///< the k likeliest tokens; 0: all
  double top_p = 1;                    ///< in (0, 1]: the fewest likeliest tokens that have this probability together
  double min_p = 0;                    ///< in [0, 1]: tokens with at least this share of the likeliest one's probability
  double repetition_penalty = 1;       ///< above 0: logits of tokens seen in prompt or answer are divided (multiplied when negative) by it
  double presence_penalty = 0;         ///< subtracted once from logits of tokens seen in the answer
  double frequency_penalty = 0;        ///< subtracted as often as the token stands in the answer
  std::vector<token_bias> logit_bias{};  ///< each id at most once
  bool logprobs = false;               ///< tell each token's log-probability
  std::uint32_t top_logprobs = 0;      ///< and those of this many likeliest; only where `logprobs`

  /// Whether the choice depends on the tokens before it.
  bool looks_back() const noexcept { return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0; }
};

/// One message of a chat.
struct chat_message {
  std::string role;     ///< system, user or assistant
  std::string content;  ///< text parts joined
};

/// To SESSION HOST: answer this prompt. Goes across the link when the strategy's session lives on the other side.
struct generate {
  strategy how = strategy::cloud;
  std::string request_id;        ///< the client's X-Request-Id, in every log line about this session
  std::string prompt;            ///< plain text; tokenised where the session runs. Empty when there are messages
  std::uint32_t max_tokens = 0;  ///< new tokens at most
  sampling choose;
  std::vector<chat_message> messages{};  ///< a chat; rendered by the template of the model that answers
  std::vector<std::string> stop{};       ///< texts that end the answer and are not part of it
  std::vector<token_id> answered{};      ///< of an earlier placement: the answer goes on behind them, and tells none again
};

/// To GENERATOR or DRAFTER: continue these tokens until a stop token or `max_tokens`. Never crosses a link.
struct complete {
  std::vector<token_id> prompt;
  std::vector<token_id> stop;
  std::uint32_t max_tokens = 0;
  sampling choose;
  std::string request_id;      ///< the client's, for the logs
  std::uint32_t answered = 0;  ///< the last tokens of `prompt` that an earlier placement answered: penalties count them
};

/// To VERIFIER: hold a session over the middle stages. Tells the prompt's length, never its tokens.
struct open_session {
  std::string model_digest;       ///< root over per-tensor hashes, 64 hexadecimal digits
  std::uint32_t first_layer = 0;  ///< the first decoder layer that the device leaves to the cloud
  std::uint32_t last_layer = 0;   ///< one past the last
  std::uint32_t hidden = 0;
  dtype wire = dtype::f32;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_tokens = 0;
  std::string request_id;         ///< the client's, for the cloud's logs
  std::uint64_t up_bytes_per_s = 0;  ///< the device's uplink as measured; 0: not yet
};

/// Which rows come back.
enum class rows_wanted : std::uint8_t { none = 0, last = 1, all = 2 };

/// To VERIFIER: run these hidden rows, the first at absolute position `base`, through the middle stages. Idempotent by
/// (session, epoch, unit, base): a repeat is answered from the last result, and a lower base rolls the cache back.
struct verify {
  std::uint64_t base = 0;
  rows_wanted want = rows_wanted::last;
  tensor rows;  ///< [count, hidden]
  std::uint64_t up_bytes_per_s = 0;  ///< the device's uplink as measured; 0: not yet
};

/// To any role: forget the session and free what it holds. Safe to repeat; not answered.
struct close_session {};

/// To any role that streams: stop now; the outcome (with finish none) or a failure still comes, once. Safe to repeat.
struct cancel {};

// -- what comes back --------------------------------------------------------------------------------------------------

struct opened {
  std::uint64_t length = 0;     ///< positions the role already holds for this session
  std::uint64_t kv_tokens = 0;  ///< positions it is ready to hold
  std::uint32_t chunk_rows = 0; ///< positions of a prompt that are best sent at once now; 0: no opinion
};

/// Where the time of one piece of work went, measured with one process's steady clock.
struct work_times {
  std::uint64_t queue_us = 0;    ///< waiting for a batch
  std::uint64_t compute_us = 0;  ///< inside the shard
};

/// Deep hidden rows of `verify`, first row at position `base`.
struct verified {
  std::uint64_t base = 0;
  tensor rows;
  work_times times;
  std::uint32_t batch_rows = 0;  ///< rows of all sessions that ran together
  std::uint32_t chunk_rows = 0;  ///< as in `opened`, as it is now
};

/// A token and its natural log-probability in the model's own distribution: before bias, penalties and temperature.
struct scored_token {
  token_id id = 0;
  double logprob = 0;
  std::string text{};  ///< its bytes, filled by the session; they need not be whole characters
};

/// How likely a token of an answer was.
struct token_logprobs {
  scored_token chosen;
  std::vector<scored_token> top;  ///< the likeliest, best first
};

/// Tokens in order. `position` counts the answer's tokens from 0, so a repeat is recognised.
struct tokens {
  std::uint64_t position = 0;
  std::vector<token_id> ids;
  std::string text;  ///< filled by the session, empty between roles of one site
  std::vector<token_logprobs> logprobs{};  ///< one for each id where sampling::logprobs, else none
  bool unverified = false;  ///< of a draft that no whole model has seen: the cloud was lost, and the answer went on without it
};

enum class finish_reason : std::uint8_t { none = 0, stop = 1, length = 2 };
std::string_view to_string(finish_reason r) noexcept;

/// A node and what of the model it ran for this session, e.g. {"edge-1", "embedding, layers 0-1, head"}.
struct place {
  std::string node;
  std::string stages;
};

/// Where the draft of a round came from: made when the round began, or guessed while the one before was verified.
enum class draft_source : std::uint8_t { fresh = 0, bonus_guess = 1, last_guess = 2 };

/// One round of `hat`: of the tokens drafted, the first `accepted` stood; the round emitted one more.
struct draft_round {
  std::uint16_t drafted = 0;
  std::uint16_t accepted = 0;
  draft_source source = draft_source::fresh;
};

/// How a session ended; sent once, last. An error makes it a failed one.
struct outcome {
  ec error = ec::none;
  std::string error_text;
  std::uint64_t error_detail = 0;
  strategy how = strategy::cloud;
  finish_reason finish = finish_reason::none;
  std::vector<place> places;
  std::uint32_t attempts = 1;  ///< placements needed; more than one means a fault was survived
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint32_t round_trips = 0;  ///< across a link
  std::uint64_t bytes_up = 0;     ///< edge to cloud, whole frames
  std::uint64_t bytes_down = 0;
  std::uint64_t queue_us = 0;
  std::uint64_t compute_us = 0;
  std::uint64_t link_us = 0;
  std::uint64_t cloud_us = 0;     ///< of compute_us, at the other end of the link
  std::uint64_t draft_us = 0;     ///< that the answer waited for drafts: not hidden behind the link
  std::uint64_t verdict_us = 0;   ///< from the cloud's rows to the tokens
  std::vector<draft_round> drafts{};  ///< of `hat`, in order; of the last placement
  std::uint32_t unverified_tokens = 0;  ///< the last ones of the answer: drafts that no whole model has seen
};

/// The asked role could not do it.
struct failure {
  ec code = ec::internal;
  std::uint64_t detail = 0;  ///< as the code says
  std::string text;          ///< one sentence for people
};

// -- what moves between roles ------------------------------------------------------------------------------------------

/// Keys and values of one decoder layer, for migration and prefix caches.
struct kv_slice {
  std::uint32_t stage = 0;  ///< of the shard
  std::uint32_t layer = 0;
  std::uint64_t base = 0;   ///< absolute position of the first row
  /// [count, 2 * kv heads * head size], a row's keys before its values; in i8_rows each of a row's heads is a row with
  /// a scale of its own, [count * 2 * kv heads, head size].
  tensor rows;
};

/// A sketch of an answer (PICE): points that expanders turn into text, in the answer's order.
struct sketch_point {
  std::string text;
  std::uint32_t expected_tokens = 0;  ///< of its expansion, as predicted
};
struct sketch {
  std::uint32_t level = 0;  ///< length class, 0 the shortest
  std::vector<sketch_point> points;
};

// -- between links ----------------------------------------------------------------------------------------------------

/// A role that a node offers to its peer.
struct role_status {
  role kind = role::node;
  std::uint64_t incarnation = 0;  ///< 0: not running now
};

/// First frame of each side. Refused with a sentence naming both values where they do not fit.
struct hello {
  std::uint32_t protocol = 0;
  std::string site;
  std::string node;
  std::string model_digest;  ///< empty: this side shares no model across the link
  std::uint32_t first_layer = 0;
  std::uint32_t last_layer = 0;
  std::uint32_t hidden = 0;
  dtype wire = dtype::f32;
  std::vector<role_status> roles;
};

/// The roles changed.
struct status {
  std::vector<role_status> roles;
};

/// Heartbeat; `stamp` comes back unchanged in `pong`. Also measures the round trip.
struct ping {
  std::uint64_t stamp = 0;
};
struct pong {
  std::uint64_t stamp = 0;
};

/// The receiver has consumed this many more bytes of data frames.
struct credit {
  std::uint64_t bytes = 0;
  std::uint64_t bulk_bytes = 0;   ///< of these, of bulk
  std::uint64_t received_us = 0;  ///< its clock at the last of them; the sender measures the link's rate with it
};

/// Nothing. Some of it goes first over a link whose rate is not known, so that it is when it matters.
struct padding {
  std::uint32_t bytes = 0;
};

// -- frames -----------------------------------------------------------------------------------------------------------

/// The order of this list is the order of the schema's union; append only.
using payload = std::variant<hello, status, ping, pong, credit,                        // link
                             generate, open_session, verify, close_session, cancel,    // requests
                             opened, verified, tokens, outcome, failure,               // answers
                             kv_slice, sketch,
                             padding>;                                                 // link

/// Control overtakes decode, decode overtakes bulk; within one (session, role) order is kept.
enum class priority : std::uint8_t { control = 0, decode = 1, bulk = 2 };

/// One message between two nodes. A large tensor makes several frames (slices) of one message; see codec.hpp.
struct frame {
  header hdr;
  std::uint64_t sequence = 0;  ///< counts the messages of one connection and direction from 1
  priority urgency = priority::control;
  payload body;
};

} // namespace virga
