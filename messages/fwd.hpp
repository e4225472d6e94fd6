// messages/fwd.hpp: forward declarations of the vocabulary and of the codec.
#pragma once

#include <cstdint>

namespace virga {

enum class dtype : std::uint8_t;
enum class ec : std::uint8_t;
enum class finish_reason : std::uint8_t;
enum class priority : std::uint8_t;
enum class role : std::uint8_t;
enum class rows_wanted : std::uint8_t;
enum class strategy : std::uint8_t;

struct cancel;
struct close_session;
struct complete;
struct credit;
struct failure;
struct frame;
struct generate;
struct header;
struct hello;
struct open_session;
struct opened;
struct outcome;
struct ping;
struct place;
struct pong;
struct received;
struct role_status;
struct sampling;
struct session_id;
struct slice;
struct status;
struct tensor;
struct tokens;
struct verified;
struct kv_slice;
struct sketch;
struct padding;
struct verify;
struct work_times;

class assembler;
class frame_decoder;
class frame_reader;

} // namespace virga
