// models/stop_strings.hpp: texts that end an answer, found across the borders of tokens. A plain class.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace virga::models {

class stop_strings {
public:
  /// Empty ones are ignored.
  explicit stop_strings(std::vector<std::string> stops);

  struct result {
    std::string text;      ///< may be shown now: neither a stop string nor the beginning of one
    bool stopped = false;  ///< a stop string was found; it and all behind it are dropped. Where several match, the one
                           ///< that begins first; push() gives nothing any more
  };

  /// The next piece of the answer.
  result push(std::string_view piece);

  /// The answer is over: what was held back.
  std::string finish();

private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

} // namespace virga::models
