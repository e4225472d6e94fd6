#include "actors/gateway/status_metrics.hpp"

#include <array>

namespace virga {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using labels = std::vector<ClientMetric::Label>;

/// A link's counters in link_counts' order, with the words of /status.
struct link_counter {
  const char* name;
  const char* help;
  std::uint64_t link_counts::*value;
};

constexpr std::array link_counters{
  link_counter{"virga_link_connections_total", "Connections that came up", &link_counts::connections},
  link_counter{"virga_link_refusals_total", "Handshakes refused, by either side", &link_counts::refusals},
  link_counter{"virga_link_broken_streams_total", "Connections ended for bytes that are no frames",
               &link_counts::broken_streams},
  link_counter{"virga_link_duplicates_total", "Messages that came twice", &link_counts::duplicates},
  link_counter{"virga_link_out_of_order_total", "Messages out of their order", &link_counts::out_of_order},
  link_counter{"virga_link_stale_incarnations_total", "Requests for an instance that no longer runs",
               &link_counts::stale_incarnations},
  link_counter{"virga_link_stale_epochs_total", "Requests of a placement that a newer one replaced",
               &link_counts::stale_epochs},
  link_counter{"virga_link_foreign_sessions_total", "Requests for sessions that the peer never opened",
               &link_counts::foreign_sessions},
  link_counter{"virga_link_refused_frames_total", "Sound frames with contents beyond a limit",
               &link_counts::refused_frames},
  link_counter{"virga_link_late_answers_total", "Answers that nobody waited for any more", &link_counts::late_answers},
  link_counter{"virga_link_lost_answers_total", "Answers that could not be sent", &link_counts::lost_answers},
  link_counter{"virga_link_sent_bytes_total", "Bytes of data frames sent", &link_counts::bytes_out},
  link_counter{"virga_link_received_bytes_total", "Bytes of data frames received", &link_counts::bytes_in},
};

constexpr std::array link_gauges{
  link_counter{"virga_link_queued_bytes", "Bytes of messages that wait to be sent", &link_counts::queued_bytes},
  link_counter{"virga_link_under_way_bytes", "Bytes sent and not credited", &link_counts::under_way_bytes},
  link_counter{"virga_link_window_bytes", "Bytes of bulk that may be under way", &link_counts::window_bytes},
};

class families {
public:
  families& family(const char* name, const char* help, MetricType type) {
    all_.push_back({name, help, type, {}});
    return *this;
  }
  families& gauge(const char* name, const char* help) { return family(name, help, MetricType::Gauge); }
  families& counter(const char* name, const char* help) { return family(name, help, MetricType::Counter); }

  /// To the last family.
  void add(labels of, double value) {
    ClientMetric m;
    m.label = std::move(of);
    (all_.back().type == MetricType::Gauge ? m.gauge.value : m.counter.value) = value;
    all_.back().metric.push_back(std::move(m));
  }
  void add(labels of, std::uint64_t value) { add(std::move(of), static_cast<double>(value)); }

