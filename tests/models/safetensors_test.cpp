#include "models/hf/convert.hpp"
#include "models/hf/safetensors.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

#include <cmath>
#include <random>

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;

namespace {

std::string u64_bytes(std::uint64_t n) {
  std::string out;
  for (int i = 0; i < 8; ++i)
    out += static_cast<char>(n >> (8 * i));
  return out;
}

std::string file_of(const std::string& header, const std::string& data) {
  return u64_bytes(header.size()) + header + data;
}

std::string entry(const std::string& name, const std::string& type, const std::string& shape, const std::string& at) {
  return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + at + "}";
}

/// What is said about a file with these bytes.
std::string complaint_about(const std::string& bytes) {
  scratch dir;
  auto file = dir / "model.safetensors";
  write_file(file, bytes);
  auto said = complaint([&] { hf::safetensors_file{file}; });
  if (!said.empty()) {
    CHECK_THAT(said, Contains(file.string()));
    CHECK_THAT(said, !Contains("\n"));
  }
  return said;
}

std::string two_floats(const std::string& header) { return file_of(header, std::string(8, '\0')); }

} // namespace

TEST_CASE("a file that was written reads back the same", "[models][safetensors]") {
  scratch dir;
  std::vector<float> a{1.5f, -2.f, 3.f, 4.f, 5.f, 6.f};
  std::vector<double> b{0.1};
  std::vector<hf::tensor_view> tensors{{"a \"quoted\" name", dtype::f32, {2, 3}, std::as_bytes(std::span(a))},
                                       {"scalar", dtype::f64, {}, std::as_bytes(std::span(b))},
                                       {"empty", dtype::f16, {0, 7}, {}}};
  hf::write_safetensors(dir / "x.safetensors", tensors);
  hf::safetensors_file file(dir / "x.safetensors");
  REQUIRE(file.tensors().size() == 3);
  for (auto& t : tensors) {
    auto& back = file.tensors().at(t.name);
    CHECK(back.name == t.name);
    CHECK(back.type == t.type);
    CHECK(back.shape == t.shape);
    CHECK(std::equal(back.data.begin(), back.data.end(), t.data.begin(), t.data.end()));
  }
  CHECK(hf::to_reals<double>(file.tensors().at("scalar")) == b);
  CHECK(hf::to_reals<float>(file.tensors().at("a \"quoted\" name")) == a);
  auto bytes = read_file(dir / "x.safetensors");
  CHECK((bytes.size() - 6 * 4 - 8) % 8 == 0);
  CHECK_FALSE(fs::exists(dir / "x.safetensors.part"));
}

TEST_CASE("a tensor that does not fit its shape is not written", "[models][safetensors]") {
  scratch dir;
  std::vector<float> a(3);
  std::vector<hf::tensor_view> wrong{{"a", dtype::f32, {2}, std::as_bytes(std::span(a))}};
  CHECK_THROWS_AS(hf::write_safetensors(dir / "x", wrong), std::runtime_error);
  std::vector<hf::tensor_view> twice(2, {"a", dtype::f32, {3}, std::as_bytes(std::span(a))});
  CHECK_THROWS_AS(hf::write_safetensors(dir / "x", twice), std::runtime_error);
  CHECK_FALSE(fs::exists(dir / "x"));
}

TEST_CASE("half-width numbers are widened exactly", "[models][safetensors]") {
  auto one = [](dtype type, std::uint16_t bits) {
    return hf::to_reals<double>({"", type, {1}, std::as_bytes(std::span(&bits, 1))}).at(0);
  };
  CHECK(one(dtype::f16, 0x3c00) == 1);
  CHECK(one(dtype::f16, 0xc500) == -5);
  CHECK(one(dtype::f16, 0x0001) == 0x1p-24);
  CHECK(one(dtype::f16, 0x03ff) == 1023 * 0x1p-24);
  CHECK(one(dtype::f16, 0x7bff) == 65504);
  CHECK(one(dtype::f16, 0x7c00) == INFINITY);
  CHECK(std::isnan(one(dtype::f16, 0x7e00)));
  CHECK(one(dtype::bf16, 0x3f80) == 1);
  CHECK(one(dtype::bf16, 0xc0a0) == -5);
  CHECK(one(dtype::bf16, 0x0001) == 0x1p-133);
}

