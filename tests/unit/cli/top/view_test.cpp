// Keys in, screens out, at several sizes.

#include "scene.h"

#include "text.h"
#include "top/meters.h"

#include <gtest/gtest.h>

namespace bindlens::test {
namespace {

using top::Kind;
using top::Look;
using top::Model;
using top::Size;
using top::Special;

Model busy() {
  Model m(second, now - 30 * second);
  protocol::StatusView status;
  status.version = "0.1.0";
  status.tier = "tracepoint";
  status.sockets = 1204;
  status.namespaces = 7;
  m.set_status(status);
  for (int i = 1; i <= 30; ++i)
    for (int n = 0; n < i * 40; ++n)
      m.add(happening(Kind::bind, now - i * second));
  for (int i = 0; i < 6; ++i)
    m.add(failing(failure(8080, now - (6 - i) * second)));
  for (uint16_t port = 1; port <= 30; ++port)
    m.add(failing(failure(static_cast<uint16_t>(9000 + port), now - 60 * second - port * second,
                          "old" + std::to_string(port))));
  m.set_findings({finding("linger-zero", "warning", 81),
                  finding("wildcard-conflict", "critical", 80),
                  finding("bound-not-listening", "info", 82)});
  return m;
}

class Views : public testing::Test {
 protected:
  std::string shown(Size size = {80, 24}) {
    screen_ = view_.render(model_.snapshot(now), size);
    return text_of(screen_);
  }
  // The line with this text; the look of the span that it stands in.
  Look look_of(const std::string& text) {
    for (const auto& line : screen_.lines)
      for (const auto& span : line.spans())
        if (span.text.find(text) != std::string::npos) return span.look;
    ADD_FAILURE() << text << " is not in\n" << text_of(screen_);
    return Look::plain;
  }
  std::string selected() {
    for (const auto& line : screen_.lines)
      for (const auto& span : line.spans())
        if (span.look == Look::selected) return span.text;
    return "";
  }
  bool press(std::initializer_list<top::Key> keys) {
    bool goes_on = true;
    for (const auto& k : keys)
      goes_on = view_.press(k);
    return goes_on;
  }

