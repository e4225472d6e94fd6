#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

#include <set>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;

namespace {

std::set<std::string> names(const hf::model_folder& f) {
  std::set<std::string> out;
  for (auto& [name, t] : f.weights())
    out.insert(name);
  return out;
}

std::set<std::string> of_layer(const hf::model_folder& f, std::uint32_t layer) {
  std::set<std::string> out;
  for (auto& name : names(f))
    if (name.starts_with("model.layers." + std::to_string(layer) + "."))
      out.insert(name);
  return out;
}

std::string bytes_of(const hf::tensor_view& t) { return {reinterpret_cast<const char*>(t.data.data()), t.data.size()}; }

/// The cut folder, checked: exactly these tensors, their bytes, the file no larger than they need, nothing else inside.
hf::model_folder cut(const hf::model_folder& whole, const std::string& stages, const fs::path& out,
                     const std::set<std::string>& expected) {
  hf::cut_folder(whole, hf::parse_stages(stages, whole.config().num_hidden_layers), out);
  hf::model_folder part(out);
  INFO(stages);
  CHECK(names(part) == expected);
  std::uint64_t data = 0;
  for (auto& [name, t] : part.weights()) {
    CHECK(bytes_of(t) == bytes_of(whole.weight(name)));
    data += t.data.size();
  }
  auto file = read_file(out / "model.safetensors");
  auto header = 8 + static_cast<unsigned char>(file[0]) + 256u * static_cast<unsigned char>(file[1]);
  CHECK(file.size() == data + header);
  for (auto& [name, t] : whole.weights())
    if (!expected.contains(name)) {
      CHECK(file.find(name) == std::string::npos);
      CHECK(file.find(bytes_of(t).substr(0, 32)) == std::string::npos);
      CHECK(file.find(bytes_of(t).substr(t.data.size() - 32)) == std::string::npos);
    }
  CHECK(part.digest() == whole.digest());
  CHECK(part.hashes() == whole.hashes());
  return part;
}

template <class... Sets>
std::set<std::string> joined(std::set<std::string> first, const Sets&... rest) {
  (first.insert(rest.begin(), rest.end()), ...);
  return first;
}

} // namespace

TEST_CASE("the edge's part has no middle layers, the cloud's no embedding and no head", "[models][cut]") {
  hf::model_folder whole(fixture("gqa-untied"));
  scratch dir;
  const std::set<std::string> ends{"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"};
  auto edge = cut(whole, "embedding,0-0,3-3,head", dir / "edge", joined(ends, of_layer(whole, 0), of_layer(whole, 3)));
  auto cloud = cut(whole, "1-2", dir / "cloud", joined(of_layer(whole, 1), of_layer(whole, 2)));
  CHECK(describe(edge.stages()) == "embedding, layers 0-0, layers 3-3, head");
  CHECK(describe(cloud.stages()) == "layers 1-2");
  CHECK(fs::file_size(dir / "edge/model.safetensors") + fs::file_size(dir / "cloud/model.safetensors")
        < fs::file_size(whole.dir() / "model.safetensors") + 2000);
}

TEST_CASE("a tied head carries the embedding's matrix", "[models][cut]") {
  hf::model_folder whole(fixture("mha-tied"));
  scratch dir;
  cut(whole, "head", dir / "head", {"model.embed_tokens.weight", "model.norm.weight"});
  cut(whole, "embedding", dir / "embedding", {"model.embed_tokens.weight"});
  cut(whole, "embedding,head", dir / "both", {"model.embed_tokens.weight", "model.norm.weight"});
}

