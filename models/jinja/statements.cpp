#include "models/jinja/statements.hpp"

#include "models/chat_template.hpp"
#include "models/defaults.hpp"
#include "models/hf/json.hpp"
#include "models/jinja/builtins.hpp"
#include "models/jinja/expressions.hpp"

#include <algorithm>

namespace virga::models::jinja {

namespace {

/// Where a value goes: a name, some of them, or an attribute of a namespace.
using target = std::function<void(frame&, const value&)>;

struct parameter {
  std::string name;
  expression otherwise;  ///< empty: must be given
};

struct macro {
  std::string name;
  std::vector<parameter> parameters;
  statement body;
};

struct for_loop {
  target each;
  expression over, condition;  ///< condition empty: all
  statement body, otherwise;
};

value call_macro(frame& f, const macro& m, const std::shared_ptr<scope>& around, const arguments& a) {
  return f.inside(around, [&]() -> value {
    if (a.positional.size() > m.parameters.size())
      complain("the macro " + m.name + "() takes at most " + std::to_string(m.parameters.size()) + " arguments");
    for (std::size_t i = 0; i < m.parameters.size(); ++i) {
      auto& p = m.parameters[i];
      auto* given = a.find(i, p.name);
      f.set(p.name, given ? *given : p.otherwise ? p.otherwise(f) : value::variant(undefined{p.name}));
    }
    return f.captured([&] { m.body(f); });
  });
}

list filtered(frame& f, const for_loop& l, const list& all) {
  list out;
  for (auto& i : all.items)
    f.inside(f.here, [&] {
      f.charge(64);
      l.each(f, i);
      if (truth(l.condition(f)))
        out.items.push_back(i);
    });
  return out;
}

void run_loop(frame& f, const for_loop& l) {
  auto items = items_of(l.over(f));
  if (l.condition)
    items = std::make_shared<const list>(filtered(f, l, *items));
  if (items->items.empty()) {
    if (l.otherwise)
      f.inside(f.here, [&] { l.otherwise(f); });
    return;
  }
  auto state = std::make_shared<loop_state>();
  state->items = items;
  for (; state->index0 < items->items.size(); ++state->index0) {
    auto how = f.inside(f.here, [&] {
      f.charge();
      f.set("loop", value::variant(state));
      l.each(f, items->items[state->index0]);
      return l.body(f);
    });
    if (how == flow::break_)
      break;
  }
}

class template_reader {
public:
  template_reader(std::string_view source, const std::string& where) : in_(tokens_of(source, where), where) {}

  statement run() {
    auto all = body({});
    if (in_.peek().kind != token::end)
      in_.fail("the template goes on behind its end");
    return all;
  }

private:
  /// Up to one of these tags, which is left to be read; up to the end of the template when there are none.
  statement body(const std::vector<std::string_view>& until) {
    struct level {
      std::uint32_t& depth;
      ~level() { --depth; }
    } nested{depth_};
    if (++depth_ > defaults::template_depth)
      in_.fail("more than " + std::to_string(defaults::template_depth) + " blocks are open");
    std::vector<statement> all;
    for (;;) {
      auto kind = in_.peek().kind;
      if (kind == token::end) {
        if (!until.empty())
          in_.fail("`" + std::string(until.back()) + "` is missing");
        break;
      }
      if (kind == token::block_begin && is_one_of(in_.peek(1), until))
        break;
      all.push_back(one());
    }
    return [all = std::move(all)](frame& f) {
      for (auto& s : all)
        if (auto how = s(f); how != flow::on)
          return how;
      return flow::on;
    };
  }

  static bool is_one_of(const token& t, const std::vector<std::string_view>& words) {
    return std::any_of(words.begin(), words.end(), [&](auto w) { return t.kind == token::name && t.text == w; });
  }

  statement one() {
    auto t = in_.next();
    if (t.kind == token::data)
      return [data = text(t.text)](frame& f) {
        f.write(data);
        return flow::on;
      };
    if (t.kind == token::print_begin)
      return print();
    return block(t.line);
  }

  statement print() {
    auto e = in_.tuple();
    end_of(token::print_end, "}}");
    return [e](frame& f) {
      f.charge();
      f.write(str(e(f)));
      return flow::on;
    };
  }

  void end_of(token::kind_t kind, const char* sign) {
    if (in_.peek().kind != kind)
      in_.fail(in_.peek().text.empty() ? "expected `" + std::string(sign) + "`"
                                       : hf::in_quotes(in_.peek().text) + " is not expected here");
    in_.next();
  }

  void end_tag(const char* name) {
    in_.next();  // {%
    in_.need(name);
    end_of(token::block_end, "%}");
  }

  statement block(int line) {
    auto name = in_.need_name();
    if (name == "if")
      return branch();
    if (name == "for")
      return loop();
    if (name == "set")
      return assignment();
    if (name == "macro")
      return macro_definition();
    if (name == "filter")
      return filter_block();
    if (name == "generation")
      return generation();
    if (name == "break" || name == "continue")
      return jump(name == "break" ? flow::break_ : flow::continue_, line);
    in_.fail("the statement " + hf::in_quotes(name) + " cannot be run so far");
  }

  statement branch() {
    auto question = in_.conditional();
    end_of(token::block_end, "%}");
    auto yes = body({"elif", "else", "endif"});
    statement no;
    in_.next();  // {%
    if (in_.take("elif")) {
      no = nested_branch();
    } else if (in_.take("else")) {
      end_of(token::block_end, "%}");
      no = body({"endif"});
      end_tag("endif");
    } else {
      in_.need("endif");
      end_of(token::block_end, "%}");
    }
    return [question, yes, no](frame& f) {
      f.charge();
      return truth(question(f)) ? yes(f) : no ? no(f) : flow::on;
    };
  }