  Model model_ = busy();
  top::View view_{{.own_netns = here}};
  top::Screen screen_;
};

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(Views, ShowEverythingInEightyColumns) {
  const std::string text = shown();
  for (const char* part : {"bindlens top",
                           "1,204 sockets in 7 namespaces",
                           "binds",
                           "40/s",
                           "failures",
                           "1/s",
                           "lost",
                           "none",
                           "1 Failures",
                           "36 refused calls, going on",
                           "2 Findings",
                           "1 critical, 1 warning, 1 info",
                           "4 Processes",
                           "tcp 8080",
                           "EADDRINUSE",
                           "listener",
                           "nginx[4121]",
                           "node[3340]",
                           "wildcard-conflict",
                           "F1 Help",
                           "F10 Quit",
                           "▁",
                           "█"})
    EXPECT_TRUE(has(text, part)) << part << " is not in\n" << text;
}

TEST_F(Views, FitEverySize) {
  for (size_t columns = 1; columns <= 200; columns += columns < 20 ? 1 : 13)
    for (size_t rows = 1; rows <= 60; rows += rows < 12 ? 1 : 7) {
      for (const auto keys : {std::initializer_list<top::Key>{key(Special::tab)},
                              {key(Special::enter)},
                              {key(Special::escape), key(U'?')},
                              {key(Special::escape), key(U'/'), key(U'n')}}) {
        press(keys);
        shown({columns, rows});
        ASSERT_EQ(screen_.lines.size(), rows) << columns;
        for (const auto& line : screen_.lines)
          ASSERT_LE(line.width(), columns) << rows << ": " << line.text();
        ASSERT_LT(screen_.cursor, static_cast<int>(columns));
      }
      press({key(Special::escape)});
    }
}

TEST_F(Views, HaveTheEssentialsInASmallWindow) {
  const std::string text = shown({40, 12});
  for (const char* part : {"failures 1/s", "binds 40/s", "1 Failures", "tcp 8080", "listener",
                           "2 Findings", "4 Processes"})
    EXPECT_TRUE(has(text, part)) << part << " is not in\n" << text;
}

TEST_F(Views, HaveMoreInALargeWindow) {
  const std::string text = shown({120, 40});
  for (const char* part : {"peak 1,", "CALL", "bind ", "takes what is sent to node[3340]"})
    EXPECT_TRUE(has(text, part)) << part << " is not in\n" << text;
}

TEST_F(Views, ColourWhatIsSevere) {
  shown();
  EXPECT_EQ(look_of("1/s"), Look::critical);
  EXPECT_EQ(look_of("36 refused calls"), Look::critical);
  EXPECT_EQ(look_of("critical"), Look::critical);
  EXPECT_EQ(look_of("40/s"), Look::plain);
  press({key(U'2')});
  press({key(Special::end)});
  shown();
  bool found = false;
  for (const auto& line : screen_.lines)
    for (const auto& span : line.spans())
      found = found || (span.text == "warning" && span.look == Look::warning);
  EXPECT_TRUE(found) << text_of(screen_);
}

TEST_F(Views, SayWhatIsLost) {
  auto gap = happening(Kind::gap, now, 0, "");
  gap.lost = 12'000;
  gap.by_reader = true;
  model_.add(gap);
  EXPECT_TRUE(has(shown(), "12,000 by this view"));
  EXPECT_EQ(look_of("12,000"), Look::critical);
  EXPECT_TRUE(has(shown({40, 12}), "lost 12,000 by this view"));
}

TEST_F(Views, SayThatTheDaemonIsGoneAndKeepWhatIsKnown) {
  model_.set_link({.up = false, .trouble = {}, .down_since = now - 5 * second});
  const std::string text = shown();
  EXPECT_TRUE(has(text, "daemon gone since 03:11:02, trying again")) << text;
  EXPECT_EQ(look_of("daemon gone"), Look::critical);
  EXPECT_TRUE(has(text, "nginx[4121]"));
  model_.set_link({.up = false, .trouble = "permission denied at /s", .down_since = now});
  EXPECT_TRUE(has(shown(), "permission denied"));
  model_.set_link({});
  EXPECT_TRUE(has(shown(), "bindlensd 0.1.0"));
}

TEST_F(Views, SayWhenThereIsNothing) {
  model_ = Model(second, now);
  EXPECT_TRUE(has(shown(), "1 Failures  none since 02:11")) << shown();
  EXPECT_TRUE(has(shown(), "waiting for the audit"));
  model_.set_findings_trouble("this daemon has no audit");
  EXPECT_TRUE(has(shown(), "this daemon has no audit"));
  model_.set_findings({});
  EXPECT_TRUE(has(shown(), "2 Findings  none"));
}

TEST_F(Views, SelectRowsAndKeepThem) {
  shown();
  EXPECT_TRUE(has(selected(), "tcp 8080")) << "the one that fails now";
  press({key(Special::down), key(Special::down)});
  shown();
  const std::string row = selected();
  EXPECT_TRUE(has(row, "tcp 9002")) << row;
  for (int i = 0; i < 3; ++i)
    model_.add(failing(failure(7000, now - second, "new")));
  shown();
  EXPECT_TRUE(has(selected(), "tcp 9002")) << "it moved down, and so did the selection";
  press({key(Special::home)});
  shown();
  EXPECT_TRUE(has(selected(), "tcp 8080"));
  for (int i = 0; i < 30; ++i)
    model_.add(failing(failure(7001, now - second, "newest")));
  shown();
  EXPECT_TRUE(has(selected(), "tcp 7001")) << "on top stays on top";
}

TEST_F(Views, ScrollThroughAllRows) {
  shown();
  press({key(Special::end)});
  EXPECT_TRUE(has(shown(), "of 31")) << text_of(screen_);
  EXPECT_TRUE(has(selected(), "tcp 9030"));
  press({key(Special::page_up)});
  shown();
  EXPECT_FALSE(has(selected(), "tcp 9030"));
  for (int i = 0; i < 10; ++i)
    press({key(Special::page_up)}), shown();
  EXPECT_TRUE(has(selected(), "tcp 8080"));
  for (int i = 0; i < 40; ++i)
    press({key(Special::down)}), shown();
  EXPECT_TRUE(has(selected(), "tcp 9030"));
}

TEST_F(Views, Sort) {
  EXPECT_TRUE(has(shown(), "▼PER S"));
  press({key(U'>')});
  EXPECT_TRUE(has(shown(), "▲LAST"));
  press({key(U'I')});
  EXPECT_TRUE(has(shown(), "▼LAST"));
  EXPECT_TRUE(has(selected(), "tcp 9030")) << "the oldest";
  press({key(U'<'), key(U'<')});
  EXPECT_TRUE(has(shown(), "▼COUNT"));
  EXPECT_TRUE(has(selected(), "tcp 8080"));
  press({key(U'<'), key(U'<'), key(U'<')});
  shown();
  press({key(U'<')});
  EXPECT_TRUE(has(shown(), "PORT▲")) << "columns that are not shown are passed over";
}

TEST_F(Views, Filter) {
  shown();
  press({key(U'/'), key(U'N'), key(U'G'), key(U'i'), key(U'x')});
  EXPECT_TRUE(has(shown(), "Filter: NGi"));
  EXPECT_EQ(screen_.cursor, 12);
  press({key(Special::backspace), key(U'n'), key(Special::enter)});
  const std::string text = shown();
  EXPECT_EQ(screen_.cursor, -1);
  EXPECT_TRUE(has(text, "tcp 8080"));
  EXPECT_FALSE(has(text, "tcp 9001")) << text;
  EXPECT_TRUE(has(text, "Filter: NGin  F1 Help")) << "said while it is in force";
  press({key(U'/'), key(U'z'), key(U'z'), key(Special::enter)});
  EXPECT_TRUE(has(shown(), "nothing here contains 'NGinzz'"));
  press({key(Special::escape)});
  EXPECT_TRUE(has(shown(), "tcp 9001"));
}

TEST_F(Views, TypeAndEraseWholeCharacters) {
  press({key(U'/'), key(U'é'), key(U'漢'), key(U'😀')});
  EXPECT_TRUE(has(shown(), "Filter: é漢😀"));
  press({key(Special::backspace), key(Special::backspace)});
  EXPECT_EQ(screen_.lines.size(), 24u);
  EXPECT_TRUE(shown().ends_with("Filter: é\n"));
}

TEST_F(Views, PauseTheScreenAndNotTheCounting) {
  shown();
  press({key(U'p')});
  const std::string before = shown();
  EXPECT_TRUE(has(before, "PAUSED"));
  for (int i = 0; i < 50; ++i)
    model_.add(failing(failure(7000, now - second, "new")));
  EXPECT_EQ(shown(), before);
  EXPECT_FALSE(has(shown({100, 30}), "tcp 7000")) << "also in another size";
  press({key(U'p')});
  EXPECT_TRUE(has(shown(), "tcp 7000"));
  EXPECT_FALSE(has(shown(), "PAUSED"));
}

TEST_F(Views, TellEverythingAboutARow) {
  shown();
  press({key(Special::enter)});
  const std::string text = shown();
  for (const char* part : {"6 refused calls since 03:11:01", "EADDRINUSE  bind tcp 0.0.0.0:8080",
                           "rule listener", "stop node[3340]", "Esc Back"})
    EXPECT_TRUE(has(text, part)) << part << " is not in\n" << text;
  press({key(Special::escape), key(U'2'), key(Special::enter)});
  const std::string finding_text = shown();
  for (const char* part : {"wildcard-conflict", "It will fail.", "- bind one address", "--explain"})
    EXPECT_TRUE(has(finding_text, part)) << part << " is not in\n" << finding_text;
  press({key(Special::escape), key(U'4')});
  shown();
  press({key(Special::enter)});
  EXPECT_TRUE(has(shown(), "in all")) << shown();
  press({key(Special::escape)});
  EXPECT_TRUE(has(shown(), "2 Findings"));
}

TEST_F(Views, ScrollAPage) {
  press({key(U'?')});
  const Size size{40, 12};
  const std::string first = shown(size);
  EXPECT_TRUE(has(first, "Help  1-8 of")) << first;
  press({key(Special::end)});
  const std::string last = shown(size);
  EXPECT_TRUE(has(last, "then all figures are too low.")) << last;
  press({key(Special::page_down)});
  EXPECT_EQ(shown(size), last) << "not beyond the end";
  press({key(Special::home)});
  EXPECT_EQ(shown(size), first);
}

TEST_F(Views, KeepADetailWhoseRowIsGone) {
  shown();
  press({key(U'2'), key(Special::enter)});
  EXPECT_TRUE(has(shown(), "wildcard-conflict"));
  model_.set_findings({});
  EXPECT_TRUE(has(shown(), "wildcard-conflict"));
}

TEST_F(Views, EndWithTheirKeys) {
  EXPECT_FALSE(press({key(U'q')}));
  EXPECT_FALSE(press({key(Special::f10)}));
  EXPECT_TRUE(press({key(U'?'), key(U'q')})) << "leads back";
  EXPECT_TRUE(press({key(U'/'), key(U'q')})) << "is text";
}

TEST_F(Views, ReplaceWhatATerminalWouldObey) {
  model_.add(failing(failure(7002, now - second, "\033[2J\a")));
  for (int i = 0; i < 30; ++i)
    model_.add(failing(failure(7002, now - second, "\033[2J\a")));
  shown();
  press({key(Special::enter)});
  for (const char c : shown() + [&] {
         press({key(Special::escape)});
         return shown();
       }())
    EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
}

TEST(Sparkline, IsAsHighAsItsLargestValue) {
  EXPECT_EQ(cli::top::sparkline({0, 1, 500, 1000}, 4), "▁▂▅█");
  EXPECT_EQ(cli::top::sparkline({0, 0}, 4), "  ▁▁");
  EXPECT_EQ(cli::top::sparkline({9, 9, 8}, 2), "██") << "rounded up";
  EXPECT_EQ(cli::top::sparkline({}, 2), "  ");
}

TEST(Ascii, HasALikenessForWhatIsDrawn) {
  EXPECT_EQ(top::to_ascii("▁▂▃▄▅▆▇█"), "_.:-=+*#");
  EXPECT_EQ(top::to_ascii("─▲▼…"), "-^v~");
  EXPECT_EQ(top::to_ascii("né漢\xff"), "n???");
}

TEST_F(Views, CanBeDrawnInAsciiWithoutAQuestionMark) {
  for (const auto keys :
       {std::initializer_list<top::Key>{key(Special::tab)}, {key(Special::enter)}}) {
    press(keys);
    EXPECT_EQ(top::to_ascii(shown({120, 40})).find('?'), std::string::npos);
  }
}

TEST_F(Views, ShowReuseportGroupsByTheirSkew) {
  EXPECT_TRUE(has(shown(), "3 Reuseport groups  waiting for the daemon"));
  model_.set_groups_trouble("this daemon does not tell of them");
  EXPECT_TRUE(has(shown(), "3 Reuseport groups  this daemon does not tell of them"));
  model_.set_groups({group(443, "even", 1.04, {0.26, 0.24, 0.25, 0.25}),
                     group(80, "skewed", 3.2, {0.8, 0.1, 0.05, 0.05}),
                     group(53, "stalled", 1.0, {0.5, 0.5}), group(25, "idle", 0, {})});
  press({key(U'3')});
  const std::string text = shown();
  for (const char* part : {"1 stalled, 1 skewed", "tcp 0.0.0.0:443", "1,000", "█▇▇▇", "█▂▂▂",
                           "3.20", "1.04", "stalled: nginx[813]"})
    EXPECT_TRUE(has(text, part)) << part << " is not in\n" << text;
  EXPECT_TRUE(has(selected(), ":53 ")) << "the worst first";
  EXPECT_LT(text.find(":80 "), text.find(":443 "));
  EXPECT_EQ(look_of("skewed"), Look::critical) << "one is stalled";
  press({key(Special::enter)});
  EXPECT_TRUE(has(shown(), "0.0.0.0:53")) << text_of(screen_);
}

TEST(Shares, GoToTheFocusedPanelFirst) {
  using Rows = std::array<size_t, top::panel_count>;
  EXPECT_EQ(top::share_rows({30, 0, 0, 0}, 0, 16), (Rows{16, 0, 0, 0}));
  EXPECT_EQ(top::share_rows({30, 30, 0, 30}, 0, 16), (Rows{8, 4, 0, 4}));
  EXPECT_EQ(top::share_rows({30, 3, 30, 0}, 1, 16), (Rows{9, 3, 4, 0}));
  EXPECT_EQ(top::share_rows({2, 2, 2, 2}, 2, 16), (Rows{2, 2, 2, 2}));
  EXPECT_EQ(top::share_rows({30, 30, 30, 30}, 2, 4), (Rows{2, 0, 2, 0}));
}

TEST(Rates, AreShort) {
  EXPECT_EQ(top::rate_text(0), "-");
  EXPECT_EQ(top::rate_text(0.01), "0.1");
  EXPECT_EQ(top::rate_text(0.44), "0.4");
  EXPECT_EQ(top::rate_text(5), "5");
  EXPECT_EQ(top::rate_text(9.96), "10");
  EXPECT_EQ(top::rate_text(1203.7), "1,204");
}

} // namespace
} // namespace bindlens::test
