// The reading half of the codec: one body into one slice. Nothing is allocated before its size is checked.
#include "messages/assembler.hpp"
#include "messages/checks.hpp"
#include "messages/crc32c.hpp"
#include "messages/type_ids.hpp"

#include "schema/virga.capnp.h"

#include <capnp/serialize.h>

#include <algorithm>
#include <cstring>

namespace virga {

namespace {

/// A body, its checksum, and what is read from it.
struct reading {
  std::span<const std::byte> body;
  std::uint32_t checksum = 0;
  slice out;
};

// -- numbers, texts, lists --------------------------------------------------------------------------------------------

template <class Enum>
Enum number(std::uint8_t value, std::uint8_t count, const char* name) {
  if (value >= count)
    throw rule_broken(ec::bad_frame, std::string{name} + " is " + std::to_string(value) + ", and only numbers below "
                                       + std::to_string(count) + " have a meaning");
  return static_cast<Enum>(value);
}

dtype read_dtype(std::uint8_t value) { return number<dtype>(value, dtype_count, "a dtype"); }
role read_role(std::uint8_t value) { return number<role>(value, role_count, "a role"); }
strategy read_strategy(std::uint8_t value) { return number<strategy>(value, strategy_count, "a strategy"); }

std::string text(capnp::Text::Reader value, const char* name, std::size_t limit = limits::text_bytes,
                 ec code = ec::bad_frame) {
  check_size(value.size(), limit, name, code);
  return {value.begin(), value.size()};
}

std::vector<role_status> read_roles(capnp::List<wire::RoleStatus>::Reader in) {
  check_size(in.size(), limits::list_items, "the list of roles");
  std::vector<role_status> roles;
  roles.reserve(in.size());
  for (auto r : in)
    roles.push_back({read_role(r.getKind()), r.getIncarnation()});
  return roles;
}

// -- tensors ----------------------------------------------------------------------------------------------------------

void check_piece(wire::Tensor::Reader in, std::size_t size, std::uint64_t total) {
  auto offset = in.getByteOffset();
  if (in.getTotalBytes() != total)
    throw rule_broken(ec::bad_tensor, "a tensor's shape makes " + std::to_string(total) + " bytes, announced are "
                                        + std::to_string(in.getTotalBytes()));
  if (offset > total || size > total - offset || (size == 0 && total != 0))
    throw rule_broken(ec::bad_tensor, "a slice of " + std::to_string(size) + " bytes at " + std::to_string(offset)
                                        + " is not inside a tensor of " + std::to_string(total));
}

/// Data at a body's end need not be read again: their checksum follows from the body's.
std::uint32_t checksum_of(std::span<const std::byte> data, const reading& r) {
  if (data.empty() || &data.back() != &r.body.back())
    return crc32c(data);
  return crc32c_joined(crc32c(r.body.first(r.body.size() - data.size())), r.checksum, data.size());
}

tensor read_tensor(wire::Tensor::Reader in, reading& r) {
  tensor t{read_dtype(in.getDtype()), in.getRows(), in.getCols(), {}};
  auto total = matrix_bytes(t.type, t.rows, t.cols);
  auto bytes = in.getData();
  check_size(bytes.size(), limits::slice_bytes, "a slice's data", ec::bad_tensor);
  check_piece(in, bytes.size(), total);
  r.out.data = {reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size()};
  r.out.offset = in.getByteOffset();
  r.out.total = total;
  if (checksum_of(r.out.data, r) != in.getCrc32c())
    throw rule_broken(ec::bad_tensor, "a slice's checksum does not fit its data");
  return t;
}

// -- payloads ---------------------------------------------------------------------------------------------------------

payload read(wire::Hello::Reader in) {
  return hello{in.getProtocol(), text(in.getSite(), "hello.site"), text(in.getNode(), "hello.node"),
               text(in.getModelDigest(), "hello.modelDigest"), in.getFirstLayer(), in.getLastLayer(), in.getHidden(),
               read_dtype(in.getWire()), read_roles(in.getRoles())};
}

std::vector<chat_message> read_messages(capnp::List<wire::ChatMessage>::Reader in, std::size_t prompt_bytes) {
  auto bytes = prompt_bytes;
  check_chat(in.size(), bytes);
  std::vector<chat_message> messages;
  messages.reserve(in.size());
  for (auto m : in) {
    bytes += m.getRole().size() + m.getContent().size();
    check_chat(in.size(), bytes);
    messages.push_back({text(m.getRole(), "a message's role", limits::prompt_bytes),
                        text(m.getContent(), "a message", limits::prompt_bytes)});
  }
  return messages;
}

std::vector<std::string> read_stop(capnp::List<capnp::Text>::Reader in) {
  check_size(in.size(), limits::stop_strings, "the list of stop strings", ec::bad_request);
  std::vector<std::string> stop;
  for (auto s : in)
    stop.push_back(text(s, "a stop string", limits::stop_bytes, ec::bad_request));
  return stop;
}

sampling read_sampling(wire::Generate::Reader in) {
  check_size(in.getLogitBias().size(), limits::biased_tokens, "logit_bias", ec::bad_request);
  sampling s{in.getTemperature(), in.getSeed(), in.getTopK(), in.getTopP(), in.getMinP(), in.getRepetitionPenalty(),
             in.getPresencePenalty(), in.getFrequencyPenalty()};
  for (auto b : in.getLogitBias())
    s.logit_bias.push_back({b.getId(), b.getBias()});
  s.logprobs = in.getLogprobs();
  s.top_logprobs = in.getTopLogprobs();
  check_size(s.top_logprobs, limits::top_logprobs, "top_logprobs", ec::bad_request);
  return s;
}

std::vector<token_id> read_ids(capnp::List<std::uint32_t>::Reader in, std::size_t limit, const char* name) {
  check_size(in.size(), limit, name);
  std::vector<token_id> ids;
  ids.reserve(in.size());
  for (auto id : in)
    ids.push_back(id);
  return ids;
}

payload read(wire::Generate::Reader in) {
  return generate{read_strategy(in.getHow()), text(in.getRequestId(), "generate.requestId"),
                  text(in.getPrompt(), "the prompt", limits::prompt_bytes, ec::bad_request), in.getMaxTokens(),
                  read_sampling(in), read_messages(in.getMessages(), in.getPrompt().size()), read_stop(in.getStop()),
                  read_ids(in.getAnswered(), limits::answered_tokens, "generate.answered")};
}

payload read(wire::OpenSession::Reader in) {
  return open_session{text(in.getModelDigest(), "openSession.modelDigest"), in.getFirstLayer(), in.getLastLayer(),
                      in.getHidden(), read_dtype(in.getWire()), in.getPromptTokens(), in.getMaxTokens(),
                      text(in.getRequestId(), "openSession.requestId"), in.getUpBytesPerS()};
}

payload read(wire::Verify::Reader in, reading& r) {
  return verify{in.getBase(), number<rows_wanted>(in.getWant(), 3, "verify.want"), read_tensor(in.getRows(), r),
                in.getUpBytesPerS()};
}

payload read(wire::Verified::Reader in, reading& r) {
  return verified{in.getBase(), read_tensor(in.getRows(), r), work_times{in.getQueueUs(), in.getComputeUs()},
                  in.getBatchRows(), in.getChunkRows()};
}

scored_token read(wire::Tokens::Scored::Reader in) {
  auto bytes = in.getText();
  check_size(bytes.size(), limits::text_bytes, "tokens.logprobs.text");
  return {in.getId(), in.getLogprob(), {reinterpret_cast<const char*>(bytes.begin()), bytes.size()}};
}

std::vector<token_logprobs> read_logprobs(capnp::List<wire::Tokens::Choice>::Reader in, std::size_t ids) {
  check_logprobs(in.size(), ids);
  std::vector<token_logprobs> out;
  for (auto one : in) {
    check_size(one.getTop().size(), limits::top_logprobs, "tokens.logprobs.top");
    auto& to = out.emplace_back(token_logprobs{read(one.getChosen()), {}});
    for (auto t : one.getTop())
      to.top.push_back(read(t));
  }
  return out;
}

payload read(wire::Tokens::Reader in) {
  return tokens{in.getPosition(), read_ids(in.getIds(), limits::tokens_per_frame, "tokens.ids"),
                text(in.getText(), "tokens.text"), read_logprobs(in.getLogprobs(), in.getIds().size()),
                in.getUnverified()};
}

std::vector<place> read_places(capnp::List<wire::Place>::Reader in) {
  check_size(in.size(), limits::list_items, "outcome.places");
  std::vector<place> places;
  places.reserve(in.size());
  for (auto p : in)
    places.push_back({text(p.getNode(), "outcome.places.node"), text(p.getStages(), "outcome.places.stages")});
  return places;
}

payload read(wire::Outcome::Reader in) {
  outcome x;
  x.error = number<ec>(in.getError(), ec_count, "outcome.error");
  x.error_text = text(in.getErrorText(), "outcome.errorText");
  x.error_detail = in.getErrorDetail();
  x.how = read_strategy(in.getHow());
  x.finish = number<finish_reason>(in.getFinish(), 3, "outcome.finish");
  x.places = read_places(in.getPlaces());
  x.attempts = in.getAttempts();
  x.prompt_tokens = in.getPromptTokens();
  x.completion_tokens = in.getCompletionTokens();
  x.round_trips = in.getRoundTrips();
  x.bytes_up = in.getBytesUp();
  x.bytes_down = in.getBytesDown();
  x.queue_us = in.getQueueUs();
  x.compute_us = in.getComputeUs();
  x.link_us = in.getLinkUs();
  x.cloud_us = in.getCloudUs();
  x.draft_us = in.getDraftUs();
  x.verdict_us = in.getVerdictUs();
  check_size(in.getDrafts().size(), limits::draft_rounds, "outcome.drafts");
  for (auto d : in.getDrafts())
    x.drafts.push_back({d.getDrafted(), d.getAccepted(), number<draft_source>(d.getSource(), 3, "outcome.drafts.source")});
  x.unverified_tokens = in.getUnverifiedTokens();
  return x;
}

payload read(wire::Failure::Reader in) {
  auto code = number<ec>(in.getCode(), ec_count, "failure.code");
  if (code == ec::none)
    throw rule_broken(ec::bad_frame, "a failure without a code");
  return failure{code, in.getDetail(), text(in.getText(), "failure.text")};
}

payload read(wire::KvSlice::Reader in, reading& r) {
  return kv_slice{in.getStage(), in.getLayer(), in.getStartPosition(), read_tensor(in.getTensor(), r)};
}

payload read(wire::Credit::Reader in) { return credit{in.getBytes(), in.getBulkBytes(), in.getReceivedUs()}; }

payload read(wire::Sketch::Reader in) {
  check_size(in.getPoints().size(), limits::list_items, "sketch.points");
  sketch x{in.getLevel(), {}};
  for (auto p : in.getPoints())
    x.points.push_back({text(p.getText(), "sketch.points.text"), p.getExpectedTokens()});
  return x;
}

payload read_padding(capnp::Data::Reader in) {
  check_size(in.size(), limits::slice_bytes, "padding");
  return padding{static_cast<std::uint32_t>(in.size())};
}

payload read(wire::Frame::Payload::Reader in, reading& r) {
  using kind = wire::Frame::Payload;
  switch (in.which()) {
    case kind::HELLO: return read(in.getHello());
    case kind::STATUS: return status{read_roles(in.getStatus().getRoles())};
    case kind::PING: return ping{in.getPing().getStamp()};
    case kind::PONG: return pong{in.getPong().getStamp()};
    case kind::CREDIT: return read(in.getCredit());
    case kind::GENERATE: return read(in.getGenerate());
    case kind::OPEN_SESSION: return read(in.getOpenSession());
    case kind::VERIFY: return read(in.getVerify(), r);
    case kind::CLOSE_SESSION: return close_session{};
    case kind::CANCEL: return cancel{};
    case kind::OPENED:
      return opened{in.getOpened().getLength(), in.getOpened().getKvTokens(), in.getOpened().getChunkRows()};
    case kind::VERIFIED: return read(in.getVerified(), r);
    case kind::TOKENS: return read(in.getTokens());
    case kind::OUTCOME: return read(in.getOutcome());
    case kind::FAILURE: return read(in.getFailure());
    case kind::KV_SLICE: return read(in.getKvSlice(), r);
    case kind::SKETCH: return read(in.getSketch());
    case kind::PADDING: return read_padding(in.getPadding());
  }
  throw rule_broken(ec::bad_frame, "a frame's payload has the unknown number "
                                     + std::to_string(static_cast<unsigned>(in.which())));
}

// -- frames -----------------------------------------------------------------------------------------------------------

header read_header(wire::Frame::Reader in, time_point now) {
  header h;
  h.session = {in.getSessionHi(), in.getSessionLo()};
  h.epoch = in.getEpoch();
  h.unit = in.getUnit();
  h.incarnation = in.getIncarnation();
  h.target = read_role(in.getTarget());
  h.deadline = now + std::chrono::milliseconds{std::min(in.getDeadlineMs(), limits::deadline_ms)};
  return h;
}

void check_version(std::uint32_t theirs) {
  if (theirs != limits::protocol_version)
    throw rule_broken(ec::handshake_refused,
                      "the peer speaks protocol " + std::to_string(theirs) + ", this node speaks "
                        + std::to_string(limits::protocol_version) + ": install the same virga on both sides");
}

/// The segments of a body, one or two, which have to fill it exactly. Cap'n Proto itself refuses bytes that are not
/// aligned.
kj::ArrayPtr<const capnp::word> words_of(std::span<const std::byte> body) {
  std::uint32_t table[4] = {2, 0, 0, 0};
  std::copy_n(body.begin(), std::min(body.size(), sizeof table), std::as_writable_bytes(std::span{table}).begin());
  auto words = table[0] == 0 ? 1 + std::size_t{table[1]} : 2 + std::size_t{table[1]} + table[2];
  if (table[0] > 1 || body.size() != words * sizeof(capnp::word))
    throw rule_broken(ec::bad_frame, "a frame's body is not one or two segments of its size");
  return {reinterpret_cast<const capnp::word*>(body.data()), words};
}

slice read_slice(reading r, time_point now) {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = limits::traversal_words;
  options.nestingLimit = limits::nesting_levels;
  capnp::FlatArrayMessageReader message(words_of(r.body), options);
  auto root = message.getRoot<wire::Frame>();
  check_version(root.getProtocolVersion());
  auto& out = r.out;
  out.part.hdr = read_header(root, now);
  out.part.sequence = root.getSequence();
  out.part.urgency = number<priority>(root.getUrgency(), 3, "a frame's urgency");
  try {
    out.part.body = read(root.getPayload(), r);
  } catch (const rule_broken& e) {
    if (e.code != ec::unsupported && e.code != ec::bad_request)
      throw;
    out.refused = failure{e.code, 0, e.what()};
  }
  return std::move(out);
}

} // namespace

caf::expected<slice> decode_slice(std::span<const std::byte> body, std::uint32_t checksum, time_point now) {
  try {
    return read_slice({body, checksum, {}}, now);
  } catch (const rule_broken& e) {
    return make_error(e.code, e.what());
  } catch (const kj::Exception& e) {
    return make_error(ec::bad_frame, std::string{"not a sound message: "} + e.getDescription().cStr());
  } catch (const std::exception& e) {
    return make_error(ec::internal, e.what());
  }
}

} // namespace virga
