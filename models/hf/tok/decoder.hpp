// models/hf/tok/decoder.hpp: the decoder of tokenizer.json, run token by token. Private to models/hf.
#pragma once

#include "models/hf/json.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace virga::models::hf::tok {

using pieces = std::vector<std::string>;

/// One step of a decoder over one text. It gives a piece as soon as nothing that follows can change it.
class decode_step {
public:
  virtual ~decode_step() = default;
  virtual void push(std::string piece, pieces& out) = 0;
  virtual void finish(pieces&) {}
};

/// Makes the steps of a new text.
using decoder = std::vector<std::function<std::unique_ptr<decode_step>()>>;

/// ByteLevel, Metaspace, Replace, ByteFallback, Fuse, Strip and Sequence; null joins tokens with spaces.
/// @throws bad_model for another kind, by name
decoder read_decoder(const json::value* v, const std::string& where);

class running_decoder {
public:
  explicit running_decoder(const decoder& d);
  std::string push(const std::string& token) { return run({token}, 0); }
  std::string finish();

private:
  std::string run(pieces p, std::size_t from);
  std::vector<std::unique_ptr<decode_step>> steps_;
};

} // namespace virga::models::hf::tok
