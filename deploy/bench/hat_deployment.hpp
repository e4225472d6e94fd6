// deploy/bench/hat_deployment.hpp: the deployment that `virga bench systems --system hat` launches: one cloud node, and
// devices that serve `split` and `hat` from one engine each, over links whose shapers are told what to add.
#pragma once

#include "deploy/launched.hpp"
#include "deploy/pace_meter.hpp"

#include <filesystem>

namespace virga::deploy {

struct hat_setup {
  std::filesystem::path model;      ///< a whole model, absolute
  std::uint32_t split = 1;          ///< its first layers that a device holds
  std::filesystem::path adapter;    ///< absolute; empty: devices hold all layers and draft with them
  std::uint32_t devices = 1;
  std::string draft = "{}";         ///< of the drafter that serves hat, as in a manifest
  std::string split_draft = "{}";   ///< of the one that serves split
  std::uint32_t cloud_chunk_rows = 512;  ///< of the verifier
  std::string dtype = "f32";        ///< of weights
  bool whole = true;                ///< the cloud also answers alone: strategy `cloud`
  std::uint32_t kv_mb = 64;
};

/// A running deployment and the gateways of its devices.
class hat_deployment {
public:
  /// @throws failed, bad_manifest
  hat_deployment(const hat_setup& setup, const std::function<void(const std::string&)>& say);

  /// Every link adds this from now on.
  void shape(const link_quality& link) const;

  /// Round trip of the links as their heartbeats measure it: the shaper's delay and what carrying it costs.
  double link_rtt_ms() const;

  const std::vector<std::uint16_t>& ports() const { return ports_; }

private:
  manifest manifest_;
  launched running_;
  std::vector<std::uint16_t> ports_;
};

} // namespace virga::deploy
