#include "actors/gateway/front.hpp"

#include "actors/gateway/defaults.hpp"
#include "messages/limits.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

namespace virga {

namespace {

std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

} // namespace

void refuse(responder& client, const http_request& r, const api_error& e) {
  auto reply = to_reply(e);
  reply.headers.emplace_back("X-Request-Id", r.request_id);
  client.reply(std::move(reply));
}

front::front(const gateway_config& config, front_ports ports)
    : config_(config), keys_(config.api_keys), ports_(std::move(ports)), created_(unix_time()) {
  config_.api_keys.clear();  // the digests are enough
  status_.reason = "the node has not said yet what it serves";
  counts_.answering_limit = config.max_requests;
}

// -- requests ----------------------------------------------------------------------------------------------------------

void front::begin(const http_request& r, bool chat, const std::shared_ptr<responder>& client) {
  auto accepted = accept(r, chat);
  if (auto request = std::get_if<api_request>(&accepted))
    return start(*request, r, client);
  auto& e = std::get<api_error>(accepted);
  spdlog::info("request refused request_id={} client={} status={} code={}", r.request_id, r.client, e.status, e.code);
  metrics_.refused(e.code);
  refuse(*client, r, e);
}

std::variant<api_request, api_error> front::accept(const http_request& r, bool chat) {
  auto parsed = chat ? parse_chat(r.body) : parse_completion(r.body);
  if (auto e = std::get_if<api_error>(&parsed)) {
    if (e->code == "model_not_found")
      e->message += "; " + served_list();
    return parsed;
  }
  auto& request = std::get<api_request>(parsed);
  if (!request.deadline_ms && !r.deadline_ms.empty()) {
    request.deadline_ms = parse_deadline_ms(r.deadline_ms);
    if (!request.deadline_ms)
      return bad_field("X-Virga-Deadline-Ms", "X-Virga-Deadline-Ms must be a whole number of milliseconds above 0");
  }
  if (auto e = refusal(request))
    return *e;
  return parsed;
}

std::optional<api_error> front::refusal(const api_request& r) {
  if (draining_ || status_.draining)
    return to_api_error({ec::shutting_down, 0, "this node is shutting down"});
  auto& served = status_.strategies;
  if (std::find(served.begin(), served.end(), r.how) == served.end())
    return not_served(r.how);
  if (r.choices > config_.max_requests)
    return bad_field("n", "n is above the " + std::to_string(config_.max_requests)
                            + " answers that this gateway makes at once");
  if (sessions_.size() + r.choices > config_.max_requests) {
    ++counts_.refused_full;
    return to_api_error({ec::queue_full, gateway_defaults::retry_after_s * 1000,
                         "this gateway is answering " + std::to_string(config_.max_requests)
                           + " requests, as many as it may; try again soon"});
  }
  return std::nullopt;
}

api_error front::not_served(strategy s) const {
  if (auto why = why_missing(status_))
    return to_api_error({ec::peer_unreachable, 0, model_name(s) + " cannot be served now: " + *why});
  return {404, "this gateway does not serve " + model_name(s) + "; " + served_list(), "model", "model_not_found", 0};
}

void front::start(const api_request& r, const http_request& from, std::shared_ptr<responder> client) {
  auto now = steady_clock::now();
  open_request q;
  q.sessions = make_headers(r, now);
  std::vector<session_id> ids;
  for (auto& hdr : q.sessions)
    ids.push_back(hdr.session);
  client->on_gone([this, first = ids.front()] { client_gone(first); });
  q.talk = std::make_unique<exchange>(r, ids, from.request_id, unix_time(), now, std::move(client));
  spdlog::info("request begins request_id={} session={} strategy={} client={} stream={} body_bytes={} max_tokens={} "
               "n={}",
               from.request_id, to_string(ids.front()), to_string(r.how), from.client, r.stream, from.body.size(),
               r.max_tokens, r.choices);
  auto here = answering_.emplace(ids.front(), std::move(q)).first;
  for (std::size_t i = 0; i < ids.size(); ++i)
    sessions_.emplace(ids[i], choice_of{here, i});
  ++counts_.requests;
  counts_.answering = static_cast<std::uint32_t>(sessions_.size());
  ask(r, here->second, from.request_id);
}

/// Choice i draws with the seed + i, so that each may be had again by itself.
void front::ask(const api_request& r, const open_request& which, const std::string& request_id) {
  auto& sessions = which.sessions;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    generate g{r.how, request_id, r.prompt, r.max_tokens, r.choose, r.messages, r.stop};
    g.choose.seed = r.seed.value_or(sessions.front().session.lo) + i;
    ports_.ask(sessions[i], std::move(g));
  }
}

