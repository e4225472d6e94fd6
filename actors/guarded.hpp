// actors/guarded.hpp: the one place where exceptions of models/ become errors. An exception that leaves a handler ends
// its actor, so every call into models/ goes through here.
#pragma once

#include "messages/type_ids.hpp"
#include "models/shard.hpp"

#include <caf/expected.hpp>

#include <new>
#include <type_traits>
#include <utility>

namespace virga {

/// What the exception being handled means to an asker. Call it inside a catch block only.
inline caf::error current_error() {
  try {
    throw;
  } catch (const models::stale_position& e) {
    return make_error(ec::stale_position, e.what(), e.length);
  } catch (const models::out_of_pages& e) {
    return make_error(ec::out_of_pages, e.what(), e.bytes_free);
  } catch (const models::bad_segment& e) {
    return make_error(ec::bad_tensor, e.what());
  } catch (const std::bad_alloc&) {
    return make_error(ec::out_of_pages, "this machine has no memory left");
  } catch (const std::exception& e) {
    return make_error(ec::model_error, e.what());
  } catch (...) {
    return make_error(ec::model_error, "the model threw something that is no exception");
  }
}

/// f(), or the error that its exception means.
template <class F>
caf::expected<std::invoke_result_t<F>> guarded(F&& f) {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      std::forward<F>(f)();
      return caf::unit;
    } else {
      return std::forward<F>(f)();
    }
  } catch (...) {
    return current_error();
  }
}

} // namespace virga
