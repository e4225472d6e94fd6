#include "messages/write_body.hpp"

#include "messages/checks.hpp"

#include "schema/virga.capnp.h"

#include <capnp/message.h>
#include <capnp/orphan.h>

#include <cstring>

namespace virga {

namespace {

constexpr std::size_t word_bytes = sizeof(capnp::word);
template <class Enum>
std::uint8_t number(Enum value) {
  return static_cast<std::uint8_t>(value);
}

// -- texts, lists, tensors --------------------------------------------------------------------------------------------

capnp::Text::Reader text(const std::string& value, const char* name, std::size_t limit = limits::text_bytes,
                         ec code = ec::bad_frame) {
  check_size(value.size(), limit, name, code);
  return {value.data(), value.size()};
}

unsigned list_size(std::size_t size, std::size_t limit, const char* name) {
  check_size(size, limit, name);
  return static_cast<unsigned>(size);
}

void write_roles(capnp::List<wire::RoleStatus>::Builder out, const std::vector<role_status>& roles) {
  for (unsigned i = 0; i < out.size(); ++i) {
    out[i].setKind(number(roles[i].kind));
    out[i].setIncarnation(roles[i].incarnation);
  }
}

void write_tensor(wire::Tensor::Builder out, const tensor& t, const tensor_piece& piece) {
  auto data = piece.bytes;
  out.setDtype(number(t.type));
  out.setRows(t.rows);
  out.setCols(t.cols);
  out.setByteOffset(static_cast<std::uint64_t>(data.data() - t.data.data()));
  out.setTotalBytes(t.data.size());
  out.setCrc32c(piece.crc);
  capnp::Data::Reader bytes{reinterpret_cast<const kj::byte*>(data.data()), data.size()};
  if (piece.apart)
    out.adoptData(capnp::Orphanage::getForMessageContaining(out).referenceExternalData(bytes));
  else
    out.setData(bytes);
}

// -- payloads ---------------------------------------------------------------------------------------------------------

using union_builder = wire::Frame::Payload::Builder;

void write(union_builder u, const hello& x, const tensor_piece&) {
  auto out = u.initHello();
  out.setProtocol(x.protocol);
  out.setSite(text(x.site, "hello.site"));
  out.setNode(text(x.node, "hello.node"));
  out.setModelDigest(text(x.model_digest, "hello.modelDigest"));
  out.setFirstLayer(x.first_layer);
  out.setLastLayer(x.last_layer);
  out.setHidden(x.hidden);
  out.setWire(number(x.wire));
  write_roles(out.initRoles(list_size(x.roles.size(), limits::list_items, "hello.roles")), x.roles);
}

void write(union_builder u, const status& x, const tensor_piece&) {
  auto size = list_size(x.roles.size(), limits::list_items, "status.roles");
  write_roles(u.initStatus().initRoles(size), x.roles);
}

void write(union_builder u, const ping& x, const tensor_piece&) { u.initPing().setStamp(x.stamp); }
void write(union_builder u, const pong& x, const tensor_piece&) { u.initPong().setStamp(x.stamp); }
void write(union_builder u, const credit& x, const tensor_piece&) {
  auto out = u.initCredit();
  out.setBytes(x.bytes);
  out.setBulkBytes(x.bulk_bytes);
  out.setReceivedUs(x.received_us);
}
void write(union_builder u, const close_session&, const tensor_piece&) { u.setCloseSession(); }
void write(union_builder u, const cancel&, const tensor_piece&) { u.setCancel(); }

void write_ids(capnp::List<std::uint32_t>::Builder out, const std::vector<token_id>& ids) {
  for (unsigned i = 0; i < out.size(); ++i)
    out.set(i, ids[i]);
}

void write_chat(wire::Generate::Builder out, const generate& x) {
  std::size_t bytes = x.prompt.size();
  for (auto& m : x.messages)
    bytes += m.role.size() + m.content.size();
  check_chat(x.messages.size(), bytes);
  auto messages = out.initMessages(static_cast<unsigned>(x.messages.size()));
  for (unsigned i = 0; i < messages.size(); ++i) {
    messages[i].setRole(text(x.messages[i].role, "a message's role", limits::prompt_bytes));
    messages[i].setContent(text(x.messages[i].content, "a message", limits::prompt_bytes));
  }
  check_size(x.stop.size(), limits::stop_strings, "the list of stop strings", ec::bad_request);
  auto stop = out.initStop(static_cast<unsigned>(x.stop.size()));
  for (unsigned i = 0; i < stop.size(); ++i)
    stop.set(i, text(x.stop[i], "a stop string", limits::stop_bytes, ec::bad_request));
}

void write_sampling(wire::Generate::Builder out, const sampling& s) {
  out.setTemperature(s.temperature);
  out.setSeed(s.seed);
  out.setTopK(s.top_k);
  out.setTopP(s.top_p);
  out.setMinP(s.min_p);
  out.setRepetitionPenalty(s.repetition_penalty);
  out.setPresencePenalty(s.presence_penalty);
  out.setFrequencyPenalty(s.frequency_penalty);
  check_size(s.logit_bias.size(), limits::biased_tokens, "logit_bias", ec::bad_request);
  auto biases = out.initLogitBias(static_cast<unsigned>(s.logit_bias.size()));
  for (unsigned i = 0; i < biases.size(); ++i) {
    biases[i].setId(s.logit_bias[i].id);
    biases[i].setBias(s.logit_bias[i].bias);
  }
  check_size(s.top_logprobs, limits::top_logprobs, "top_logprobs", ec::bad_request);
  out.setLogprobs(s.logprobs);
  out.setTopLogprobs(s.top_logprobs);
}

void write(union_builder u, const generate& x, const tensor_piece&) {
  auto out = u.initGenerate();
  out.setHow(number(x.how));
  out.setRequestId(text(x.request_id, "generate.requestId"));
  out.setPrompt(text(x.prompt, "the prompt", limits::prompt_bytes, ec::bad_request));
  out.setMaxTokens(x.max_tokens);
  write_chat(out, x);
  write_sampling(out, x.choose);
  write_ids(out.initAnswered(list_size(x.answered.size(), limits::answered_tokens, "generate.answered")), x.answered);
}

void write(union_builder u, const open_session& x, const tensor_piece&) {
  auto out = u.initOpenSession();
  out.setModelDigest(text(x.model_digest, "openSession.modelDigest"));
  out.setFirstLayer(x.first_layer);
  out.setLastLayer(x.last_layer);
  out.setHidden(x.hidden);
  out.setWire(number(x.wire));
  out.setPromptTokens(x.prompt_tokens);
  out.setMaxTokens(x.max_tokens);
  out.setRequestId(text(x.request_id, "openSession.requestId"));
  out.setUpBytesPerS(x.up_bytes_per_s);
}

void write(union_builder u, const verify& x, const tensor_piece& piece) {
  auto out = u.initVerify();
  out.setBase(x.base);
  out.setWant(number(x.want));
  out.setUpBytesPerS(x.up_bytes_per_s);
  write_tensor(out.initRows(), x.rows, piece);
}

void write(union_builder u, const opened& x, const tensor_piece&) {
  auto out = u.initOpened();
  out.setLength(x.length);
  out.setKvTokens(x.kv_tokens);
  out.setChunkRows(x.chunk_rows);
}

void write(union_builder u, const verified& x, const tensor_piece& piece) {
  auto out = u.initVerified();
  out.setBase(x.base);
  out.setQueueUs(x.times.queue_us);
  out.setComputeUs(x.times.compute_us);
  out.setBatchRows(x.batch_rows);
  out.setChunkRows(x.chunk_rows);
  write_tensor(out.initRows(), x.rows, piece);
}

void write_scored(wire::Tokens::Scored::Builder out, const scored_token& x) {
  check_size(x.text.size(), limits::text_bytes, "tokens.logprobs.text");
  out.setId(x.id);
  out.setLogprob(x.logprob);
  out.setText({reinterpret_cast<const kj::byte*>(x.text.data()), x.text.size()});
}

void write_logprobs(wire::Tokens::Builder to, const tokens& x) {
  check_logprobs(x.logprobs.size(), x.ids.size());
  auto out = to.initLogprobs(static_cast<unsigned>(x.logprobs.size()));
  for (unsigned i = 0; i < out.size(); ++i) {
    auto& from = x.logprobs[i];
    write_scored(out[i].initChosen(), from.chosen);
    auto top = out[i].initTop(list_size(from.top.size(), limits::top_logprobs, "tokens.logprobs.top"));
    for (unsigned k = 0; k < top.size(); ++k)
      write_scored(top[k], from.top[k]);
  }
}

void write(union_builder u, const tokens& x, const tensor_piece&) {
  auto out = u.initTokens();
  out.setPosition(x.position);
  write_ids(out.initIds(list_size(x.ids.size(), limits::tokens_per_frame, "tokens.ids")), x.ids);
  out.setText(text(x.text, "tokens.text"));
  write_logprobs(out, x);
  out.setUnverified(x.unverified);
}

void write(union_builder u, const outcome& x, const tensor_piece&) {
  auto out = u.initOutcome();
  out.setError(number(x.error));
  out.setErrorText(text(x.error_text, "outcome.errorText"));
  out.setErrorDetail(x.error_detail);
  out.setHow(number(x.how));
  out.setFinish(number(x.finish));
  auto places = out.initPlaces(list_size(x.places.size(), limits::list_items, "outcome.places"));
  for (unsigned i = 0; i < places.size(); ++i) {
    places[i].setNode(text(x.places[i].node, "outcome.places.node"));
    places[i].setStages(text(x.places[i].stages, "outcome.places.stages"));
  }
  out.setAttempts(x.attempts);
  out.setPromptTokens(x.prompt_tokens);
  out.setCompletionTokens(x.completion_tokens);
  out.setRoundTrips(x.round_trips);
  out.setBytesUp(x.bytes_up);
  out.setBytesDown(x.bytes_down);
  out.setQueueUs(x.queue_us);
  out.setComputeUs(x.compute_us);
  out.setLinkUs(x.link_us);
  out.setCloudUs(x.cloud_us);
  out.setDraftUs(x.draft_us);
  out.setVerdictUs(x.verdict_us);
  auto drafts = out.initDrafts(list_size(x.drafts.size(), limits::draft_rounds, "outcome.drafts"));
  for (unsigned i = 0; i < drafts.size(); ++i) {
    drafts[i].setDrafted(x.drafts[i].drafted);
    drafts[i].setAccepted(x.drafts[i].accepted);
    drafts[i].setSource(number(x.drafts[i].source));
  }
  out.setUnverifiedTokens(x.unverified_tokens);
}

void write(union_builder u, const failure& x, const tensor_piece&) {
  if (x.code == ec::none)
    throw rule_broken(ec::bad_frame, "a failure without a code");
  auto out = u.initFailure();
  out.setCode(number(x.code));
  out.setDetail(x.detail);
  out.setText(text(x.text, "failure.text"));
}

void write(union_builder u, const kv_slice& x, const tensor_piece& piece) {
  auto out = u.initKvSlice();
  out.setStage(x.stage);
  out.setLayer(x.layer);
  out.setStartPosition(x.base);
  write_tensor(out.initTensor(), x.rows, piece);
}

void write(union_builder u, const sketch& x, const tensor_piece&) {
  auto out = u.initSketch();
  out.setLevel(x.level);
  auto points = out.initPoints(list_size(x.points.size(), limits::list_items, "sketch.points"));
  for (unsigned i = 0; i < points.size(); ++i) {
    points[i].setText(text(x.points[i].text, "sketch.points.text"));
    points[i].setExpectedTokens(x.points[i].expected_tokens);
  }
}

void write(union_builder u, const padding& x, const tensor_piece&) {
  check_size(x.bytes, limits::slice_bytes, "padding");
  u.initPadding(x.bytes);
}

void write_header(wire::Frame::Builder out, const frame& f, std::uint32_t deadline_ms) {
  out.setProtocolVersion(limits::protocol_version);
  out.setSessionHi(f.hdr.session.hi);
  out.setSessionLo(f.hdr.session.lo);
  out.setEpoch(f.hdr.epoch);
  out.setUnit(f.hdr.unit);
  out.setIncarnation(f.hdr.incarnation);
  out.setSequence(f.sequence);
  out.setDeadlineMs(deadline_ms);
  out.setTarget(number(f.hdr.target));
  out.setUrgency(number(f.urgency));
}

} // namespace

std::size_t write_body(std::span<std::byte> room, const frame& f, std::uint32_t deadline_ms,
                       const tensor_piece& piece) {
  // The table of segments: how many there are less one, the words of each, and nothing up to a whole word.
  const std::size_t table_bytes = piece.apart ? 16 : 8;
  auto segment = room.subspan(table_bytes);
  capnp::FlatMessageBuilder message(
    kj::arrayPtr(reinterpret_cast<capnp::word*>(segment.data()), segment.size() / word_bytes));
  auto root = message.initRoot<wire::Frame>();
  write_header(root, f, deadline_ms);
  std::visit([&](const auto& x) { write(root.getPayload(), x, piece); }, f.body);
  auto words = static_cast<std::uint32_t>(message.getSegmentsForOutput()[0].size());
  const std::uint32_t table[4] = {piece.apart, words, static_cast<std::uint32_t>(piece.bytes.size() / word_bytes), 0};
  std::memcpy(room.data(), table, table_bytes);
  return table_bytes + words * word_bytes;
}

} // namespace virga
