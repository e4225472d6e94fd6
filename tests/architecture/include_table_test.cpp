// Reads the include lines of the tree and checks who may include whom (design: deploy -> actors -> models -> messages).
#include "tests/support/catch.hpp"

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct rule {
  const char* files;      ///< paths from the root, whole
  const char* forbidden;  ///< what stands between the quotes or angle brackets, from its beginning
  const char* why;
};

const char* const torch = "torch/|ATen/|c10/";
const char* const capnp = "capnp/|kj/|schema/.*\\.capnp\\.h";

const std::vector<rule> rules{
  {"messages/types\\.hpp", "(?!messages/)[^/]*/", "the vocabulary is std only"},
  {"messages/.*\\.hpp", capnp, "Cap'n Proto stays in messages/*.cpp"},
  {"messages/(?!codec|decode|encode|errors|type_ids|assembler|frame_reader|write_body).*", "caf/", "CAF is for codec, errors and type_ids"},
  {"messages/.*", "models/|actors/|deploy/|torch/|ATen/|c10/|boost/|openssl/", "messages know nobody"},
  {"models/.*", "messages/(?!types\\.hpp|errors\\.hpp)|actors/|deploy/", "models know messages/types.hpp only"},
  {"models/.*", "caf/|capnp/|kj/", "models know neither CAF nor Cap'n Proto"},
  {"models/(?!torch/|train/).*", torch, "torch is for models/torch and models/train"},
  {"models/(torch|train)/(?!.*_impl\\.hpp).*\\.hpp", torch, "torch stays in .cpp files and their _impl headers"},
  {"actors/.*", "deploy/", "actors do not know how they are deployed"},
  {"actors/.*", torch, "tensors stay in models"},
  {"actors/.*", capnp, "the wire has one owner, messages"},
  {"actors/(?!link/|gateway/).*", "boost/asio|boost/beast|openssl/", "sockets are for link and gateway"},
  {"actors/(link|gateway)/(?!http|asio_).*\\.hpp", "boost/asio|boost/beast|openssl/", "sockets stay in .cpp files"},
  {".*\\.hpp", "caf/all\\.hpp|torch/torch\\.h|boost/beast\\.hpp|boost/asio\\.hpp", "takes seconds to parse in every file"},
};

/// Why this file may not include this; empty when it may.
std::string refused(const std::string& file, const std::string& included) {
  for (const auto& r : rules)
    if (std::regex_match(file, std::regex(r.files))
        && std::regex_search(included, std::regex("^(" + std::string(r.forbidden) + ")")))
      return r.why;
  return "";
}

bool is_source(const fs::path& p) {
  auto e = p.extension();
  return e == ".hpp" || e == ".cpp" || e == ".cu" || e == ".h";
}

std::vector<std::string> includes_of(const fs::path& file) {
  static const std::regex line_form("^\\s*#\\s*include\\s*[<\"]([^>\"]+)[>\"].*");
  std::vector<std::string> all;
  std::ifstream in(file);
  std::smatch found;
  for (std::string line; std::getline(in, line);)
    if (std::regex_match(line, found, line_form))
      all.push_back(found[1]);
  return all;
}

} // namespace

TEST_CASE("every include keeps to the table", "[architecture]") {
  const fs::path root = VIRGA_SOURCE_DIR;
  std::size_t read = 0;
  for (const char* folder : {"messages", "models", "actors", "deploy"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (!is_source(entry.path()))
        continue;
      ++read;
      auto file = entry.path().lexically_relative(root).string();
      for (const auto& included : includes_of(entry.path())) {
        INFO(file << " includes " << included);
        CHECK(refused(file, included) == "");
      }
    }
  CHECK(read > 100);
}

TEST_CASE("the table refuses what it is there for", "[architecture]") {
  struct example {
    const char *file, *included;
  };
  auto e = GENERATE(values<example>({
    {"messages/types.hpp", "caf/error.hpp"},
    {"messages/codec.hpp", "capnp/message.h"},
    {"messages/limits.hpp", "caf/error.hpp"},
    {"messages/codec.cpp", "models/shard.hpp"},
    {"models/shard.hpp", "messages/codec.hpp"},
    {"models/shard.hpp", "caf/actor.hpp"},
    {"models/kv.cpp", "ATen/ATen.h"},
    {"models/torch/torch_shard.hpp", "ATen/ATen.h"},
    {"actors/node/node.cpp", "deploy/manifest.hpp"},
    {"actors/engine/engine.cpp", "torch/torch.h"},
    {"actors/link/link.cpp", "capnp/message.h"},
    {"actors/node/node.cpp", "boost/asio/io_context.hpp"},
    {"actors/link/tls.hpp", "openssl/ssl.h"},
    {"deploy/main.hpp", "caf/all.hpp"},
  }));
  INFO(e.file << " includes " << e.included);
  CHECK(refused(e.file, e.included) != "");
}

TEST_CASE("the table lets through what it should", "[architecture]") {
  CHECK(refused("messages/types.hpp", "vector") == "");
  CHECK(refused("messages/types.hpp", "messages/errors.hpp") == "");
  CHECK(refused("messages/codec.cpp", "capnp/message.h") == "");
  CHECK(refused("models/torch/layer.cpp", "ATen/ATen.h") == "");
  CHECK(refused("actors/link/tls.cpp", "openssl/ssl.h") == "");
  CHECK(refused("deploy/main.cpp", "actors/node/node.hpp") == "");
}
