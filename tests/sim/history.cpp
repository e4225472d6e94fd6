#include "tests/sim/history.hpp"

#include <algorithm>
#include <sstream>

namespace virga::testing {

namespace {

constexpr auto grace = std::chrono::seconds(1);
constexpr auto longest_silence = std::chrono::seconds(7);

std::int64_t ms(time_point t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

/// What one request's client may complain about.
std::vector<std::string> complaints(const request_record& r, const std::vector<token_id>& want) {
  std::vector<std::string> out;
  auto say = [&](const std::string& what) {
    out.push_back("request " + std::to_string(r.number) + " (" + std::string{to_string(r.how)} + " at " + r.entry
                  + "): " + what);
  };
  if (r.ends.empty() && !r.entry_died)
    say("never ended");
  if (r.ends.size() > 1)
    say("ended " + std::to_string(r.ends.size()) + " times");
  if (!r.ends.empty() && r.ends[0] > r.deadline + grace)
    say("ended " + std::to_string(ms(r.ends[0]) - ms(r.deadline)) + " ms after its deadline");
  if (r.silence > longest_silence)
    say("heard nothing for " + std::to_string(r.silence / std::chrono::milliseconds(1)) + " ms");
  std::uint64_t next = 0;
  for (auto& p : r.pieces) {
    if (p.position != next)
      say("token " + std::to_string(p.position) + " came where " + std::to_string(next) + " was due");
    next = p.position + p.ids.size();
  }
  auto got = r.ids();
  bool prefix = got.size() <= want.size() && std::equal(got.begin(), got.end(), want.begin());
  bool complete = !r.ends.empty() && r.error == ec::none;
  if (!prefix)
    say("its text is not that of the fault-free run");
  else if (complete && got.size() != want.size())
    say("it completed with " + std::to_string(got.size()) + " of " + std::to_string(want.size()) + " tokens");
  if (complete && r.finish == finish_reason::none)
    say("it completed without a finish reason");
  if (!complete && !r.ends.empty() && r.error_text.empty())
    say("it failed without a sentence");
  if (r.error == ec::cancelled && !r.cancelled)
    say("it was cancelled by nobody");
  if (r.error == ec::internal || r.error == ec::bad_frame || r.error == ec::bad_tensor || r.error == ec::model_error)
    say("it failed with " + std::string{to_string(r.error)} + ": " + r.error_text);
  return out;
}

} // namespace

phase request_record::current() const {
  if (!ends.empty() || entry_died)
    return phase::ended;
  if (struck)
    return phase::recovering;
  return pieces.empty() ? phase::waiting : phase::answering;
}

std::vector<token_id> request_record::ids() const {
  std::vector<token_id> out;
  for (auto& p : pieces)
    out.insert(out.end(), p.ids.begin(), p.ids.end());
  return out;
}

void request_record::on_answer(const answer& a, time_point now) {
  if (ends.empty())
    silence = std::max<std::chrono::nanoseconds>(silence, now - std::max(heard, asked));
  heard = now;
  if (auto* piece = std::get_if<tokens>(&a.body)) {
    struck = false;
    if (!piece->ids.empty())
      pieces.push_back(*piece);
  } else if (auto* end = std::get_if<outcome>(&a.body)) {
    error = end->error;
    error_text = end->error_text;
    finish = end->finish;
    attempts = end->attempts;
  } else if (auto* why = std::get_if<failure>(&a.body)) {
    error = why->code;
    error_text = why->text;
  }
  if (a.last)
    ends.push_back(now);
}

bool history::struck() const {
  return std::any_of(faults.begin(), faults.end(), [](const fault_record& f) { return !f.struck.empty(); });
}

std::vector<std::string>
history::check(const std::function<std::vector<token_id>(const request_record&)>& expected) const {
  std::vector<std::string> out;
  for (auto& [number, r] : requests) {
    auto some = complaints(r, expected(r));
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

std::string history::transcript() const {
  std::ostringstream out;
  for (auto& [number, r] : requests) {
    out << "request " << number << ' ' << to_string(r.how) << " at " << r.entry << " asked " << r.asked.time_since_epoch().count()
        << " end";
    for (auto t : r.ends)
      out << ' ' << t.time_since_epoch().count();
    out << ' ' << to_string(r.error) << " attempts " << r.attempts << " tokens";
    for (auto& p : r.pieces)
      for (auto id : p.ids)
        out << ' ' << p.position << ':' << id;
    out << '\n';
  }
  for (auto& f : faults)
    out << "fault " << f.kind << " at " << f.at.time_since_epoch().count() << " struck " << f.struck.size() << '\n';
  return out.str();
}

} // namespace virga::testing