  statement nested_branch() {
    struct level {
      std::uint32_t& depth;
      ~level() { --depth; }
    } nested{branches_};
    if (++branches_ > defaults::template_links)
      in_.fail("an if has more than " + std::to_string(defaults::template_links) + " branches");
    return branch();
  }

  target one_target() {
    if (in_.take("(")) {
      auto inner = targets();
      in_.need(")");
      return inner;
    }
    auto name = in_.need_name();
    if (!in_.take("."))
      return [name](frame& f, const value& v) { f.set(name, v); };
    auto attribute_name = in_.need_name();
    return [name, attribute_name](frame& f, const value& v) {
      auto owner = f.lookup(name);
      if (!owner.as_namespace())
        complain(name + " is " + kind_of(owner) + "; attributes can be set on a namespace only");
      depth_inside(v);
      owner.as_namespace()->attributes.set(text(attribute_name), v);
    };
  }

  target targets() {
    std::vector<target> all{one_target()};
    if (!in_.peek().is(","))
      return all.front();
    while (in_.take(","))
      if (in_.peek().kind == token::name || in_.peek().is("("))
        all.push_back(one_target());
    return [all](frame& f, const value& v) {
      auto items = items_of(v);
      if (items->items.size() != all.size())
        complain("there are " + std::to_string(items->items.size()) + " values for " + std::to_string(all.size()) + " names");
      for (std::size_t i = 0; i < all.size(); ++i)
        all[i](f, items->items[i]);
    };
  }

  statement loop() {
    for_loop l;
    l.each = targets();
    in_.need("in");
    l.over = in_.tuple_without_condition();
    if (in_.take("if"))
      l.condition = in_.conditional();
    if (in_.peek().is("recursive"))
      in_.fail("recursive loops cannot be run so far");
    end_of(token::block_end, "%}");
    ++loops_;
    l.body = body({"else", "endfor"});
    --loops_;
    in_.next();  // {%
    if (in_.take("else")) {
      end_of(token::block_end, "%}");
      l.otherwise = body({"endfor"});
      end_tag("endfor");
    } else {
      in_.need("endfor");
      end_of(token::block_end, "%}");
    }
    return [l](frame& f) {
      run_loop(f, l);
      return flow::on;
    };
  }

  statement jump(flow how, int line) {
    end_of(token::block_end, "%}");
    if (loops_ == 0)
      in_.fail("break or continue outside of a loop, in line " + std::to_string(line));
    return [how](frame&) { return how; };
  }

  statement assignment() {
    auto to = targets();
    if (in_.take("=")) {
      auto e = in_.tuple();
      end_of(token::block_end, "%}");
      return [to, e](frame& f) {
        f.charge();
        to(f, e(f));
        return flow::on;
      };
    }
    return captured_block("endset", [to](frame& f, const value& v) { to(f, v); });
  }

  /// What a block writes goes through filters to `use`.
  statement captured_block(const char* end, target use) {
    auto input = [](frame& f) { return f.lookup("(what the block wrote)"); };
    auto e = in_.filters(input);
    end_of(token::block_end, "%}");
    auto loops = std::exchange(loops_, 0);
    auto inner = body({end});
    loops_ = loops;
    end_tag(end);
    return [use, e, inner](frame& f) {
      auto v = f.inside(f.here, [&] {
        f.set("(what the block wrote)", f.captured([&] { inner(f); }));
        return e(f);
      });
      use(f, v);
      return flow::on;
    };
  }

  statement filter_block() {
    in_.put_sign("|");
    return captured_block("endfilter", [](frame& f, const value& v) { f.write(str(v)); });
  }

  statement generation() {
    end_of(token::block_end, "%}");
    auto inner = body({"endgeneration"});
    end_tag("endgeneration");
    return inner;
  }

  statement macro_definition() {
    auto m = std::make_shared<macro>();
    m->name = in_.need_name();
    in_.need("(");
    while (!in_.take(")")) {
      parameter p{in_.need_name(), {}};
      if (in_.take("="))
        p.otherwise = in_.conditional();
      m->parameters.push_back(std::move(p));
      if (!in_.peek().is(")"))
        in_.need(",");
    }
    end_of(token::block_end, "%}");
    auto loops = std::exchange(loops_, 0);
    m->body = body({"endmacro"});
    loops_ = loops;
    end_tag("endmacro");
    return [m](frame& f) {
      // Held by the scope that it sees, so it must not hold that scope.
      std::weak_ptr<scope> around = f.here;
      f.set(m->name, value::variant(std::make_shared<const function>(function{m->name, [m, around](frame& fr, const arguments& a) {
        auto outer = around.lock();
        if (!outer)
          complain("the macro " + m->name + "() is called outside of the block that defines it");
        return call_macro(fr, *m, outer, a);
      }})));
      return flow::on;
    };
  }

  expression_reader in_;
  std::uint32_t depth_ = 0, branches_ = 0;
  int loops_ = 0;
};

} // namespace

statement read_template(std::string_view source, const std::string& where) {
  if (source.size() > defaults::template_bytes)
    hf::fail(where, "the chat template has " + std::to_string(source.size()) + " bytes; at most "
                      + std::to_string(defaults::template_bytes) + " are read");
  return template_reader(source, where).run();
}

} // namespace virga::models::jinja
