#include "models/hf/sha256.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace virga::models::hf {

sha256::sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("OpenSSL refuses SHA-256; is it in a mode without it?");
}

void sha256::add(std::span<const std::byte> bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

std::string sha256::hex() {
  std::array<unsigned char, 32> sum{};
  EVP_DigestFinal_ex(context_.get(), sum.data(), nullptr);
  std::string out;
  for (auto byte : sum)
    out += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  return out;
}

} // namespace virga::models::hf
