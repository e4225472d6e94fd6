#include "models/memory.hpp"
#include "tests/models/support.hpp"
#include "tests/support/catch.hpp"

using namespace virga;
using namespace virga::models;
using namespace virga::models::test;
using Catch::Matchers::Contains;

namespace {

constexpr std::uint64_t mib = 1u << 20;

/// A machine's /proc and /sys.
struct machine {
  scratch root;
  void write(const std::string& file, const std::string& text) {
    fs::create_directories((root / file).parent_path());
    write_file(root / file, text);
  }
  std::uint64_t free() { return free_memory(root / "."); }
};

} // namespace

TEST_CASE("free memory is what the kernel calls available", "[models][memory]") {
  machine m;
  CHECK(m.free() == UINT64_MAX);
  m.write("proc/meminfo", "MemTotal:       2048 kB\nMemFree:         100 kB\nMemAvailable:    1024 kB\n");
  CHECK(m.free() == mib);
}

TEST_CASE("a control group and those above it bound it further", "[models][memory]") {
  machine m;
  m.write("proc/meminfo", "MemAvailable:    1024000 kB\n");
  m.write("proc/self/cgroup", "0::/a/b\n");
  m.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  m.write("sys/fs/cgroup/a/b/memory.current", "5\n");
  CHECK(m.free() == 1024000u * 1024);
  m.write("sys/fs/cgroup/a/memory.max", std::to_string(100 * mib));
  m.write("sys/fs/cgroup/a/memory.current", std::to_string(60 * mib));
  CHECK(m.free() == 40 * mib);
  m.write("sys/fs/cgroup/a/memory.stat", "anon 5\ninactive_file " + std::to_string(20 * mib) + "\n");
  CHECK(m.free() == 60 * mib);
  m.write("sys/fs/cgroup/a/b/memory.max", std::to_string(4));
  CHECK(m.free() == 0);
}

TEST_CASE("control groups of the first version count as well", "[models][memory]") {
  machine m;
  m.write("proc/meminfo", "MemAvailable:    1024000 kB\n");
  m.write("proc/self/cgroup", "12:cpu,cpuacct:/x\n9:memory:/docker/x\n");
  m.write("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", std::to_string(64 * mib));
  m.write("sys/fs/cgroup/memory/docker/x/memory.usage_in_bytes", std::to_string(10 * mib));
  CHECK(m.free() == 54 * mib);
}

TEST_CASE("a model that does not fit is refused with the arithmetic", "[models][memory]") {
  hf::model_folder folder(fixture("gqa-untied"));
  shard_options o;
  o.kv_bytes = 3 * mib;
  auto need = need_of(folder, o, 100);
  std::uint64_t numbers = 0;
  for (auto& [name, tensor] : folder.weights())
    numbers += tensor.data.size() / size_of(tensor.type);
  CHECK(need.numbers == numbers);
  CHECK(need.weights == numbers * 4);
  CHECK(need.kv == 3 * mib);
  CHECK(need.total() == need.weights + need.kv + need.step);
  CHECK(need_of(folder, o, 200).step == 2 * need.step);
  CHECK_NOTHROW(check_memory(folder, o, 100, need.total()));
  CHECK_THROWS_WITH(check_memory(folder, o, 100, need.total() - 1),
                    Contains("gqa-untied") && Contains("numbers x 4 bytes (f32)") && Contains("3.0 MiB of KV") && Contains("are free")
                      && Contains("dtype bf16"));
  o.compute = dtype::bf16;
  CHECK(need_of(folder, o, 100).weights == numbers * 2);
  CHECK_THROWS_WITH(check_memory(folder, o, 100, 5), Contains("5 bytes are free") && Contains("take dtype int8 or int4"));
  o.compute = dtype::int8;
  CHECK(need_of(folder, o, 100).weights == (numbers * 34 + 31) / 32);
  o.compute = dtype::int4;
  CHECK(need_of(folder, o, 100).weights == (numbers * 18 + 31) / 32);
  CHECK_THROWS_WITH(check_memory(folder, o, 100, 5), Contains("numbers x 0.5625 bytes (int4)") && !Contains("take dtype"));
  o.stages = {{stage_kind::layers, 0, 1}};
  CHECK(need_of(folder, o, 100).numbers < numbers);
}

TEST_CASE("bytes are written as people read them", "[models][memory]") {
  CHECK(bytes_text(0) == "0 bytes");
  CHECK(bytes_text(1023) == "1023 bytes");
  CHECK(bytes_text(1536) == "1.5 KiB");
  CHECK(bytes_text(5ull << 30) == "5.0 GiB");
  CHECK(bytes_text(UINT64_MAX) == "16384.0 PiB");
}