TEST_CASE("every single cut and its rest run the same tokens", "[models][cut]") {
  auto name = GENERATE("gqa-untied", "mha-tied");
  hf::model_folder whole(fixture(name));
  auto one = make_reference_shard(whole, {dtype::f32, 1u << 20, {}});
  auto expected = run(*one, feed(*one, one->open(), 0, 2, 0, {1, 7, 9, 11})).logits.data;
  auto layers = whole.config().num_hidden_layers;
  for (std::uint32_t at = 1; at < layers; ++at) {
    scratch dir;
    auto first = "embedding,0-" + std::to_string(at - 1), second = std::to_string(at) + "-" + std::to_string(layers - 1);
    hf::cut_folder(whole, hf::parse_stages(first, layers), dir / "a");
    hf::cut_folder(whole, hf::parse_stages(second + ",head", layers), dir / "b");
    auto a = make_reference_shard(hf::model_folder(dir / "a"), {dtype::f32, 1u << 20, {}});
    auto b = make_reference_shard(hf::model_folder(dir / "b"), {dtype::f32, 1u << 20, {}});
    auto rows = run(*a, feed(*a, a->open(), 0, 1, 0, {1, 7, 9, 11})).rows;
    CHECK(run(*b, feed(*b, b->open(), 0, 1, 0, {}, rows)).logits.data == expected);
    CHECK(a->info().model_digest == one->info().model_digest);
  }
}

TEST_CASE("tokenizer files go only where text is", "[models][cut]") {
  scratch dir;
  fs::copy(fixture("gqa-untied"), dir / "whole");
  fs::copy_file(fixture("tokenizer/tokenizer.json"), dir / "whole/tokenizer.json");
  write_file(dir / "whole/chat_template.jinja", "x");
  hf::model_folder whole(dir / "whole");
  auto files = [&](const std::string& stages, const std::string& name) {
    hf::cut_folder(whole, hf::parse_stages(stages, 4), dir / name);
    std::set<std::string> out;
    for (auto& e : fs::directory_iterator(dir / name))
      out.insert(e.path().filename());
    return out;
  };
  const std::set<std::string> always{"config.json", "generation_config.json", "model.safetensors", "virga.json"};
  CHECK(files("1-2", "middle") == always);
  CHECK(files("embedding,0-0", "front") == joined(always, std::set<std::string>{"tokenizer.json", "chat_template.jinja"}));
  CHECK(files("3-3,head", "back") == joined(always, std::set<std::string>{"tokenizer.json", "chat_template.jinja"}));
}

TEST_CASE("virga.json says what was cut from what", "[models][cut]") {
  hf::model_folder whole(fixture("gqa-untied"));
  scratch dir;
  hf::cut_folder(whole, hf::parse_stages("1-2", 4), dir / "part");
  auto j = boost::json::parse(read_file(dir / "part/virga.json")).as_object();
  CHECK(j.at("model_digest").as_string() == whole.digest());
  CHECK(j.at("stages").as_string() == "layers 1-2");
  CHECK(j.at("num_hidden_layers").to_number<int>() == 4);
  CHECK(j.at("tensors").as_object().size() == whole.weights().size());
}

TEST_CASE("a part can be cut again, but not beyond what it holds", "[models][cut]") {
  hf::model_folder whole(fixture("gqa-untied"));
  scratch dir;
  hf::cut_folder(whole, hf::parse_stages("1-3,head", 4), dir / "part");
  hf::model_folder part(dir / "part");
  cut(part, "2-2", dir / "smaller", of_layer(whole, 2));
  CHECK_THAT(complaint([&] { hf::cut_folder(part, hf::parse_stages("0-1", 4), dir / "x"); }), Contains("layers 1-3, head"));
  CHECK_THAT(complaint([&] { hf::cut_folder(part, hf::parse_stages("embedding", 4), dir / "x"); }), Contains("embedding"));
  CHECK_FALSE(fs::exists(dir / "x"));
}

