#include "deploy/bench/hat_deployment.hpp"

#include "deploy/failures.hpp"
#include "deploy/plan.hpp"

#include "models/hf/folder.hpp"

#include <sstream>

namespace virga::deploy {
namespace {

constexpr auto deployment_name = "bench-hat";
constexpr auto first_port = 7470;

std::string layers(std::uint32_t first, std::uint32_t last) { return std::to_string(first) + "-" + std::to_string(last - 1); }

std::string manifest_text(const hat_setup& s) {
  const auto count = models::hf::model_folder(s.model).config().num_hidden_layers;
  const auto settings = ", dtype: " + s.dtype + ", kv_mb: " + std::to_string(s.kv_mb) + ", prefix_cache: none}\n";
  const bool own = s.adapter.empty();
  std::ostringstream out;
  out << "virga: 1\ndeployment: " << deployment_name << "\nlimits: {deadline_s: 600, patience_ms: 5000}\nnodes:\n"
      << "  - name: cloud-1\n    site: cloud\n    kind: cloud\n    listen: {port: " << first_port << "}\n    engines:\n";
  if (s.whole)
    out << "      - {name: whole, model: " << s.model << settings;
  out << "      - {name: middle, model: " << s.model << ", stages: \"" << layers(s.split, count) << "\"" << settings << "    roles:\n";
  if (s.whole)
    out << "      - {role: generator, engine: whole}\n";
  out << "      - {role: verifier, engine: middle, verify: {chunk_rows: " << s.cloud_chunk_rows << "}}\n";
  for (std::uint32_t i = 1; i <= s.devices; ++i) {
    out << "  - name: edge-" << i << "\n    kind: edge\n    gateway: {}\n    engines:\n      - {name: device, model: " << s.model
        << ", stages: \"embedding," << layers(0, s.split) << (own ? "," + layers(s.split, count) : "") << ",head\""
        << (own ? "" : ", adapter: \"" + s.adapter.string() + "\"") << settings << "    roles:\n";
    const auto from = own ? ", split: " + std::to_string(s.split) + "}" : "}";
    auto with = [&](std::string draft) { return draft == "{}" ? (own ? "{split: " + std::to_string(s.split) + "}" : draft)
                                                              : draft.substr(0, draft.size() - 1) + from; };
    out << "      - {role: drafter, engine: device, serves: split, draft: " << with(s.split_draft) << "}\n"
        << "      - {role: drafter, engine: device, serves: hat, draft: " << with(s.draft) << "}\n";
  }
  out << "links:\n";
  for (std::uint32_t i = 1; i <= s.devices; ++i)
    out << "  - {from: edge-" << i << ", to: cloud-1, shaper: \"on\"}\n";
  return out.str();
}

manifest load(const hat_setup& s) {
  const auto file = log_dir(deployment_name) / "manifest.yaml";
  write_whole(file, manifest_text(s));
  return load_checked(file);
}

} // namespace

hat_deployment::hat_deployment(const hat_setup& setup, const std::function<void(const std::string&)>& say)
  : manifest_(load(setup)), running_(manifest_, say) {
  for (const auto& n : look_at(manifest_, running_.dir, std::chrono::seconds(5)))
    if (n.entry->kind == node_kind::edge)
      ports_.push_back(n.api_port);
  for (auto port : ports_)
    if (port == 0)
      throw failed("a device of the benchmark has no gateway");
}

double hat_deployment::link_rtt_ms() const { return measured_rtt_ms(manifest_, running_.dir); }

void hat_deployment::shape(const link_quality& link) const {
  for (const auto& l : manifest_.links)
    shape_link(manifest_, running_.dir, l, link);
}

} // namespace virga::deploy
