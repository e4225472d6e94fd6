// Folders of `virga quantize`: the same bits as packing while loading, and everything that can be wrong with one.
#include "models/hf/quantize.hpp"
#include "models/memory.hpp"
#include "tests/models/random_adapter.hpp"
#include "tests/models/random_folder.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

#include <csignal>
#include <cstring>
#include <set>

#include <sys/resource.h>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;

namespace {

shard_options in(dtype t, bool libtorch_only = false) {
  shard_options o;
  o.compute = t;
  o.kv_bytes = 1u << 22;
  o.libtorch_only = libtorch_only;
  return o;
}

byte_buffer logits(shard& s) {
  auto one = feed(s, s.open(), 0, static_cast<std::uint32_t>(s.info().stages.size() - 1), 0, {3, 7, 1, 30, 2});
  return run(s, one).logits.data;
}

byte_buffer logits_of(const fs::path& dir, const shard_options& o) {
  return logits(*make_torch_shard(hf::model_folder(dir), o));
}

/// A quantised fixture, to be damaged.
struct quantised {
  scratch root;
  fs::path dir;
  explicit quantised(dtype t = dtype::int4, const std::string& name = "gqa-untied") : dir(root / "model") {
    hf::quantize_folder(hf::model_folder(fixture(name)), t, dir);
  }
  std::string complaint() const {
    auto said = test::complaint([&] { hf::model_folder(dir).wait_for_check(); });
    CHECK_THAT(said, Contains(dir.string()) && !Contains("\n"));
    return said;
  }
  std::string after(const std::string& file, const std::string& from, const std::string& to) const {
    auto good = read_file(dir / file);
    edit_file(dir / file, from, to);
    auto said = complaint();
    write_file(dir / file, good);
    return said;
  }
};

/// The header of the weights made longer by so many spaces: everything behind it moves.
void move_data(const fs::path& dir, std::size_t by) {
  auto bytes = read_file(dir / "model.safetensors");
  std::uint64_t length;
  std::memcpy(&length, bytes.data(), 8);
  bytes.insert(8 + length, by, ' ');
  length += by;
  std::memcpy(bytes.data(), &length, 8);
  write_file(dir / "model.safetensors", bytes);
}

std::size_t entries(const fs::path& dir) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(dir), fs::directory_iterator()));
}

} // namespace

TEST_CASE("a quantised folder gives the logits of packing while loading, bit for bit", "[models][quantize]") {
  auto type = GENERATE(dtype::f32, dtype::bf16, dtype::int8, dtype::int4);
  CAPTURE(to_string(type));
  std::set<std::string> families;
  bool tied = false, untied = false, qkv_bias = false, mlp_bias = false;
  for (std::uint64_t seed = 501; seed <= 516; ++seed) {
    CAPTURE(seed);
    random_folder made(seed);
    const hf::model_folder source(made.dir());
    scratch out;
    hf::quantize_folder(source, type, out / "q");
    const hf::model_folder folder(out / "q");
    for (bool libtorch_only : {false, true})
      REQUIRE(logits_of(made.dir(), in(type, libtorch_only)) == logits_of(out / "q", in(type, libtorch_only)));
    CHECK(folder.digest() == source.digest());
    CHECK(folder.hashes() == source.hashes());
    auto& c = folder.config();
    families.insert(c.model_type);
    (c.tie_word_embeddings ? tied : untied) = true;
    qkv_bias = qkv_bias || c.qkv_bias;
    mlp_bias = mlp_bias || c.mlp_bias;
  }
  CHECK(families.size() == 4);
  CHECK((tied && untied && qkv_bias && mlp_bias));
}

TEST_CASE("weights that are stored in other dtypes are quantised alike", "[models][quantize]") {
  auto name = GENERATE("mha-tied", "families/qwen2", "families/qwen3", "families/mistral");
  auto type = GENERATE(dtype::bf16, dtype::int4);
  quantised q(type, name);
  CHECK(logits_of(fixture(name), in(type)) == logits_of(q.dir, in(type)));
}

