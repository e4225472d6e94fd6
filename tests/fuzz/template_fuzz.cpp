// libFuzzer over chat templates: the input is the template, a NUL, and a message. It ends, in UTF-8, with the message's
// bytes where it says that they are; or it is refused.
#include "models/chat_template.hpp"
#include "models/hf/tok/utf8.hpp"
#include "models/shard.hpp"

#include <cstdlib>

using namespace virga;
using namespace virga::models;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view all(reinterpret_cast<const char*>(data), size);
  auto border = std::min(all.find('\0'), all.size());
  std::string message(all.substr(std::min(border + 1, all.size())));
  try {
    auto chat = parse_chat_template(all.substr(0, border), R"({"bos_token": "<s>", "eos_token": "</s>"})", "template");
    auto r = chat->render(std::vector<chat_message>{{"system", "be brief"}, {"user", message}, {"assistant", "yes"}, {"user", "a<b"}});
    std::size_t done = 0;
    for (auto [begin, end] : r.user_text) {
      if (begin < done || begin >= end || end > r.text.size())
        std::abort();
      done = end;
    }
    if (hf::tok::first_broken_byte(r.text) != std::string::npos)
      std::abort();
  } catch (const bad_model&) {
  } catch (const bad_chat&) {
  }
  return 0;
}