  std::vector<MetricFamily> take() { return std::move(all_); }

private:
  std::vector<MetricFamily> all_;
};

void add_gateway(families& f, const node_status& s, const gateway_counts& c) {
  f.gauge("virga_node_ready", "1: the node serves all that it should")
    .add({{"node", s.name}, {"site", s.site}}, s.ready ? 1.0 : 0.0);
  f.gauge("virga_answers_running", "Answers that this gateway makes now").add({}, std::uint64_t{c.answering});
  f.gauge("virga_answers_limit", "Answers that it may make at once").add({}, std::uint64_t{c.answering_limit});
  f.counter("virga_requests_total", "Requests taken").add({}, c.requests);
  f.counter("virga_clients_gone_total", "Clients that left before the end").add({}, c.gone);
  f.counter("virga_late_answers_total", "Answers for requests that were over").add({}, c.late_answers);
}

void add_engines(families& f, const node_status& s) {
  auto each = [&](auto value) {
    for (auto& e : s.engines)
      f.add({{"engine", e.name}}, value(e));
  };
  f.gauge("vllm:num_requests_running", "Sequences in an engine");
  each([](auto& e) { return e.sequences; });
  f.gauge("vllm:num_requests_waiting", "Requests that wait for an engine");
  each([](auto& e) { return e.waiting; });
  f.gauge("vllm:kv_cache_usage_perc", "KV cache in use, 1 is all of it");
  each([](auto& e) {
    return e.kv_bytes_limit == 0 ? 0.0 : static_cast<double>(e.kv_bytes) / static_cast<double>(e.kv_bytes_limit);
  });
  f.counter("vllm:prefix_cache_queries_total", "Tokens of prompts that an engine's prefix cache was asked for");
  each([](auto& e) { return e.prefixes.asked_tokens; });
  f.counter("vllm:prefix_cache_hits_total", "Of these, tokens that were not computed again");
  each([](auto& e) { return e.prefixes.saved_tokens; });
  f.counter("virga_prefix_cache_hits_total", "Pieces of prompts of which something was not computed again");
  each([](auto& e) { return e.prefixes.hits; });
  f.counter("virga_prefix_cache_evictions_total", "Held texts given up for their memory");
  each([](auto& e) { return e.prefixes.evictions; });
  f.gauge("virga_prefix_cache_bytes", "KV bytes that only held texts need; they are free for sequences");
  each([](auto& e) { return e.prefixes.bytes; });
  f.gauge("virga_prefix_cache_texts", "Texts held");
  each([](auto& e) { return e.prefixes.texts; });
  f.counter("virga_engine_steps_total", "Steps of an engine");
  each([](auto& e) { return e.steps; });
  f.counter("virga_engine_rows_total", "Token rows that an engine has run");
  each([](auto& e) { return e.rows; });
}

void add_roles(families& f, const node_status& s) {
  auto each = [&](auto value) {
    for (auto& r : s.roles)
      f.add({{"role", r.name}}, value(r));
  };
  f.gauge("virga_role_running", "1 while a supervised actor runs");
  each([](auto& r) { return r.running ? 1.0 : 0.0; });
  f.counter("virga_role_restarts_total", "Restarts by the supervisor");
  each([](auto& r) { return std::uint64_t{r.restarts}; });
  f.gauge("virga_mailbox_delay_seconds", "How long the supervisor's last question waited in an actor's mailbox");
  for (auto& r : s.roles)
    if (r.mailbox_us)
      f.add({{"role", r.name}}, static_cast<double>(*r.mailbox_us) / 1e6);
}

void add_links(families& f, const node_status& s) {
  auto each = [&](auto value) {
    for (auto& p : s.peers)
      f.add({{"site", p.site}, {"peer", p.node}}, value(p));
  };
  f.gauge("virga_link_up", "1 while the peer can be reached");
  each([](auto& p) { return p.up ? 1.0 : 0.0; });
  f.gauge("virga_link_rtt_seconds", "Round trip to the peer");
  each([](auto& p) { return static_cast<double>(p.quality.rtt_us) / 1e6; });
  f.gauge("virga_link_up_bytes_per_second", "Measured bandwidth from edge to cloud");
  each([](auto& p) { return static_cast<double>(p.quality.up_bytes_per_s); });
  f.gauge("virga_link_down_bytes_per_second", "Measured bandwidth from cloud to edge");
  each([](auto& p) { return static_cast<double>(p.quality.down_bytes_per_s); });
  for (auto& c : link_counters) {
    f.counter(c.name, c.help);
    each([&c](auto& p) { return p.counts.*c.value; });
  }
  for (auto& g : link_gauges) {
    f.gauge(g.name, g.help);
    each([&g](auto& p) { return p.counts.*g.value; });
  }
}

void add_neighbours(families& f, const node_status& s) {
  auto each = [&](auto value) {
    for (auto& n : s.neighbours)
      f.add({{"peer", n.node}}, value(n));
  };
  f.gauge("virga_neighbour_up", "1 while another node of this site can be reached");
  each([](auto& n) { return n.up ? 1.0 : 0.0; });
  f.counter("virga_neighbour_connections_total", "How often it was found");
  each([](auto& n) { return n.counts.connections; });
  f.counter("virga_neighbour_sent_bytes_total", "Bytes of frames sent to it");
  each([](auto& n) { return n.counts.bytes_out; });
  f.counter("virga_neighbour_received_bytes_total", "Bytes of frames received from it");
  each([](auto& n) { return n.counts.bytes_in; });
}

} // namespace

std::vector<MetricFamily> status_metrics(const node_status& s, const gateway_counts& counts) {
  families f;
  add_gateway(f, s, counts);
  add_engines(f, s);
  add_roles(f, s);
  add_links(f, s);
  add_neighbours(f, s);
  return f.take();
}

} // namespace virga
