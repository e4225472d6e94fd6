#include "deploy/certificates_of.hpp"
#include "deploy/commands.hpp"
#include "deploy/manifest.hpp"

#include <CLI/CLI.hpp>

#include <iostream>

namespace virga::deploy {
namespace {

void certs(const std::string& file, const std::string& out) {
  // The manifest may name this very folder, which does not exist yet: the folders are not checked here.
  auto m = load_manifest(file);
  const auto sites = make_certificates(m, out);
  std::cout << "certificates of " << m.nodes.size() << " nodes are in " << out << "\n"
            << "Copy to each machine: ca.pem, and NODE.pem and NODE.key of its own nodes; name the folder in the manifest:\n"
            << "  security: {certs: DIR}\n";
  for (const auto& s : sites)
    std::cout << "Nodes of site " << s << " also need, in DIR/sites/" << s << ": ca.pem, and their own NODE.pem and NODE.key.\n";
  std::cout << "Keep each ca.key here: whoever has it can make a node.\n";
}

} // namespace

void add_certs_command(CLI::App& app) {
  auto* command = app.add_subcommand("certs", "Make the certificates of a manifest's nodes; what is there and valid is kept");
  struct options {
    std::string manifest, out;
  };
  auto o = std::make_shared<options>();
  command->add_option("manifest", o->manifest, "The manifest")->required();
  command->add_option("--out", o->out, "Folder for ca.pem and each node's certificate and key")->required();
  command->callback([o] { certs(o->manifest, o->out); });
}

} // namespace virga::deploy
