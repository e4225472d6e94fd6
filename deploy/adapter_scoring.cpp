#include "deploy/adapter_scoring.hpp"

#include "models/memory.hpp"
#include "models/train/adapter_features.hpp"
#include "models/train/test_reads.hpp"

#include <algorithm>
#include <iostream>

namespace virga::deploy {

namespace train = models::train;
namespace world = models::world;

std::unique_ptr<models::shard> load_device(const models::hf::model_folder& base, const std::filesystem::path& adapter,
                                           dtype compute, std::uint64_t longest) {
  constexpr std::uint64_t some_requests = 8192;  // positions
  auto held = std::make_shared<models::hf::adapter_folder>(adapter);
  models::shard_options s;
  s.compute = compute;
  s.kv_bytes =
      std::max(some_requests, train::whole_pages(longest)) * models::kv_bytes_per_token(base.config(), models::kv_type(compute));
  s.stages = {{models::stage_kind::embedding, 0, 0}, {models::stage_kind::layers, 0, held->split()},
              {models::stage_kind::head, 0, 0}};
  s.adapter = held;
  models::check_memory(base, s, static_cast<std::uint32_t>(longest));
  return models::make_torch_shard(base, s);
}

std::string world_drafts::description() const {
  return "describe requests of 3 to 5 keys from the world's " + split + " split, people by popularity, seed "
         + std::to_string(seed);
}

std::vector<train::drafted_request> requests_of(const world_drafts& d, const std::string& what, const world::world& w,
                                                const world::vocabulary& words, models::shard& whole) {
  if (d.split == "test")
    std::cerr << train::log_test_read(
        d.read_log.empty() ? train::default_test_read_log() : std::filesystem::path(d.read_log),
        what + ", seed " + std::to_string(d.seed) + ", " + std::to_string(d.questions) + " describe requests")
              << "\n";
  auto split = d.split == "test" ? world::split::test : world::split::validation;
  return train::describe_requests(w, words, split, d.seed, d.questions, whole);
}

} // namespace virga::deploy
