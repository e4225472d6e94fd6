// models/hf/sha256.hpp: SHA-256, as values move on. Private to models/hf.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct evp_md_ctx_st;

namespace virga::models::hf {

class sha256 {
public:
  sha256();  ///< @throws std::runtime_error when OpenSSL has none
  void add(std::span<const std::byte> bytes);
  void add(const std::string& text) { add(std::as_bytes(std::span(text))); }
  /// 64 hexadecimal digits; nothing can be added any more.
  std::string hex();

private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

} // namespace virga::models::hf
