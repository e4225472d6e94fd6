// messages/tensor_of.hpp: which messages carry a tensor.
#pragma once

#include "messages/types.hpp"

namespace virga {

/// The tensor of a message that has one, else null. Only such messages travel in slices.
inline const tensor* tensor_of(const payload& body) noexcept {
  if (auto v = std::get_if<verify>(&body))
    return &v->rows;
  if (auto v = std::get_if<verified>(&body))
    return &v->rows;
  if (auto v = std::get_if<kv_slice>(&body))
    return &v->rows;
  return nullptr;
}

inline tensor* tensor_of(payload& body) noexcept {
  return const_cast<tensor*>(tensor_of(static_cast<const payload&>(body)));
}

/// Its bytes, 0 without one: the message ends with the slice that reaches them.
inline std::size_t tensor_bytes(const payload& body) noexcept {
  auto t = tensor_of(body);
  return t != nullptr ? t->data.size() : 0;
}

} // namespace virga
