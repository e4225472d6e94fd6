// deploy/bench/fault_bench.hpp: what a killed node costs the clients of a running deployment (`virga bench faults`).
//
// For each victim: the deployment is launched, its questions are asked once undisturbed, then clients ask them over and over, one
// request after the other, and the victim gets SIGKILL when a quarter of the requests is through. An answer counts as ok only with
// the text of the undisturbed one. The keeper restarts what dies, as in production.
#pragma once

#include "deploy/manifest.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace virga::deploy {

struct fault_options {
  std::uint32_t requests = 800;
  std::uint32_t clients = 8;
  std::string only;  ///< victims whose name contains this
};

/// Victims, as far as the manifest has them: a replica (with a spare), a stage of a pipeline (without), the front, an edge.
/// @returns {"requests", "clients", "rows": [{"victim", "spare", "strategy", "ok", "declared_fallback", "error", "wrong",
///   "unresolved", "recovery_s", "goal", "reached"}]}. `ok` excludes fallbacks and wrong texts; `recovery_s` is from the kill to
///   the end of the last answer that it touched: one that failed, or was placed more than once
/// @throws failed, bad_input when nobody could be a victim
boost::json::object bench_faults(const manifest& m, const fault_options& options,
                                 const std::function<void(const std::string&)>& say);

} // namespace virga::deploy
