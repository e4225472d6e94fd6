// actors/link/hosted.hpp: an actor that runs on one execution unit alone, whoever sends to it.
#pragma once

#include <caf/actor_config.hpp>
#include <caf/execution_unit.hpp>
#include <caf/mailbox_element.hpp>

#include <utility>

namespace virga {

/// Base with a host: a network's thread (asio_transport.hpp), which then handles every message to it. Without a host it
/// runs like any other actor. The host must outlive it.
template <class Base>
class hosted : public Base {
public:
  hosted(caf::actor_config& config, caf::execution_unit* host) : Base(config), host_{host} {}

  using Base::enqueue;
  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* from) override {
    Base::enqueue(std::move(what), host_ ? host_ : from);
  }

private:
  caf::execution_unit* host_;
};

} // namespace virga
