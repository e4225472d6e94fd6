#include "tests/messages/samples.hpp"

#include "messages/checks.hpp"
#include "messages/crc32c.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <tuple>

namespace virga {

// Comparison for the tests: bit by bit, so that a NaN equals itself.
static std::uint64_t bits(double x) { return std::bit_cast<std::uint64_t>(x); }
static auto parts(const token_bias& x) { return std::make_tuple(x.id, bits(x.bias)); }
static auto parts(const chat_message& x) { return std::tie(x.role, x.content); }
static bool operator==(const token_bias& a, const token_bias& b) { return parts(a) == parts(b); }
static bool operator==(const chat_message& a, const chat_message& b) { return parts(a) == parts(b); }
static auto parts(const sampling& x) {
  return std::make_tuple(bits(x.temperature), x.seed, x.top_k, bits(x.top_p), bits(x.min_p), bits(x.repetition_penalty),
                         bits(x.presence_penalty), bits(x.frequency_penalty), x.logit_bias, x.logprobs, x.top_logprobs);
}
static auto parts(const role_status& x) { return std::tie(x.kind, x.incarnation); }
static auto parts(const place& x) { return std::tie(x.node, x.stages); }
static auto parts(const work_times& x) { return std::tie(x.queue_us, x.compute_us); }
static auto parts(const tensor& x) { return std::tie(x.type, x.rows, x.cols, x.data); }

static bool operator==(const sampling& a, const sampling& b) { return parts(a) == parts(b); }
static bool operator==(const role_status& a, const role_status& b) { return parts(a) == parts(b); }
static bool operator==(const place& a, const place& b) { return parts(a) == parts(b); }
static bool operator==(const work_times& a, const work_times& b) { return parts(a) == parts(b); }
static bool operator==(const tensor& a, const tensor& b) { return parts(a) == parts(b); }

static auto parts(const hello& x) {
  return std::tie(x.protocol, x.site, x.node, x.model_digest, x.first_layer, x.last_layer, x.hidden, x.wire, x.roles);
}
static auto parts(const status& x) { return std::tie(x.roles); }
static auto parts(const ping& x) { return std::tie(x.stamp); }
static auto parts(const pong& x) { return std::tie(x.stamp); }
static auto parts(const credit& x) { return std::tie(x.bytes, x.bulk_bytes, x.received_us); }
static auto parts(const generate& x) { return std::tie(x.how, x.request_id, x.prompt, x.max_tokens, x.choose, x.messages, x.stop,
                                                         x.answered); }
static auto parts(const open_session& x) {
  return std::tie(x.model_digest, x.first_layer, x.last_layer, x.hidden, x.wire, x.prompt_tokens, x.max_tokens,
                  x.request_id, x.up_bytes_per_s);
}
static auto parts(const verify& x) { return std::tie(x.base, x.want, x.rows, x.up_bytes_per_s); }
static auto parts(const close_session&) { return std::tuple<>{}; }
static auto parts(const cancel&) { return std::tuple<>{}; }
static auto parts(const opened& x) { return std::tie(x.length, x.kv_tokens, x.chunk_rows); }
static auto parts(const verified& x) { return std::tie(x.base, x.rows, x.times, x.batch_rows, x.chunk_rows); }
static auto parts(const scored_token& x) { return std::make_tuple(x.id, bits(x.logprob), x.text); }
static bool operator==(const scored_token& a, const scored_token& b) { return parts(a) == parts(b); }
static auto parts(const token_logprobs& x) { return std::tie(x.chosen, x.top); }
static bool operator==(const token_logprobs& a, const token_logprobs& b) { return parts(a) == parts(b); }
static auto parts(const tokens& x) { return std::tie(x.position, x.ids, x.text, x.logprobs, x.unverified); }
static auto parts(const draft_round& x) { return std::tie(x.drafted, x.accepted, x.source); }
static bool operator==(const draft_round& a, const draft_round& b) { return parts(a) == parts(b); }
static auto parts(const outcome& x) {
  return std::tie(x.error, x.error_text, x.error_detail, x.how, x.finish, x.places, x.attempts, x.prompt_tokens,
                  x.completion_tokens, x.round_trips, x.bytes_up, x.bytes_down, x.queue_us, x.compute_us, x.link_us,
                  x.cloud_us, x.draft_us, x.verdict_us, x.drafts, x.unverified_tokens);
}
static auto parts(const failure& x) { return std::tie(x.code, x.detail, x.text); }
static auto parts(const kv_slice& x) { return std::tie(x.stage, x.layer, x.base, x.rows); }
static auto parts(const padding& x) { return std::tie(x.bytes); }
static auto parts(const sketch_point& x) { return std::tie(x.text, x.expected_tokens); }
static bool operator==(const sketch_point& a, const sketch_point& b) { return parts(a) == parts(b); }
static auto parts(const sketch& x) { return std::tie(x.level, x.points); }

namespace test {

namespace {

constexpr auto most = std::numeric_limits<std::uint64_t>::max();

std::uint32_t any_u32(rng& r) { return static_cast<std::uint32_t>(r()); }

template <class Enum>
Enum any_of(rng& r, std::uint8_t count) {
  return static_cast<Enum>(pick(r, count));
}

std::vector<role_status> any_roles(rng& r, std::size_t count) {
  std::vector<role_status> roles(count);
  for (auto& x : roles)
    x = {any_of<role>(r, role_count), r()};
  return roles;
}

std::vector<place> any_places(rng& r, std::size_t count, std::size_t text) {
  std::vector<place> places(count);
  for (auto& x : places)
    x = {any_text(r, text), any_text(r, text)};
  return places;
}

std::vector<token_id> any_ids(rng& r, std::size_t count) {
  std::vector<token_id> ids(count);
  for (auto& x : ids)
    x = any_u32(r);
  return ids;
}

double any_double(rng& r) { return std::bit_cast<double>(r()); }

sampling any_sampling(rng& r, std::size_t biases) {
  sampling s{any_double(r), r(), any_u32(r), any_double(r), any_double(r), any_double(r), any_double(r), any_double(r)};
  s.logit_bias.resize(biases);
  for (auto& b : s.logit_bias)
    b = {any_u32(r), any_double(r)};
  s.logprobs = pick(r, 2) == 0;
  s.top_logprobs = static_cast<std::uint32_t>(pick(r, limits::top_logprobs + 1));
  return s;
}

/// How large the variable parts are.
struct sizes {
  std::size_t text, prompt, list, ids, place_text;  // prompt: bytes of all messages together
  std::uint32_t rows, cols;
  std::size_t messages, stops, biases;
};

generate any_generate(rng& r, const sizes& s) {
  generate g{any_of<strategy>(r, strategy_count), any_text(r, s.text), s.messages == 0 ? any_text(r, s.prompt) : "",
             any_u32(r), any_sampling(r, s.biases)};
  for (std::size_t i = 0; i < s.messages; ++i)
    g.messages.push_back({any_text(r, s.prompt / s.messages / 4), any_text(r, s.prompt / s.messages / 4 * 3)});
  for (std::size_t i = 0; i < s.stops; ++i)
    g.stop.push_back(any_text(r, std::min(s.text, limits::stop_bytes)));
  g.answered = any_ids(r, s.ids);
  return g;
}

/// A token of the largest frames has none: they would not fit beside the ids.
tokens any_tokens(rng& r, const sizes& s) {
  tokens x{r(), any_ids(r, s.ids), any_text(r, s.text), {}, pick(r, 2) == 0};
  if (s.ids > 64 || pick(r, 2) == 0)
    return x;
  x.logprobs.resize(x.ids.size());
  for (auto& l : x.logprobs) {
    l.chosen = {any_u32(r), any_double(r), any_text(r, s.place_text)};
    for (auto n = pick(r, limits::top_logprobs + 1); n > 0; --n)
      l.top.push_back({any_u32(r), any_double(r), any_text(r, s.place_text)});
  }
  return x;
}

sketch any_sketch(rng& r, const sizes& s) {
  sketch x{any_u32(r), {}};
  for (std::size_t i = 0; i < s.list; ++i)
    x.points.push_back({any_text(r, s.place_text), any_u32(r)});
  return x;
}

outcome any_outcome(rng& r, const sizes& s) {
  std::vector<draft_round> drafts(s.list);
  for (auto& d : drafts)
    d = {static_cast<std::uint16_t>(r()), static_cast<std::uint16_t>(r()), any_of<draft_source>(r, 3)};
  return {any_of<ec>(r, ec_count), any_text(r, s.text), r(), any_of<strategy>(r, strategy_count),
          any_of<finish_reason>(r, 3), any_places(r, s.list, s.place_text), any_u32(r), any_u32(r), any_u32(r),
          any_u32(r), r(), r(), r(), r(), r(), r(), r(), r(), std::move(drafts)};
}

std::vector<frame> of_each(rng& r, const sizes& s) {
  auto text = [&] { return any_text(r, s.text); };
  auto rows = [&] { return any_tensor(r, any_of<dtype>(r, dtype_count), s.rows, s.cols); };
  auto a_dtype = [&] { return any_of<dtype>(r, dtype_count); };
  std::vector<payload> bodies{
    hello{any_u32(r), text(), text(), text(), any_u32(r), any_u32(r), any_u32(r), a_dtype(), any_roles(r, s.list)},
    status{any_roles(r, s.list)}, ping{r()}, pong{r()}, credit{r(), r(), r()},
    any_generate(r, s),
    open_session{text(), any_u32(r), any_u32(r), any_u32(r), a_dtype(), any_u32(r), any_u32(r), text(), r()},
    verify{r(), any_of<rows_wanted>(r, 3), rows(), r()}, close_session{}, cancel{}, opened{r(), r(), any_u32(r)},
    verified{r(), rows(), {r(), r()}, any_u32(r), any_u32(r)}, any_tokens(r, s), any_outcome(r, s),
    failure{static_cast<ec>(1 + pick(r, ec_count - 1)), r(), text()},
    kv_slice{any_u32(r), any_u32(r), r(), rows()}, any_sketch(r, s),
    padding{static_cast<std::uint32_t>(s.text)}};
  std::vector<frame> frames;
  for (auto& body : bodies)
    frames.push_back(any_frame(r, std::move(body)));
  return frames;
}

auto whole_ms(time_point t) { return std::chrono::duration_cast<std::chrono::milliseconds>(t - clock_start).count(); }

} // namespace

std::uint64_t pick(rng& r, std::uint64_t limit) { return r() % limit; }

std::string any_text(rng& r, std::size_t size) {
  std::string out(size, '\0');
  for (auto& c : out)
    c = static_cast<char>(r());
  return out;
}

byte_buffer any_bytes(rng& r, std::size_t size) {
  byte_buffer out(size);
  for (auto& b : out)
    b = static_cast<std::byte>(r());
  if (size >= 16) { // an infinity and a NaN, as f64 and, in their upper halves, as f32
    constexpr double special[2] = {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()};
    std::memcpy(out.data(), special, sizeof special);
  }
  return out;
}

tensor any_tensor(rng& r, dtype type, std::uint32_t rows, std::uint32_t cols) {
  return {type, rows, cols, any_bytes(r, matrix_bytes(type, rows, cols))};
}

frame any_frame(rng& r, payload body) {
  frame f;
  f.hdr = {{r(), r()}, any_u32(r), any_u32(r), r(), any_of<role>(r, role_count),
           clock_start + std::chrono::milliseconds{pick(r, limits::deadline_ms)}};
  f.sequence = r();
  f.urgency = any_of<priority>(r, 3);
  f.body = std::move(body);
  return f;
}

std::vector<frame> one_of_each(rng& r) {
  return of_each(r, {pick(r, 40), pick(r, 60), pick(r, 5), pick(r, 20), pick(r, 20),
                     static_cast<std::uint32_t>(1 + pick(r, 3)), static_cast<std::uint32_t>(1 + pick(r, 6)), pick(r, 4),
                     pick(r, 3), pick(r, 4)});
}

std::vector<frame> emptiest() {
  rng r{1};
  auto frames = of_each(r, {});
  for (auto& f : frames)
    f.hdr = {}, f.sequence = 0, f.urgency = {};
  return frames;
}

std::vector<frame> largest(rng& r) {
  auto frames = of_each(r, {limits::text_bytes, limits::prompt_bytes, limits::list_items, limits::tokens_per_frame,
                            3900, 300, 1111, limits::chat_messages, limits::stop_strings, limits::biased_tokens});
  for (auto& f : frames) {
    f.hdr = {{most, most}, ~0u, ~0u, most, role::offload_decider,
             clock_start + std::chrono::milliseconds{limits::deadline_ms}};
    f.sequence = most;
    f.urgency = priority::bulk;
  }
  return frames;
}

bool same(const frame& a, const frame& b) {
  auto head = [](const frame& f) {
    return std::make_tuple(f.hdr.session, f.hdr.epoch, f.hdr.unit, f.hdr.incarnation, f.hdr.target,
                           whole_ms(std::max(f.hdr.deadline, clock_start)), f.sequence, f.urgency, f.body.index());
  };
  if (head(a) != head(b))
    return false;
  return std::visit([&](auto& x) { return parts(x) == parts(std::get<std::decay_t<decltype(x)>>(b.body)); }, a.body);
}

byte_buffer wire_of(const frame& f, std::size_t slice_bytes) {
  auto units = encode(f, clock_start, slice_bytes);
  if (!units)
    throw std::runtime_error("a sample cannot be encoded: " + to_string(units.error()));
  byte_buffer all;
  for (auto& u : *units)
    all.insert(all.end(), u.begin(), u.end());
  return all;
}

byte_buffer unit_of(std::span<const std::byte> body) {
  const std::uint32_t prefix[2] = {static_cast<std::uint32_t>(body.size()), crc32c(body)};
  byte_buffer unit(wire_prefix_bytes + body.size());
  std::memcpy(unit.data(), prefix, wire_prefix_bytes);
  std::copy(body.begin(), body.end(), unit.begin() + wire_prefix_bytes);
  return unit;
}

template <class Reader>
static std::size_t put_into(Reader& reader, std::span<const std::byte> bytes) {
  std::size_t done = 0;
  for (auto room = reader.room(); done < bytes.size() && !room.empty(); room = reader.room()) {
    auto size = std::min(room.size(), bytes.size() - done);
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(done), size, room.begin());
    reader.filled(size);
    done += size;
  }
  return done;
}

std::size_t put(frame_reader& reader, std::span<const std::byte> bytes) { return put_into(reader, bytes); }
std::size_t put(frame_decoder& decoder, std::span<const std::byte> bytes) { return put_into(decoder, bytes); }

decoded decode_all(std::span<const std::byte> bytes) {
  frame_decoder decoder;
  decoded out;
  while (!bytes.empty()) {
    bytes = bytes.subspan(put(decoder, bytes));
    for (;;) {
      auto next = decoder.next(clock_start);
      if (!next) {
        out.error = next.error();
        return out;
      }
      if (!*next)
        break;
      out.messages.push_back(std::move(**next));
    }
  }
  return out;
}

} // namespace test
} // namespace virga