TEST_CASE("a damaged header length is refused", "[models][safetensors]") {
  CHECK_THAT(complaint_about(""), Contains("0 bytes"));
  CHECK_THAT(complaint_about("1234567"), Contains("7 bytes"));
  CHECK_THAT(complaint_about(u64_bytes(0)), Contains("claims 0 bytes"));
  CHECK_THAT(complaint_about(u64_bytes(1) + "{"), Contains("claims 1 bytes"));
  CHECK_THAT(complaint_about(u64_bytes(3) + "{}"), Contains("claims 3 bytes, but the file has 2"));
  CHECK_THAT(complaint_about(u64_bytes(1ull << 63) + "{}"), Contains("9223372036854775808"));
  CHECK_THAT(complaint_about(u64_bytes(UINT64_MAX) + "{}"), Contains("18446744073709551615"));
  CHECK_THAT(complaint_about(u64_bytes(UINT64_MAX - 7) + "{}"), Contains("claims"));
}

TEST_CASE("a header that is no plain JSON object is refused", "[models][safetensors]") {
  CHECK_THAT(complaint_about(file_of("{\"a\":", "")), Contains("not valid JSON"));
  CHECK_THAT(complaint_about(file_of("{} x", "")), Contains("not valid JSON"));
  CHECK_THAT(complaint_about(file_of("{\"\xff\":1}", "")), Contains("not valid JSON"));
  CHECK_THAT(complaint_about(file_of(std::string(100000, '['), "")), Contains("not valid JSON"));
  CHECK_THAT(complaint_about(file_of("[1,2]", "")), Contains("must be a JSON object"));
  CHECK_THAT(complaint_about(file_of("{\"a\":3}", "")), Contains("\"a\"") && Contains("must be a JSON object"));
  CHECK_THAT(complaint_about(file_of("{\"a\":{}}", "")), Contains("\"dtype\" is missing"));
  CHECK(complaint_about(file_of("{}", "")).empty());
  CHECK(complaint_about(file_of("{}      ", "")).empty());
  CHECK(complaint_about(file_of("{\"__metadata__\":{\"format\":\"pt\"}}", "")).empty());
}

TEST_CASE("two equal keys are refused, in the header and in a tensor", "[models][safetensors]") {
  auto a = entry("a", "F32", "[1]", "[0,4]"), b = entry("a", "F32", "[1]", "[4,8]");
  CHECK_THAT(complaint_about(two_floats("{" + a + "," + b + "}")), Contains("\"a\" stands twice"));
  CHECK_THAT(complaint_about(two_floats("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F64\",\"shape\":[1],"
                                        "\"data_offsets\":[0,8]}}")),
             Contains("\"dtype\" stands twice"));
}

TEST_CASE("offsets that overlap, leave a hole or leave the file are refused", "[models][safetensors]") {
  auto pair = [](const std::string& first, const std::string& second) {
    return two_floats("{" + entry("a", "F32", "[1]", first) + "," + entry("b", "F32", "[1]", second) + "}");
  };
  CHECK(complaint_about(pair("[0,4]", "[4,8]")).empty());
  CHECK(complaint_about(pair("[4,8]", "[0,4]")).empty());
  CHECK_THAT(complaint_about(pair("[0,4]", "[0,4]")), Contains("begins at byte 0"));
  CHECK_THAT(complaint_about(pair("[0,4]", "[2,6]")), Contains("begins at byte 2"));
  CHECK_THAT(complaint_about(pair("[0,4]", "[8,12]")), Contains("8 data bytes"));
  CHECK_THAT(complaint_about(pair("[8,4]", "[4,8]")), Contains("data_offsets"));
  CHECK_THAT(complaint_about(pair("[0,4,8]", "[4,8]")), Contains("data_offsets"));
  CHECK_THAT(complaint_about(pair("[-4,0]", "[4,8]")), Contains("data_offsets"));
  CHECK_THAT(complaint_about(pair("[0,4]", "[18446744073709551612,18446744073709551616]")), Contains("data_offsets"));
  CHECK_THAT(complaint_about(pair("[0,4]", "[4.0,8]")), Contains("data_offsets"));
  auto one = entry("a", "F32", "[1]", "[4,8]");
  CHECK_THAT(complaint_about(two_floats("{" + one + "}")), Contains("begins at byte 4"));
  one = entry("a", "F32", "[1]", "[0,4]");
  CHECK_THAT(complaint_about(two_floats("{" + one + "}")), Contains("the file has 8"));
}

