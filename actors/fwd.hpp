// actors/fwd.hpp: forward declarations of actors/.
#pragma once

namespace virga {

struct answer;
struct traffic;
struct engine_step;
struct engine_run;
struct stepped;
struct run_done;
struct node_config;
struct link_config;
struct gateway_config;

template <class T>
struct call;

} // namespace virga
