// What a manifest may not contain at all: found on the parser's events, before any tree is built.
#include "deploy/yaml_map.hpp"

#include <yaml-cpp/eventhandler.h>

#include <sstream>

namespace virga::deploy {
namespace {

struct refused {
  YAML::Mark at;
  std::string text;
};

/// Throws `refused` at the first anchor, alias or tag, or when there are too many values.
class plain_yaml : public YAML::EventHandler {
public:
  explicit plain_yaml(std::size_t max_nodes) : left_(max_nodes) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& at, YAML::anchor_t a) override { check(at, "", a); }
  void OnAlias(const YAML::Mark& at, YAML::anchor_t) override { throw refused{at, no_anchors}; }
  void OnScalar(const YAML::Mark& at, const std::string& tag, YAML::anchor_t a, const std::string&) override {
    check(at, tag, a);
  }
  void OnSequenceStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t a, YAML::EmitterStyle::value) override {
    check(at, tag, a);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t a, YAML::EmitterStyle::value) override {
    check(at, tag, a);
  }
  void OnMapEnd() override {}

private:
  static constexpr const char* no_anchors = "anchors and aliases (& and *) are not allowed: write the values out";

  void check(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0)
      throw refused{at, no_anchors};
    if (!tag.empty() && tag != "?" && tag != "!")
      throw refused{at, "tags (!...) are not allowed: remove `" + tag.substr(0, 80) + "`"};
    if (left_-- == 0)
      throw refused{at, "too many values: a manifest has some dozens of lines"};
  }

  std::size_t left_;
};

mark to_mark(const YAML::Mark& m) { return {m.line + 1, m.column + 1}; }

} // namespace

std::optional<YAML::Node> parse_yaml(const std::string& text, std::size_t max_nodes, problems& found) {
  try {
    std::istringstream in(text);
    YAML::Parser parser(in);
    plain_yaml events(max_nodes);
    if (!parser.HandleNextDocument(events)) {
      found.push_back({{}, "the file is empty: begin with `virga: 1`"});
      return std::nullopt;
    }
    if (parser.HandleNextDocument(events)) {
      found.push_back({{}, "more than one document (---): a manifest is one"});
      return std::nullopt;
    }
    return YAML::Load(text);
  } catch (const refused& e) {
    found.push_back({to_mark(e.at), e.text});
  } catch (const YAML::Exception& e) {
    found.push_back({to_mark(e.mark), "this is no YAML: " + e.msg});
  }
  return std::nullopt;
}

} // namespace virga::deploy
