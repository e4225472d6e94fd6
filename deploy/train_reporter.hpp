// deploy/train_reporter.hpp: the progress of a training run: a bar that redraws itself on a terminal, a line now and
// then in a log.
#pragma once

#include "models/train/run.hpp"

#include <functional>

namespace virga::deploy {

/// For run_options::report.
std::function<void(const models::train::progress&)> train_reporter();

/// Says so when matrix products are too slow here to train in reasonable time.
void warn_of_slow_products(models::train::product_type products);

} // namespace virga::deploy