TEST_CASE("matrices stand on cache lines, in the order of a token, and are mapped", "[models][quantize]") {
  auto type = GENERATE(dtype::f32, dtype::bf16, dtype::int8, dtype::int4);
  quantised q(type);
  const hf::model_folder folder(q.dir);
  const std::byte* last = nullptr;
  for (auto name : {"model.embed_tokens.weight", "model.layers.0.self_attn.qkv_proj.weight",
                    "model.layers.0.self_attn.o_proj.weight", "model.layers.0.mlp.gate_up_proj.weight",
                    "model.layers.0.mlp.down_proj.weight", "model.layers.3.mlp.down_proj.weight", "lm_head.weight"}) {
    auto& t = folder.weight(name);
    CHECK((t.packed && t.type == type));
    CHECK(reinterpret_cast<std::uintptr_t>(t.data.data()) % 64 == 0);
    CHECK(last < t.data.data());
    last = t.data.data();
  }
  CHECK(folder.weight("model.layers.0.self_attn.qkv_proj.weight").shape == std::vector<std::uint64_t>{100, 48});
  CHECK(folder.weight("model.norm.weight").type == dtype::f32);
}

TEST_CASE("a file whose data is not aligned is copied", "[models][quantize]") {
  auto by = GENERATE(std::size_t{1}, std::size_t{4}, std::size_t{32});
  quantised q;
  auto expected = logits_of(q.dir, in(dtype::int4));
  move_data(q.dir, by);
  CHECK(logits_of(q.dir, in(dtype::int4)) == expected);
}

TEST_CASE("what is cut from a quantised folder is what is quantised of a cut", "[models][quantize]") {
  auto stages = GENERATE(as<std::string>{}, "embedding,0-0,head", "1-2", "3,head", "embedding,0-3,head");
  scratch dir;
  hf::model_folder whole(fixture("gqa-untied"));
  auto keep = hf::parse_stages(stages, 4);
  hf::quantize_folder(whole, dtype::int8, dir / "q");
  hf::cut_folder(hf::model_folder(dir / "q"), keep, dir / "q-cut");
  hf::cut_folder(whole, keep, dir / "cut");
  hf::quantize_folder(hf::model_folder(dir / "cut"), dtype::int8, dir / "cut-q");
  for (auto file : {"model.safetensors", "virga.json", "config.json"})
    CHECK(read_file(dir / (std::string("q-cut/") + file)) == read_file(dir / (std::string("cut-q/") + file)));
  hf::model_folder part(dir / "q-cut");
  CHECK(part.digest() == whole.digest());
  CHECK(make_torch_shard(part, in(dtype::int8))->info().stages == keep);
}

TEST_CASE("an adapter drafts beside quantised layers", "[models][quantize]") {
  scratch dir;
  hf::model_folder whole(fixture("gqa-untied"));
  hf::cut_folder(whole, hf::parse_stages("embedding,0-1,head", 4), dir / "cut");
  hf::quantize_folder(hf::model_folder(dir / "cut"), dtype::int8, dir / "q");
  const random_adapter made(whole, 2, 5);
  auto o = in(dtype::int8);
  o.adapter = made.load();
  CHECK(logits_of(dir / "q", o) == logits_of(dir / "cut", o));
}

TEST_CASE("a quantised folder runs in its dtype, and in no other way", "[models][quantize]") {
  quantised q(dtype::int8);
  const hf::model_folder folder(q.dir);
  CHECK(folder.packed() == dtype::int8);
  for (auto other : {dtype::f64, dtype::f32, dtype::int4}) {
    auto refusal = q.dir.string() + ": is quantised to int8, so it cannot run in " + std::string(to_string(other));
    CHECK_THAT(complaint([&] { make_torch_shard(folder, in(other)); }), Contains(refusal));
    CHECK_THAT(complaint([&] { check_memory(folder, in(other), 8); }), Contains(refusal));
  }
  CHECK_THAT(complaint([&] { make_reference_shard(folder, in(dtype::f32)); }),
             Contains("the reference shard needs the model's own numbers"));
  CHECK_THAT(complaint([&] { hf::quantize_folder(folder, dtype::int4, q.root / "again"); }),
             Contains("is quantised to int8"));
}

