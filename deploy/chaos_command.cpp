#include "deploy/commands.hpp"
#include "deploy/failures.hpp"
#include "deploy/http_client.hpp"
#include "deploy/lifecycle.hpp"
#include "deploy/table.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <spdlog/fmt/fmt.h>

#include <iostream>
#include <map>
#include <optional>

namespace virga::deploy {
namespace {

namespace json = boost::json;

struct options {
  std::string link, manifest, direction = "both";
  std::map<std::string, std::optional<double>> numbers;  ///< of a direction, with the words of POST /chaos
  std::optional<bool> partition;
  double stall_ms = 0;
  bool cut = false, reset = false;
};

/// "edge-1:cloud-1", or "edge-1" when it has one link.
const link_entry& find_link(const manifest& m, const std::string& name) {
  const link_entry* found = nullptr;
  for (const auto& l : m.links) {
    if (name != l.from.value && name != l.from.value + ":" + l.to.value)
      continue;
    if (found)
      throw bad_input(name + " has several links: say FROM:TO, such as " + l.from.value + ":" + l.to.value);
    found = &l;
  }
  if (found)
    return *found;
  std::string list;
  for (const auto& l : m.links)
    list += " " + l.from.value + ":" + l.to.value;
  throw bad_input("there is no link " + name + (list.empty() ? ": " + m.deployment + " has none" : "; there are" + list));
}

json::object flow_of(const options& o) {
  json::object flow;
  for (const auto& [name, value] : o.numbers) {
    if (value && name == "slice_bytes")
      flow[name] = static_cast<std::uint64_t>(*value);
    else if (value)
      flow[name] = *value;
  }
  if (o.partition)
    flow["partitioned"] = *o.partition;
  return flow;
}

json::object change_of(const options& o, const link_entry& l) {
  json::object change{{"peer", l.to.value}, {"stall_ms", o.stall_ms}, {"cut", o.cut}, {"reset", o.reset}};
  for (const char* direction : {"up", "down"})
    if (o.direction == "both" || o.direction == direction)
      change[direction] = flow_of(o);
  return change;
}

const node_view& dialer(const std::vector<node_view>& nodes, const link_entry& l) {
  for (const auto& n : nodes)
    if (n.entry->name.value == l.from.value && n.admin_port != 0)
      return n;
  throw failed(l.from.value + " does not run here: the shaper of a link is inside the node that dials");
}

/// Only what is not nothing.
std::string words(const json::object& flow) {
  std::string text;
  for (const auto& [name, value] : flow) {
    if (value.is_bool() ? value.as_bool() : value.to_number<double>() != 0)
      text += (text.empty() ? "" : ", ") + std::string(name) + (value.is_bool() ? "" : " " + fmt::format("{}", value.to_number<double>()));
  }
  return text.empty() ? "nothing" : text;
}

void chaos(const options& o) {
  auto dir = find_running(o.manifest);
  auto m = running_manifest(dir);
  const auto& l = find_link(m, o.link);
  auto nodes = look_at(m, dir, std::chrono::seconds(2));
  http_request r;
  r.port = dialer(nodes, l).admin_port;
  r.path = "/chaos";
  r.body = json::serialize(change_of(o, l));
  auto reply = http_call(r, std::chrono::seconds(5));
  auto body = json::parse(reply.body);
  if (reply.status != 200)
    throw failed(std::string(body.at("error").at("message").as_string()));
  for (const char* direction : {"up", "down"})
    std::cout << l.from.value << ":" << l.to.value << " " << direction << ": " << words(body.at(direction).as_object()) << "\n";
}

} // namespace

void add_chaos_command(CLI::App& app) {
  auto* command = app.add_subcommand("chaos", "Break a link of a running deployment on purpose; it lasts until --reset or `down`");
  auto o = std::make_shared<options>();
  command->add_option("link", o->link, "FROM:TO, or FROM when that node has one link; without options: show its shape")->required();
  command->add_option("--manifest", o->manifest, "Its manifest; not needed when only one deployment runs");
  command->add_option("--direction", o->direction, "Of what follows: from the edge, to it")
    ->check(CLI::IsMember({"up", "down", "both"}))->capture_default_str();
  auto number = [&](const char* option, const char* name, const char* help) {
    command->add_option(option, o->numbers[name], help)->check(CLI::NonNegativeNumber);
  };
  number("--latency-ms", "latency_ms", "Each byte travels so long, one way");
  number("--jitter-ms", "jitter_ms", "and up to this much longer");
  number("--mbit", "mbit", "Rate; 0: unlimited");
  number("--flips-per-mb", "flips_per_mb", "Bits turned over in a million bytes");
  number("--slice-bytes", "slice_bytes", "Bytes of one write at most; 0: as they come");
  number("--slice-delay-ms", "slice_delay_ms", "Between two of these");
  command->add_option("--partition", o->partition, "on: nothing passes, nothing is lost; off: it passes again");
  command->add_option("--stall-ms", o->stall_ms, "Both directions stand still for so long")->check(CLI::NonNegativeNumber);
  command->add_flag("--cut", o->cut, "Reset every connection now");
  command->add_flag("--reset", o->reset, "Back to the manifest's shape, before anything else given here");
  command->callback([o] { chaos(*o); });
}

} // namespace virga::deploy
