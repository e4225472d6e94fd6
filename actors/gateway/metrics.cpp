#include "actors/gateway/metrics.hpp"

#include "actors/gateway/openai_request.hpp"
#include "actors/gateway/status_metrics.hpp"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <iterator>

namespace virga {

namespace {

using buckets = prometheus::Histogram::BucketBoundaries;
using counters = prometheus::Family<prometheus::Counter>;
using histograms = prometheus::Family<prometheus::Histogram>;

// vLLM's buckets, and below them what an edge is quick enough for.
const buckets first_token_s{0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5,
                            0.75,  1,     2.5,  5,    7.5,  10,   20,   40,  80,   160};
const buckets per_token_s{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15,
                          0.2,   0.3,    0.4,   0.5,  0.75,  1,    2.5,   5,   10};
const buckets whole_s{0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,
                      10,   15,   20,  30,  40,  50,  60, 120, 240, 480, 960};
const buckets token_counts{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000};

prometheus::Labels model(strategy how) { return {{"model_name", model_name(how)}}; }

} // namespace

struct metrics::impl {
  counters& count(const std::string& name, const std::string& help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  histograms& spread(const std::string& name, const std::string& help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
  }

  prometheus::Registry registry;
  counters& prompt = count("vllm:prompt_tokens_total", "Prompt tokens of answered requests");
  counters& generation = count("vllm:generation_tokens_total", "Tokens that reached a client");
  counters& success = count("vllm:request_success_total", "Requests answered to their end");
  counters& failed = count("virga_request_errors_total", "Requests that ended with an error, by its code");
  counters& refused = count("virga_requests_refused_total", "Requests refused before they began, by the error's code");
  counters& retried = count("virga_request_retries_total", "Placements beyond a request's first: survived faults");
  histograms& first = spread("vllm:time_to_first_token_seconds", "From a request's arrival to its first token");
  histograms& gaps = spread("vllm:inter_token_latency_seconds", "From one token of an answer to the next");
  histograms& between = spread("vllm:request_time_per_output_token_seconds", "A request's mean time between tokens");
  histograms& whole = spread("vllm:e2e_request_latency_seconds", "From a request's arrival to its end");
  histograms& prompts = spread("vllm:request_prompt_tokens", "Prompt tokens of a request");
  histograms& answers = spread("vllm:request_generation_tokens", "Tokens of a request's answers");
};

metrics::metrics() : impl_(std::make_unique<impl>()) {}
metrics::~metrics() = default;

void metrics::refused(std::string_view code) { impl_->refused.Add({{"code", std::string(code)}}).Increment(); }

void metrics::generated(strategy how, std::uint64_t tokens) {
  if (tokens > 0)
    impl_->generation.Add(model(how)).Increment(static_cast<double>(tokens));
}

void metrics::gap(strategy how, double ms) { impl_->gaps.Add(model(how), per_token_s).Observe(ms / 1000); }

void metrics::ended(strategy how, const exchange_end& end) {
  auto labels = model(how);
  impl_->retried.Add(labels).Increment(end.retries);
  labels.emplace(end.status == 200 ? "finished_reason" : "code", end.result);
  (end.status == 200 ? impl_->success : impl_->failed).Add(labels).Increment();
  auto see = [&](histograms& h, const buckets& b, double value) { h.Add(model(how), b).Observe(value); };
  if (end.tokens > 0)
    see(impl_->first, first_token_s, end.ttft_ms / 1000);
  if (end.tbt_ms > 0)
    see(impl_->between, per_token_s, end.tbt_ms / 1000);
  if (end.status != 200)
    return;
  see(impl_->whole, whole_s, end.total_ms / 1000);
  see(impl_->prompts, token_counts, end.prompt_tokens);
  see(impl_->answers, token_counts, end.tokens);
  impl_->prompt.Add(model(how)).Increment(end.prompt_tokens);
}

std::string metrics::text(const node_status& s, const gateway_counts& counts) const {
  auto all = impl_->registry.Collect();
  auto now = status_metrics(s, counts);
  std::move(now.begin(), now.end(), std::back_inserter(all));
  return prometheus::TextSerializer{}.Serialize(all);
}

} // namespace virga