TEST_CASE("a damaged quantised file is refused", "[models][quantize]") {
  quantised q;
  auto good = read_file(q.dir / "model.safetensors");
  for (auto cut : {std::size_t{0}, std::size_t{7}, std::size_t{100}, good.size() / 2, good.size() - 1}) {
    write_file(q.dir / "model.safetensors", good.substr(0, cut));
    CHECK_THAT(q.complaint(), Contains("model.safetensors"));
  }
  for (auto at : {good.size() / 2, good.size() - 1}) {
    auto bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write_file(q.dir / "model.safetensors", bad);
    CHECK_THAT(q.complaint(), Contains("has the hash") && Contains("quantise the model again"));
  }
  write_file(q.dir / "model.safetensors", read_file(quantised(dtype::int8).dir / "model.safetensors"));
  CHECK_THAT(q.complaint(), Contains("bytes; [") && Contains("in int4 has"));
  fs::remove(q.dir / "model.safetensors");
  fs::copy(fixture("gqa-untied") / "model.safetensors", q.dir / "model.safetensors");
  CHECK_THAT(q.complaint(), Contains("is not in U8") || Contains("is missing"));
}

TEST_CASE("a shard of a damaged file answers nothing", "[models][quantize]") {
  quantised q;
  auto bytes = read_file(q.dir / "model.safetensors");
  bytes[bytes.size() / 2] ^= 1;
  write_file(q.dir / "model.safetensors", bytes);
  auto s = make_torch_shard(hf::model_folder(q.dir), in(dtype::int4));
  for (int i = 0; i < 2; ++i)
    CHECK_THAT(complaint([&] { logits(*s); }), Contains("has the hash") && Contains("quantise the model again"));
  CHECK_THAT(complaint([&] { hf::cut_folder(hf::model_folder(q.dir), hf::parse_stages("1-2", 4), q.root / "x"); }),
             Contains("has the hash"));
}

TEST_CASE("a folder that nobody waits for is let go", "[models][quantize]") {
  quantised q;
  bool told = false;
  for (int i = 0; i < 20; ++i)
    hf::model_folder{q.dir};
  const hf::model_folder folder(q.dir, [&](auto, auto done, auto total) { told = told || done == total; });
  folder.wait_for_check();
  CHECK(told);
  CHECK_THROWS_WITH(
      hf::model_folder(q.dir, [](auto, auto, auto) { throw std::runtime_error("enough"); }).wait_for_check(), "enough");
}

TEST_CASE("a config that quantised weights do not belong to is refused", "[models][quantize]") {
  quantised q;
  CHECK_THAT(q.after("config.json", "\"layout\":1", "\"layout\":2"),
             Contains("layout is 2") && Contains("reads layout 1"));
  CHECK_THAT(q.after("config.json", "\"dtype\":\"int4\"", "\"dtype\":\"int3\""),
             Contains("dtype is \"int3\"") && Contains("int8 or int4"));
  CHECK_THAT(q.after("config.json", "\"dtype\":\"int4\"", "\"dtype\":\"int8\""), Contains("in int8 has"));
  CHECK_THAT(q.after("config.json", "virga-panels", "awq"), Contains("quantization_config") && Contains("awq"));
  CHECK_THAT(q.after("config.json", "quantization_config", "quantisation_config"), Contains("U8"));
  CHECK_THAT(q.after("virga.json", "\"shape\":[101,48]", "\"shape\":[102,48]"),
             Contains("[102, 48]") && Contains("[101, 48]"));
  CHECK_THAT(q.after("virga.json", "\"stored\"", "\"stared\""), Contains("\"stored\" is missing"));
  CHECK_THAT(q.after("virga.json", "\"stored\":{\"lm_head.weight\"", "\"stored\":{\"lm_head.weighs\""),
             Contains("lm_head.weight\" is missing"));
  CHECK_THAT(q.after("virga.json", "\"stages\":\"embedding, ", "\"stages\":\""),
             Contains("has no place in layers 0-3, head"));
  fs::remove(q.dir / "virga.json");
  CHECK_THAT(q.complaint(), Contains("virga.json: cannot be read"));
}

