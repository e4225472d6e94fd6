#include "deploy/demo_page.hpp"
#include "deploy/demo_report.hpp"
#include "tests/support/catch.hpp"

#include <boost/json.hpp>

using namespace virga::deploy;

namespace {

asked answered(std::size_t question, const std::string& text, bool exact, double tbt_ms) {
  asked a;
  a.question = question;
  a.exact = exact;
  a.answer.text = text;
  a.answer.tokens = 11;
  a.answer.client_ttft_ms = 30;
  a.answer.client_tbt_ms = tbt_ms;
  a.answer.client_total_ms = 30 + 10 * tbt_ms;
  a.answer.compute_ms = 24;  // 12 steps of 2 ms
  a.answer.bytes_up = 1100;
  a.answer.bytes_down = 550;
  return a;
}

/// 100 questions: the cloud right on all, the edge on every second, split and hat as the cloud; 20 ms apart and 2 ms of compute.
std::vector<demo_answers> good() {
  std::vector<demo_answers> all{{"cloud", {}}, {"edge", {}}, {"split", {}}, {"hat", {}}};
  for (std::size_t i = 0; i < 100; ++i) {
    auto text = "answer " + std::to_string(i);
    all[0].all.push_back(answered(i, text, true, 1));
    all[1].all.push_back(answered(i, i % 2 ? text : "wrong", i % 2, 1));
    all[2].all.push_back(answered(i, text, true, 22));
    all[3].all.push_back(answered(i, text, true, 6));
    all[3].all.back().answer.round_trips = 4;
  }
  return all;
}

std::string broken(const demo_report& r) {
  std::string all;
  for (const auto& p : r.promises)
    if (!p.holds)
      all += p.text + "\n";
  return all;
}

} // namespace

TEST_CASE("no text of a report ends the page that holds it", "[deploy]") {
  auto page = virga::deploy::demo_page(R"({"text": "</script><b>"})");
  CHECK(page.find("</script><b>") == std::string::npos);
  CHECK(page.find(R"({"text": "\u003c/script>\u003cb>"})") != std::string::npos);
}

TEST_CASE("a demonstration that went well keeps every promise", "[deploy][demo]") {
  auto r = make_report(good(), 20);
  CHECK(broken(r) == "");
  CHECK(r.strategies.at(3).tokens_per_round_trip == Approx(11.0 / 4));
  CHECK(r.strategies.at(1).identical == 50);
  const auto& split = r.strategies.at(2);
  CHECK(split.tokens == 1100);
  CHECK(split.tbt_ms == Approx(22));
  CHECK(split.compute_ms_per_token == Approx(2));
  CHECK(split.bytes_up_per_token == Approx(100));
  CHECK(split.bytes_down_per_token == Approx(50));
  CHECK(split.tokens_per_s == Approx(11 / 0.25));
}

TEST_CASE("one text of split that differs breaks the promise", "[deploy][demo]") {
  auto answers = good();
  answers[2].all[7].answer.text += " .";
  auto r = make_report(answers, 20);
  CHECK(broken(r) == "split gives the text of cloud: 99 of 100\n");
  CHECK(boost::json::parse(report_json(r, answers, std::vector<virga::models::world::question>(100)))
          .at("identical_split_cloud") == false);
}

TEST_CASE("hat that differs, or asks the cloud for every token, breaks its promises", "[deploy][demo]") {
  auto answers = good();
  answers[3].all[7].answer.text += " .";
  for (auto& a : answers[3].all)
    a.answer.round_trips = 11;
  CHECK(broken(make_report(answers, 20)) == "hat gives the text of cloud: 99 of 100\na round trip of hat gives 1.00 tokens >= 2\n");
}

TEST_CASE("two failures are not two identical texts", "[deploy][demo]") {
  auto answers = good();
  for (auto i : {0, 2}) {
    answers[i].all[7].answer = {};
    answers[i].all[7].exact = false;
    answers[i].all[7].error = "gone";
  }
  auto said = broken(make_report(answers, 20));
  CHECK(said.find("every question is answered: 2 failed") != std::string::npos);
  CHECK(said.find("99 of 100") != std::string::npos);
}

TEST_CASE("a second round trip for each token breaks the promise", "[deploy][demo]") {
  CHECK(broken(make_report(good(), 17)).find("a token of split costs one round trip") == 0);
}

TEST_CASE("an edge as good as the cloud, or a cloud that is wrong, is said", "[deploy][demo]") {
  auto answers = good();
  answers[1].all = answers[0].all;
  CHECK(broken(make_report(answers, 20)).find("edge alone is clearly less often right") == 0);
  answers = good();
  for (std::size_t i = 0; i < 6; ++i)
    answers[0].all[i].exact = false;
  CHECK(broken(make_report(answers, 20)).find("cloud is right: exact 0.940 >= 0.95") == 0);
}

TEST_CASE("the report has the SHA-256 of each text", "[deploy][demo]") {
  auto answers = good();
  answers[0].all[0].answer.text = "abc";
  auto report = boost::json::parse(report_json(make_report(answers, 20), answers, std::vector<virga::models::world::question>(100)));
  CHECK(report.at("texts").as_array().size() == 400);
  CHECK(report.at("texts").at(0).at("sha256") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
