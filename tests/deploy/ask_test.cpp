#include "deploy/ask.hpp"
#include "deploy/failures.hpp"
#include "tests/support/catch.hpp"

using namespace virga::deploy;

namespace {

std::vector<std::string> events_of(const std::string& stream, std::size_t piece) {
  std::vector<std::string> found;
  event_reader reader([&](std::string_view data) { found.emplace_back(data); });
  for (std::size_t at = 0; at < stream.size(); at += piece)
    reader.push(std::string_view(stream).substr(at, piece));
  return found;
}

} // namespace

TEST_CASE("events come out whole however the stream is cut", "[deploy][ask]") {
  auto piece = GENERATE(1, 2, 7, 1000);
  auto found = events_of("data: {\"a\": 1}\n\n: keep-alive\n\ndata: two\r\n\r\ndata: [DONE]\n\n", static_cast<std::size_t>(piece));
  CHECK(found == std::vector<std::string>{"{\"a\": 1}", "two", "[DONE]"});
}

TEST_CASE("a line without end is refused", "[deploy][ask]") {
  event_reader reader([](std::string_view) {});
  CHECK_THROWS_AS(reader.push(std::string(2 * 1024 * 1024, 'x')), failed);
}

TEST_CASE("nobody at the port is a sentence with the address", "[deploy][ask]") {
  question q;
  q.port = 1;  // nobody listens there
  CHECK_THROWS_WITH(ask(q), Catch::Contains("http://127.0.0.1:1/v1/chat/completions: connecting failed"));
}