TEST_CASE("bytes that are no numbers are not read from other folders", "[models][quantize]") {
  scratch dir;
  fs::copy(fixture("gqa-untied"), dir / "model");
  auto bytes = read_file(dir / "model/model.safetensors");
  edit_file(dir / "model/model.safetensors", "\"F32\"", "\"U8\" ");
  CHECK_THAT(complaint([&] { hf::model_folder{dir / "model"}; }),
             Contains("\"U8\"") && Contains("only F64, F32, BF16 and F16"));
}

TEST_CASE("everything else of the folder is copied", "[models][quantize]") {
  scratch dir;
  fs::copy(fixture("gqa-untied"), dir / "whole");
  fs::copy_file(fixture("tokenizer/tokenizer.json"), dir / "whole/tokenizer.json");
  write_file(dir / "whole/LICENSE", "x");
  write_file(dir / "whole/pytorch_model.bin", "x");
  fs::create_directory(dir / "whole/original");
  auto bytes = hf::quantize_folder(hf::model_folder(dir / "whole"), dtype::int4, dir / "q/");
  std::set<std::string> names;
  for (auto& e : fs::directory_iterator(dir / "q"))
    names.insert(e.path().filename());
  CHECK(names
        == std::set<std::string>{"LICENSE", "config.json", "generation_config.json", "model.safetensors",
                                 "tokenizer.json", "virga.json"});
  CHECK(bytes < fs::file_size(dir / "q/model.safetensors"));
  auto config = boost::json::parse(read_file(dir / "q/config.json")).as_object();
  CHECK(config.at("quantization_config")
        == boost::json::value{{"quant_method", "virga-panels"}, {"dtype", "int4"}, {"layout", 1}});
  config.erase("quantization_config");
  CHECK(config == boost::json::parse(read_file(dir / "whole/config.json")).as_object());
}

TEST_CASE("nothing is overwritten, and nothing stays of what was interrupted", "[models][quantize]") {
  scratch dir;
  hf::model_folder whole(fixture("gqa-untied"));
  fs::create_directory(dir / "there");
  write_file(dir / "there/mine", "x");
  CHECK_THAT(complaint([&] { hf::quantize_folder(whole, dtype::int8, dir / "there"); }), Contains("exists already"));
  auto interrupt = [](std::string_view, std::uint64_t done, std::uint64_t total) {
    if (done > total / 2)
      throw std::runtime_error("enough");
  };
  CHECK_THROWS_WITH(hf::quantize_folder(whole, dtype::int8, dir / "new", interrupt), "enough");
  CHECK(entries(dir / ".") == 1);
  CHECK(entries(dir / "there") == 1);
}

TEST_CASE("a disk that takes no more is one error, and nothing stays", "[models][quantize]") {
  scratch dir;
  hf::model_folder whole(fixture("gqa-untied"));
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  auto small = before;
  small.rlim_cur = 64 << 10;
  ::setrlimit(RLIMIT_FSIZE, &small);
  std::string said;
  try {
    hf::quantize_folder(whole, dtype::f32, dir / "new");
  } catch (const std::runtime_error& e) {
    said = e.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  CHECK_THAT(said, Contains("cannot be written; is the disk full?"));
  CHECK(entries(dir / ".") == 0);
}
