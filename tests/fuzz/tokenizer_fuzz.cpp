// libFuzzer over tokenizer.json, and over texts and ids for it: the input is the file, a NUL, and a text. What the
// tokenizer makes of the text it can decode, in one piece as in many, and a text that is no UTF-8 is refused.
#include "models/hf/tok/utf8.hpp"
#include "models/shard.hpp"
#include "models/tokenizer.hpp"

#include <cstdlib>
#include <cstring>
#include <string_view>

using namespace virga;
using namespace virga::models;

static void check_stream(const tokenizer& tok, const std::vector<token_id>& ids) {
  auto stream = tok.stream(false);
  std::string text;
  for (auto id : ids) {
    auto piece = stream->push(id);
    if (hf::tok::first_broken_byte(piece) != std::string::npos)
      std::abort();
    text += piece;
  }
  if (text + stream->finish() != tok.decode(ids, false))
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view all(reinterpret_cast<const char*>(data), size);
  auto border = std::min(all.find('\0'), all.size());
  auto text = all.substr(std::min(border + 1, all.size()));
  try {
    auto tok = parse_tokenizer(all.substr(0, border), "tokenizer.json");
    check_stream(*tok, tok->encode(text, {true, false}));
    check_stream(*tok, tok->encode(text, {false, true, {{text.size() / 3, text.size() / 2}}}));
    std::vector<token_id> ids;
    for (unsigned char c : text)
      if (tok->has(c))
        ids.push_back(c);
    check_stream(*tok, ids);
    if (hf::tok::first_broken_byte(text) != std::string_view::npos)
      std::abort();  // encode must have refused it
  } catch (const bad_model&) {
  } catch (const bad_segment&) {
  }
  return 0;
}
