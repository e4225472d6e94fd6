#include "deploy/sampling_options.hpp"

#include "deploy/failures.hpp"
#include "models/sampler.hpp"

#include <CLI/CLI.hpp>

#include <charconv>

namespace virga::deploy {

namespace {

token_bias parse_bias(const std::string& text) {
  token_bias b;
  auto equals = std::min(text.find('='), text.size());
  auto end = text.data() + text.size();
  auto id = std::from_chars(text.data(), text.data() + equals, b.id);
  auto value = std::from_chars(std::min(text.data() + equals + 1, end), end, b.bias);
  if (id.ec != std::errc{} || id.ptr != text.data() + equals || value.ec != std::errc{} || value.ptr != end)
    throw bad_input("--logit-bias: `" + text + "` is not ID=VALUE, such as 42=-5");
  return b;
}

} // namespace

sampling sampling_options::checked(std::uint32_t vocab) const {
  auto s = choose;
  for (auto& text : bias)
    s.logit_bias.push_back(parse_bias(text));
  if (auto wrong = models::complaint(s, vocab); !wrong.empty())
    throw bad_input(wrong);
  return s;
}

void add_sampling_options(CLI::App& command, sampling_options& o) {
  auto& s = o.choose;
  command.add_option("--temperature", s.temperature, "0 (default): always the likeliest token");
  command.add_option("--seed", s.seed, "Of the draws with a temperature; the same seed gives the same text (0)");
  command.add_option("--top-k", s.top_k, "Draw from the K likeliest tokens only; 0: from all");
  command.add_option("--top-p", s.top_p, "Draw from the fewest likeliest tokens that have this probability together; 1: from all");
  command.add_option("--min-p", s.min_p, "Draw from tokens with this share of the likeliest one's probability; 0: from all");
  command.add_option("--repetition-penalty", s.repetition_penalty, "Above 1: tokens of prompt and answer become less likely (1)");
  command.add_option("--presence-penalty", s.presence_penalty, "Taken once from logits of tokens in the answer (0)");
  command.add_option("--frequency-penalty", s.frequency_penalty, "Taken as often as the token stands in the answer (0)");
  command.add_option("--logit-bias", o.bias, "ID=VALUE, added to that token's logit; may be given several times")
    ->allow_extra_args(false);
  command.add_option("--stop", o.stop, "A text that ends the answer and is not part of it; may be given several times")
    ->allow_extra_args(false);
}

} // namespace virga::deploy
