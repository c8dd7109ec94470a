#include "scene.h"

#include <gtest/gtest.h>

namespace bindlens::test {
namespace {

using top::Action;
using top::action_of;
using top::Mode;
using top::Special;

TEST(Keys, AreThoseOfHtop) {
  const std::pair<top::Key, Action> cases[] = {{key(Special::f1), Action::help},
                                               {key(U'?'), Action::help},
                                               {key(Special::f4), Action::filter},
                                               {key(U'/'), Action::filter},
                                               {key(Special::f6), Action::next_sort},
                                               {key(U'>'), Action::next_sort},
                                               {key(U'<'), Action::previous_sort},
                                               {key(U'I'), Action::invert_sort},
                                               {key(Special::f5), Action::pause},
                                               {key(U' '), Action::pause},
                                               {key(Special::f10), Action::quit},
                                               {key(U'q'), Action::quit},
                                               {key(Special::enter), Action::detail},
                                               {key(Special::up), Action::up},
                                               {key(Special::page_down), Action::page_down},
                                               {key(Special::home), Action::home},
                                               {key(Special::end), Action::end},
                                               {key(Special::tab), Action::next_panel},
                                               {key(U'2'), Action::panel_2},
                                               {key(U'x'), Action::none}};
  for (const auto& [pressed, action] : cases)
    EXPECT_EQ(action_of(pressed, Mode::table), action) << static_cast<int>(pressed.character);
}

TEST(Keys, WhileAFilterIsTypedAreText) {
  EXPECT_EQ(action_of(key(U'q'), Mode::filter), Action::type);
  EXPECT_EQ(action_of(key(U' '), Mode::filter), Action::type);
  EXPECT_EQ(action_of(key(U'é'), Mode::filter), Action::type);
  EXPECT_EQ(action_of(key(Special::backspace), Mode::filter), Action::erase);
  EXPECT_EQ(action_of(key(Special::enter), Mode::filter), Action::accept);
  EXPECT_EQ(action_of(key(Special::escape), Mode::filter), Action::back);
  EXPECT_EQ(action_of(key(Special::f2), Mode::filter), Action::none);
  EXPECT_EQ(action_of(key(U'\x01'), Mode::filter), Action::none);
}

TEST(Keys, LeadBackFromAPage) {
  for (const Mode mode : {Mode::detail, Mode::help}) {
    EXPECT_EQ(action_of(key(U'q'), mode), Action::back);
    EXPECT_EQ(action_of(key(Special::escape), mode), Action::back);
    EXPECT_EQ(action_of(key(Special::down), mode), Action::down);
    EXPECT_EQ(action_of(key(Special::f10), mode), Action::quit);
  }
}

} // namespace
} // namespace bindlens::test
