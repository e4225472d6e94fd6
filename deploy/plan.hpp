// deploy/plan.hpp: from a manifest and the model folders it names to what each node runs. Nothing is started here.
#pragma once

#include "deploy/manifest.hpp"
#include "deploy/model_parts.hpp"
#include "deploy/run_dir.hpp"

namespace virga::deploy {

/// Loads the model folders of the nodes of `machine` (empty: of all) and checks what only they can tell: stages, sizes,
/// digests, and that the drafter's and the verifier's parts complete each other.
/// @param parts keeps what it loads
void check_folders(const manifest& m, const std::string& machine, problems& found, model_parts& parts);

/// load_manifest and check_folders. @throws bad_manifest, bad_input
manifest load_checked(const std::filesystem::path& file, const std::string& machine = "");

/// Cuts the parts that this node's engines get (`stages:`) into its run directory; those already there are kept.
void cut_parts(const manifest& m, const node_entry& node, const run_dir& dir, model_parts& parts);

/// The configuration of one node; its parts have been cut.
/// Its engines share the folders of `parts` as long as they run; one that was cut for them they load when they start.
/// @throws bad_manifest, bad_input when there is no node `name` or its key file cannot be read
node_config make_node_config(const manifest& m, const std::string& name, const run_dir& dir, model_parts& parts);

} // namespace virga::deploy