TEST_CASE("nothing is overwritten and nothing half written stays", "[models][cut]") {
  hf::model_folder whole(fixture("mha-tied"));
  scratch dir;
  fs::create_directory(dir / "there");
  CHECK_THAT(complaint([&] { hf::cut_folder(whole, whole.stages(), dir / "there"); }), Contains("exists already"));
  CHECK(fs::is_empty(dir / "there"));
  CHECK_THAT(complaint([&] { hf::cut_folder(whole, whole.stages(), dir / "no/such/place"); }), Contains("does not exist"));
  hf::cut_folder(whole, whole.stages(), dir / "new/");
  CHECK(hf::model_folder(dir / "new").digest() == whole.digest());
  std::size_t entries = 0;
  for ([[maybe_unused]] auto& e : fs::directory_iterator(dir / "."))
    ++entries;
  CHECK(entries == 2);
}

TEST_CASE("a part whose bytes do not belong to the model is refused", "[models][cut]") {
  hf::model_folder whole(fixture("gqa-untied"));
  scratch dir;
  hf::cut_folder(whole, hf::parse_stages("1-2", 4), dir / "part");
  auto refused_after = [&](const std::string& file, auto change) {
    auto good = read_file(dir / ("part/" + file));
    auto bad = good;
    change(bad);
    write_file(dir / ("part/" + file), bad);
    auto said = complaint([&] { hf::model_folder{dir / "part"}; });
    write_file(dir / ("part/" + file), good);
    return said;
  };
  auto swap = [](std::string from, std::string to) {
    return [=](std::string& s) { s.replace(s.find(from), from.size(), to); };
  };
  CHECK_THAT(refused_after("model.safetensors", [](std::string& s) { s.back() ^= 1; }), Contains("has the hash"));
  CHECK_THAT(refused_after("config.json", swap("500000.0", "500001.0")), Contains("model_digest"));
  CHECK_THAT(refused_after("virga.json", swap(whole.digest(), std::string(64, '0'))), Contains("model_digest"));
  CHECK_THAT(refused_after("virga.json", swap("lm_head.weight", "lm_head.weighs")), Contains("model_digest"));
  CHECK_THAT(refused_after("virga.json", swap("layers 1-2", "layers 1-1")), Contains("no place"));
  CHECK_THAT(refused_after("virga.json", swap("layers 1-2", "layers 1-3")), Contains("missing"));
  CHECK_THAT(refused_after("virga.json", swap("layers 1-2", "layers 2-9")), Contains("0-3"));
  CHECK_THAT(refused_after("virga.json", swap("\"format\":1", "\"format\":2")), Contains("format"));
  CHECK_THAT(refused_after("virga.json", swap("{", "[")), Contains("not valid JSON"));
  CHECK(refused_after("virga.json", [](std::string&) {}).empty());
}

TEST_CASE("stages are read as people write them", "[models][cut]") {
  auto said = [](const std::string& text) { return complaint([&] { hf::parse_stages(text, 4); }); };
  CHECK(describe(hf::parse_stages("embedding,0-1,head", 4)) == "embedding, layers 0-1, head");
  CHECK(describe(hf::parse_stages(" embedding , layers 0-1, 3", 4)) == "embedding, layers 0-1, layers 3-3");
  CHECK(hf::parse_stages("0-3", 4) == std::vector<stage>{{stage_kind::layers, 0, 4}});
  CHECK_THAT(said(""), Contains("is no stage"));
  CHECK_THAT(said("embedding,,head"), Contains("is no stage"));
  CHECK_THAT(said("embeding"), Contains("\"embeding\" is no stage"));
  CHECK_THAT(said("0-4"), Contains("0-3"));
  CHECK_THAT(said("2-1"), Contains("no layers 2-1"));
  CHECK_THAT(said("0-1,1-2"), Contains("ascending"));
  CHECK_THAT(said("head,0-1"), Contains("last"));
  CHECK_THAT(said("0-1,embedding"), Contains("first"));
  CHECK_THAT(said("head,head"), Contains("once"));
  CHECK_THAT(said("-1"), Contains("is no stage"));
  CHECK_THAT(said("0-1-2"), Contains("is no stage"));
  CHECK_THAT(said("0-99999999999"), Contains("is no stage"));
  CHECK_THAT(said("0-4294967295"), Contains("is no stage"));
}
