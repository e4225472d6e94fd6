// Weights in several files.
#include "models/hf/folder.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <algorithm>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;

namespace {

/// "mha-tied" with its weights in two files, every second tensor in the second one.
struct sharded {
  scratch root;
  fs::path dir = root / "model";
  std::map<std::string, std::string> map;

  sharded() {
    fs::copy(fixture("mha-tied"), dir);
    hf::model_folder whole(fixture("mha-tied"));
    std::vector<hf::tensor_view> parts[2];
    for (auto& [name, tensor] : whole.weights()) {
      auto which = map.size() % 2;
      parts[which].push_back(tensor);
      map[name] = file(which);
    }
    for (std::size_t i = 0; i < 2; ++i)
      hf::write_safetensors(dir / file(i), parts[i]);
    fs::remove(dir / "model.safetensors");
    write_index();
  }
  static std::string file(std::size_t i) { return "model-0000" + std::to_string(i + 1) + "-of-00002.safetensors"; }
  fs::path index() const { return dir / "model.safetensors.index.json"; }
  void write_index() const {
    std::string text;
    for (auto& [name, where] : map)
      text += (text.empty() ? "" : ", ") + ("\"" + name + "\": \"" + where + "\"");
    write_file(index(), "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {" + text + "}}");
  }
  std::string complaint() const {
    return test::complaint([&] { hf::model_folder{dir}; });
  }
  std::string with(const std::string& tensor, const std::string& where) {
    map[tensor] = where;
    write_index();
    return complaint();
  }
};

const std::string first = "model.embed_tokens.weight";

} // namespace

TEST_CASE("several files are the same model as one", "[models][index]") {
  sharded s;
  hf::model_folder folder(s.dir), whole(fixture("mha-tied"));
  CHECK(folder.digest() == whole.digest());
  CHECK(folder.weights().size() == whole.weights().size());
}

TEST_CASE("one file is preferred to an index beside it", "[models][index]") {
  sharded s;
  fs::copy(fixture("mha-tied") / "model.safetensors", s.dir / "model.safetensors");
  write_file(s.index(), "{");
  CHECK(s.complaint().empty());
}

TEST_CASE("links of the hub's cache are followed", "[models][index]") {
  sharded s;
  fs::create_directory(s.root / "blobs");
  for (std::size_t i = 0; i < 2; ++i) {
    fs::rename(s.dir / s.file(i), s.root / "blobs" / std::to_string(i));
    fs::create_symlink("../blobs/" + std::to_string(i), s.dir / s.file(i));
  }
  CHECK(s.complaint().empty());
  fs::remove(s.root / "blobs/1");
  CHECK_THAT(s.complaint(), Contains("model-00002-of-00002") && Contains("not in the folder"));
}

TEST_CASE("an index that leads elsewhere is refused", "[models][index]") {
  sharded s;
  for (auto where : {"../model/model-00001-of-00002.safetensors", "/etc/passwd", "a/b.safetensors", "..", "."})
    CHECK_THAT(s.with(first, where), Contains("no plain file name"));
  CHECK_THAT(s.with(first, "model-00003-of-00002.safetensors"), Contains("model-00003") && Contains("not in the folder"));
}

TEST_CASE("an index that does not fit its files is refused", "[models][index]") {
  SECTION("a tensor in the other file") {
    sharded s;
    auto other = s.map[first] == s.file(0) ? s.file(1) : s.file(0);
    CHECK_THAT(s.with(first, other), Contains(first) && Contains(other));
  }
  SECTION("a tensor that no file has") { CHECK_THAT(sharded().with("model.ghost", sharded::file(0)), Contains("model.ghost")); }
  SECTION("a tensor that the index does not name") {
    sharded s;
    s.map.erase(first);
    s.write_index();
    CHECK_THAT(s.complaint(), Contains(first) && Contains("does not name it"));
  }
  SECTION("no JSON, no map, an empty map, a name twice") {
    sharded s;
    for (auto text : {"", "[]", "{}", "{\"weight_map\": {}}", "{\"weight_map\": {\"a\": 3}}",
                      "{\"weight_map\": {\"a\": \"x\", \"a\": \"x\"}}"}) {
      write_file(s.index(), text);
      CHECK_THAT(s.complaint(), Contains("index.json"));
    }
  }
}

TEST_CASE("a file of several that is cut short is named", "[models][index]") {
  sharded s;
  fs::resize_file(s.dir / s.file(1), 100);
  CHECK_THAT(s.complaint(), Contains("model-00002-of-00002"));
}

TEST_CASE("tensors that an architecture does not use are left out, all others refused", "[models][index]") {
  scratch root;
  fs::copy(fixture("mha-tied"), root / "model");
  hf::model_folder whole(fixture("mha-tied"));
  std::vector<hf::tensor_view> tensors;
  for (auto& [name, tensor] : whole.weights())
    tensors.push_back(tensor);
  auto add = [&](const std::string& name, const std::string& like) {
    tensors.push_back(whole.weight(like));
    tensors.back().name = name;
    hf::write_safetensors(root / "model/model.safetensors", tensors);
  };
  add("lm_head.weight", first);
  add("model.layers.0.self_attn.rotary_emb.inv_freq", "model.norm.weight");
  hf::model_folder folder(root / "model");
  CHECK(folder.ignored().size() == 2);
  CHECK(folder.digest() == whole.digest());
  add("model.extra.weight", "model.norm.weight");
  CHECK_THAT(complaint([&] { hf::model_folder{root / "model"}; }), Contains("model.extra.weight") && Contains("no place"));
}

TEST_CASE("a weight that is no number is named with its place", "[models][index]") {
  auto type = GENERATE(dtype::f64, dtype::f32, dtype::bf16, dtype::f16);
  auto high = GENERATE(0x7f, 0xff);
  scratch root;
  fs::copy(fixture("mha-tied"), root / "model");
  hf::model_folder whole(fixture("mha-tied"));
  std::vector<std::byte> norm(32 * size_of(type));
  auto at = norm.data() + 5 * size_of(type) + size_of(type) - 2;
  at[0] = std::byte{0xf8}, at[1] = static_cast<std::byte>(high);
  std::vector<hf::tensor_view> tensors;
  for (auto& [name, tensor] : whole.weights())
    tensors.push_back(name == "model.norm.weight" ? hf::tensor_view{name, type, tensor.shape, norm} : tensor);
  hf::write_safetensors(root / "model/model.safetensors", tensors);
  CHECK_THAT(complaint([&] { hf::model_folder{root / "model"}; }),
             Contains("\"model.norm.weight\"") && Contains("NaN or infinity at element 5"));
}

TEST_CASE("progress counts every byte", "[models][index]") {
  std::uint64_t last = 0, total = 0;
  hf::model_folder folder(fixture("gqa-untied"), [&](std::string_view what, std::uint64_t done, std::uint64_t all) {
    CHECK(what == "checking weights");
    CHECK(done > last);
    last = done, total = all;
  });
  CHECK(last == total);
  CHECK(total > 200'000);
}
