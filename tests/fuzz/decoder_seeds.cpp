// Inputs that decoder_fuzz begins with, a line of hexadecimal digits each: one of each kind of message, and one in slices of
// which the large ones are messages of two segments.
#include "tests/messages/samples.hpp"

#include <cstdio>

using namespace virga;
using namespace virga::test;

namespace {

void print(const std::vector<byte_buffer>& units) {
  for (auto& u : units) {
    const auto words = (u.size() - wire_prefix_bytes) / 8;
    std::printf("%02zx%02zx", words & 255, words >> 8);
    for (auto b : std::span{u}.subspan(wire_prefix_bytes))
      std::printf("%02x", std::to_integer<unsigned>(b));
  }
  std::printf("\n");
}

} // namespace

int main() {
  rng r{1};
  auto frames = one_of_each(r);
  frames.push_back(any_frame(r, verify{0, rows_wanted::all, any_tensor(r, dtype::f32, 6, 1024)}));
  for (auto& f : frames)
    if (auto units = encode(f, clock_start, 9000); units && units->front().size() < 30'000)
      print(*units);
  return 0;
}