std::vector<header> front::make_headers(const api_request& r, time_point now) const {
  auto most = std::chrono::milliseconds(limits::deadline_ms);
  auto time = r.deadline_ms ? std::chrono::milliseconds(*r.deadline_ms)
                            : std::chrono::duration_cast<std::chrono::milliseconds>(config_.deadline);
  header h;
  h.target = role::session_host;
  h.deadline = now + std::min(time, most);
  std::vector<header> all(r.choices, h);
  for (auto& one : all)
    one.session = ports_.make_id();
  return all;
}

// -- events ------------------------------------------------------------------------------------------------------------

void front::on_answer(answer& a, time_point now) {
  auto i = sessions_.find(a.hdr.session);
  if (i == sessions_.end()) {
    ++counts_.late_answers;
    return;
  }
  auto [which, index] = i->second;
  auto last = a.last;
  auto& talk = *which->second.talk;
  const auto before = talk.received();
  talk.on_answer(index, a, now);
  metrics_.generated(talk.how(), talk.received() - before);
  counts_.tokens += talk.received() - before;
  if (auto gap = talk.take_gap_ms())
    metrics_.gap(talk.how(), *gap);
  if (last)
    sessions_.erase(i);
  counts_.answering = static_cast<std::uint32_t>(sessions_.size());
  if (talk.ended())
    finish(which);
}

void front::client_gone(session_id first) {
  auto i = answering_.find(first);
  if (i == answering_.end())
    return;
  ++counts_.gone;
  i->second.talk->on_gone(steady_clock::now());
  finish(i);
}

void front::on_tick(time_point now) {
  for (auto i = answering_.begin(); i != answering_.end();) {
    auto here = i++;
    auto& [talk, sessions] = here->second;
    talk->on_tick(now);
    if (now >= sessions.front().deadline + gateway_defaults::deadline_grace) {
      talk->fail({ec::deadline_exceeded, 0, "the request's deadline passed and its session stayed silent"}, now);
      finish(here);
    }
  }
}

void front::on_cut(time_point now) {
  draining_ = true;
  while (!answering_.empty()) {
    auto i = answering_.begin();
    i->second.talk->fail({ec::shutting_down, 0, "this node is shutting down"}, now);
    finish(i);
  }
}

void front::on_silent_node() {
  status_.ready = false;
  status_.reason = "the node does not answer";
}

/// Cancels what has not ended yet.
void front::finish(requests::iterator i) {
  auto& [talk, sessions] = i->second;
  auto& end = talk->end();
  spdlog::info("request ends request_id={} session={} strategy={} status={} result={} tokens={} total_ms={:.1f} "
               "ttft_ms={:.1f}",
               talk->request_id(), to_string(i->first), to_string(talk->how()), end.status, end.result, end.tokens,
               end.total_ms, end.ttft_ms);
  metrics_.ended(talk->how(), end);
  recent_.push_front({talk->request_id(), talk->how(), unix_time(), end});
  if (recent_.size() > gateway_defaults::recent_requests)
    recent_.pop_back();
  for (auto& hdr : sessions)
    if (sessions_.erase(hdr.session) != 0)
      ports_.cancel(hdr);
  answering_.erase(i);
  counts_.answering = static_cast<std::uint32_t>(sessions_.size());
}

std::string front::served_list() const {
  if (status_.strategies.empty())
    return "nothing is served right now";
  std::string list = "served:";
  for (auto s : status_.strategies)
    list += " " + model_name(s);
  return list;
}

} // namespace virga
