#include "models/train/adapter_card.hpp"

#include <cstdio>

namespace virga::models::train {

namespace {

template <class... Args>
std::string line(const char* format, Args... args) {
  char text[800];
  std::snprintf(text, sizeof text, format, args...);
  return text;
}

unsigned long long big(std::uint64_t n) { return n; }

score_row_text row(const std::string& name, const world::rate& r) {
  return {name, r.value(), world::wilson(r), r.asked};
}

void add_drafts(const acceptance& a, std::vector<score_row_text>& rows) {
  rows.push_back({"tokens a round (accept length)", a.length, a.length_range, a.rounds});
  for (std::size_t i = 0; i < a.at_position.size(); ++i)
    rows.push_back(row("drafts kept at position " + std::to_string(i + 1), a.at_position[i]));
  rows.push_back(row("drafts kept, all", a.all));
  if (a.fact.asked == 0)
    return;
  rows.push_back(row("drafts kept, facts", a.fact));
  rows.push_back(row("drafts kept, all but facts", a.other));
  rows.push_back(row("of these, class words", a.type));
  rows.push_back(row("of these, names and pronouns", a.person));
}

std::string loss_text(const adapter_loss& l) {
  return line("%.5f: SmoothL1 %.5f, cross-entropy %.5f", l.total, l.hidden, l.tokens);
}

std::string training_table(adapter_trainer& t, const adapter_data& data, const card_facts& facts) {
  auto& r = t.how();
  auto& p = t.state();
  return "| data | " + data.description() + " |\n"
         + line("| seed of weights and batches | %llu |\n| tokens seen | %llu in %llu steps |\n", big(r.seed),
                big(p.tokens), big(p.step))
         + line("| time | %.1f minutes of wall time, of which %.1f minutes of processor time |\n", p.seconds / 60,
                p.processor_seconds / 60)
         + "| machine | " + facts.machine + " |\n"
         + line("| loss | %g x SmoothL1 of the last hidden row + %g x cross-entropy with the model's distribution |\n",
                r.weights.hidden, r.weights.tokens)
         + line("| optimiser | AdamW (0.9, 0.98), decay 0.01, clip 1, peak rate %g, warm-up %llu steps, ", r.peak_rate,
                big(r.warmup))
         + "constant to 60 %, then linear to 2 % |\n| last loss | " + loss_text(t.loss()) + " |\n| held-out loss | "
         + loss_text(t.held_out_loss()) + " |\n";
}

std::string explanation(const acceptance& a, const std::string& requests) {
  return "Drafts: " + requests
         + line("; at most %zu tokens a draft, which ends behind one of confidence under 0.6. ", a.at_position.size())
         + line("%llu requests, %llu tokens in %llu rounds, %llu tokens drafted. ", big(a.requests), big(a.emitted),
                big(a.rounds), big(a.drafted))
         + "Tokens a round count the model's correction, or its next token behind a draft that was kept whole. A draft is "
           "judged while all before it in the round were kept.\n\n";
}

} // namespace

std::vector<score_row_text> adapter_scores::rows() const {
  std::vector<score_row_text> out;
  if (agreement)
    out.push_back(row("agreement with the model, held-out examples", *agreement));
  if (drafts)
    add_drafts(*drafts, out);
  return out;
}

std::string adapter_card(adapter_trainer& t, const adapter_data& data, const adapter_scores& scores,
                         const card_facts& facts) {
  auto& base = t.base();
  auto out = "# Adapter of " + base.dir().filename().string()
             + line(" behind %u of %u layers\n\n", t.how().split, base.config().num_hidden_layers);
  out += "With the model's embedding, its layers below and its head this makes the small model that a device drafts with "
         "in HAT (`models/hf/adapter.hpp`). It only proposes: the model checks every token, so the text never depends on "
         "it. Licence: that of the repository, where the model's own allows it.\n\n";
  out += line("| | |\n|---|---|\n| parameters | %llu |\n", big(t.net().weights().size()));
  out += "| of the model | " + base.digest() + " |\n\n";
  out += "## Training\n\n    " + facts.command + "\n\n| | |\n|---|---|\n" + training_table(t, data, facts) + "\n";
  out += "## Scores\n\nAgreement: teacher-forced, the adapter's likeliest token against the model's, on the held-out "
         "examples above. 95 % intervals: Wilson for rates, normal over requests for tokens a round.\n\n";
  out += scores.drafts ? explanation(*scores.drafts, scores.drafted_on) : "";
  return out + score_table(scores.rows());
}

} // namespace virga::models::train
