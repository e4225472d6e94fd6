// deploy/progress_line.hpp: shows on standard error how far long work is. Silent for what takes less than a second.
#pragma once

#include "models/progress.hpp"

namespace virga::deploy {

/// On a terminal one line that is written over, five times a second; else a line every five seconds. With each piece of
/// work a last line says bytes, time and rate. @returns a callback with its own state; copies share it
models::load_progress progress_line();

} // namespace virga::deploy