TEST_CASE("shapes and dtypes that do not give the bytes are refused", "[models][safetensors]") {
  auto with = [](const std::string& type, const std::string& shape) {
    return complaint_about(two_floats("{" + entry("a", type, shape, "[0,8]") + "}"));
  };
  CHECK(with("F32", "[2]").empty());
  CHECK(with("BF16", "[2,2]").empty());
  CHECK(with("F64", "[]").empty());
  CHECK_THAT(with("F32", "[3]"), Contains("asks for 12 bytes"));
  CHECK_THAT(with("F64", "[2]"), Contains("asks for 16 bytes"));
  CHECK_THAT(with("F32", "[4294967296,4294967296]"), Contains("more than 2^64"));
  CHECK_THAT(with("F32", "[4611686018427387905,2]"), Contains("more than 2^64"));
  CHECK_THAT(with("F32", "[-2]"), Contains("shape"));
  CHECK_THAT(with("F32", "[1e300]"), Contains("shape"));
  CHECK_THAT(with("F32", "2"), Contains("shape"));
  CHECK_THAT(with("I64", "[1]"), Contains("I64") && Contains("F64, F32, BF16 and F16"));
  CHECK_THAT(complaint_about(two_floats("{\"a\":{\"dtype\":3,\"shape\":[2],\"data_offsets\":[0,8]}}")),
             Contains("must be a string"));
}

TEST_CASE("control characters of a damaged name stay out of the message", "[models][safetensors]") {
  auto said = complaint_about(two_floats("{" + entry("x\\u0007\\ny", "F8", "[2]", "[0,8]") + "}"));
  CHECK_THAT(said, Contains("x\\x07\\x0ay"));
}

TEST_CASE("what is no file is refused", "[models][safetensors]") {
  scratch dir;
  CHECK_THAT(complaint([&] { hf::safetensors_file{dir / "missing"}; }), Contains("cannot be opened"));
  CHECK_THAT(complaint([&] { hf::safetensors_file{dir / "."}; }), Contains("no") || Contains("not a regular file"));
}

TEST_CASE("symbolic links are followed, as the hub's cache needs it", "[models][safetensors]") {
  scratch dir;
  fs::create_symlink(fixture("mha-tied/model.safetensors"), dir / "model.safetensors");
  CHECK(hf::safetensors_file(dir / "model.safetensors").tensors().contains("model.embed_tokens.weight"));
}

TEST_CASE("a file cut off anywhere, or with any byte of its header changed, is read or refused", "[models][safetensors]") {
  auto good = read_file(fixture("mha-tied/model.safetensors"));
  for (std::size_t cut : {0ul, 1ul, 7ul, 8ul, 9ul, 500ul, good.size() / 2, good.size() - 1})
    CHECK_FALSE(complaint_about(good.substr(0, cut)).empty());
  CHECK_FALSE(complaint_about(good + "x").empty());
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 300; ++i) {
    auto bad = good;
    bad[random() % 3000] = static_cast<char>(random());
    refused += !complaint_about(bad).empty();
  }
  CHECK(refused > 200);
}
