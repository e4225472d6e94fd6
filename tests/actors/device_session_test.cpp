#include "actors/roles/device_session.hpp"
#include "tests/support/catch.hpp"

using namespace virga;

namespace {

complete work(std::vector<token_id> prompt, std::uint32_t max_tokens) {
  complete w;
  w.prompt = std::move(prompt);
  w.stop = {9};
  w.max_tokens = max_tokens;
  return w;
}

} // namespace

TEST_CASE("a prompt goes through in chunks and only its last row comes back", "[actors][drafter]") {
  device_session s{work({1, 2, 3, 4, 5}, 4), 2};
  auto in = s.next_input();
  CHECK(in.base == 0);
  CHECK(in.ids == std::vector<token_id>{1, 2});
  CHECK(s.on_input().want == rows_wanted::none);
  CHECK_FALSE(s.on_deep());
  in = s.next_input();
  CHECK(in.base == 2);
  CHECK(in.ids == std::vector<token_id>{3, 4});
  CHECK_FALSE(s.on_deep());
  in = s.next_input();
  CHECK(in.ids == std::vector<token_id>{5});
  CHECK(s.on_input().base == 4);
  CHECK(s.on_input().want == rows_wanted::last);
  CHECK(s.on_deep() == 4);
}

TEST_CASE("each token is fed at the position after the last one", "[actors][drafter]") {
  device_session s{work({1, 2, 3}, 4), 512};
  s.next_input();
  CHECK(s.on_deep() == 2);
  auto p = s.on_choice(7);
  CHECK(p.position == 0);
  CHECK(p.finish == finish_reason::none);
  auto in = s.next_input();
  CHECK(in.base == 3);
  CHECK(in.ids == std::vector<token_id>{7});
  CHECK(s.on_input().want == rows_wanted::last);
  CHECK(s.on_deep() == 3);
  CHECK(s.on_choice(8).position == 1);
  CHECK(s.emitted() == 2);
  CHECK(s.prompt_tokens() == 3);
}

TEST_CASE("a stop token ends the answer and is not part of it", "[actors][drafter]") {
  device_session s{work({1}, 4), 512};
  s.next_input();
  s.on_deep();
  auto p = s.on_choice(9);
  CHECK_FALSE(p.position);
  CHECK(p.finish == finish_reason::stop);
  CHECK(s.emitted() == 0);
}

TEST_CASE("the answer ends at its length, with the last token emitted", "[actors][drafter]") {
  device_session s{work({1}, 1), 512};
  s.next_input();
  s.on_deep();
  auto p = s.on_choice(5);
  CHECK(p.position == 0);
  CHECK(p.finish == finish_reason::length);
}
