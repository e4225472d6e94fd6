// tests/sim/history.hpp: what the clients of a simulated deployment saw, and the one checker that judges it. It knows the
// promises made to clients and nothing of how they are kept, so it finds bugs that no test names.
#pragma once

#include "actors/calls.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace virga::testing {

/// How far a request was when something happened.
/// Recovering: a fault has struck it and no token has come since.
enum class phase { waiting, answering, recovering, ended };

struct request_record {
  std::uint64_t number = 0;
  strategy how = strategy::cloud;
  std::string entry;  ///< node where the client asked
  std::vector<token_id> prompt;
  std::uint32_t max_tokens = 0;
  time_point asked{}, deadline{};
  bool cancelled = false;          ///< the client said so
  bool struck = false;             ///< by a fault, since its last token
  bool entry_died = false;         ///< the node it asked was killed: the client saw its connection break
  time_point heard{};              ///< of it last
  std::chrono::nanoseconds silence{};  ///< the longest
  std::vector<tokens> pieces;      ///< as they came
  std::vector<time_point> ends;    ///< when a last answer came
  ec error = ec::none;
  std::string error_text;
  finish_reason finish = finish_reason::none;
  std::uint32_t attempts = 0;

  phase current() const;
  std::vector<token_id> ids() const;
  void on_answer(const answer& a, time_point now);
};

/// One fault and whom it hit.
struct fault_record {
  std::string kind;
  time_point at{};
  std::vector<std::pair<std::uint64_t, phase>> struck;  ///< requests in flight on that link or node
};

struct history {
  std::map<std::uint64_t, request_record> requests;
  std::vector<fault_record> faults;

  bool struck() const;

  /// Every promise broken, one sentence each:
  /// - each request ends exactly once, before its deadline + 1 s, and nothing follows its end;
  /// - no client waits for more than 7 s without hearing a token or an end: 2.5 s until a silent link counts as lost, 1.5 s of
///   patience, and once more for what was lost again meanwhile;
/// - tokens come in order, each once;
  /// - a request that completed has the text of the fault-free run; any other has a prefix of it;
  /// - a request that ended otherwise says why with a code that the faults explain.
  /// @param expected the fault-free answer of a request, without the stop token
  std::vector<std::string> check(const std::function<std::vector<token_id>(const request_record&)>& expected) const;

  /// All of it as text: two runs of one seed must give the same.
  std::string transcript() const;
};

} // namespace virga::testing
