// bindlens(1) against the program: the same commands, options and rules.

#include "program.h"

#include <bindlens/model/rule.h>

#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>

namespace bindlens::test {
namespace {

std::string manual() {
  std::ifstream in(BINDLENS_MANUAL "/bindlens.1");
  EXPECT_TRUE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

// Of the form "--name", from a text in which they start words.
std::set<std::string> options_in_help(const std::string& text) {
  std::set<std::string> names;
  const std::regex option("[ ,]--([a-z0-9-]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), option), end; it != end; ++it)
    names.insert((*it)[1]);
  return names;
}

// mdoc's ".Fl -name" and "Fl -name" inside a line.
std::set<std::string> options_in_manual(const std::string& text) {
  std::set<std::string> names;
  const std::regex option("Fl -([a-z0-9-]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), option), end; it != end; ++it)
    names.insert((*it)[1]);
  return names;
}

// The text of one section.
std::string section(const std::string& text, const std::string& title) {
  const size_t begin = text.find(".Sh " + title + "\n");
  EXPECT_NE(begin, std::string::npos) << title;
  return text.substr(begin, text.find("\n.Sh ", begin) - begin);
}

TEST(Manual, HasEveryOptionAndNoOther) {
  std::set<std::string> in_help = options_in_help(run({"--help"}).out);
  for (const char* command : {"ls", "why", "events", "status", "verify", "check"})
    in_help.merge(options_in_help(run({command, "--help"}).out));
  EXPECT_EQ(options_in_manual(manual()), in_help);
}

TEST(Manual, HasEveryCommandAndNoOther) {
  std::set<std::string> in_manual;
  const std::string text = section(manual(), "COMMANDS");
  const std::regex heading("\n\\.It Cm ([a-z]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), heading), end; it != end; ++it)
    in_manual.insert((*it)[1]);
  EXPECT_EQ(in_manual, (std::set<std::string>{"ls", "why", "events", "status", "verify", "check"}));
}

TEST(Manual, HasEveryRuleAndNoOther) {
  std::set<std::string> in_manual;
  const std::string text = section(manual(), "RULES");
  const std::regex item("\n\\.It Li ([a-z0-9-]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), item), end; it != end; ++it)
    in_manual.insert((*it)[1]);
  std::set<std::string> in_program;
  for (int r = 1; r < 256; ++r)
    if (const auto name = to_string(static_cast<model::Rule>(r)); !name.empty())
      in_program.emplace(name);
  EXPECT_EQ(in_manual, in_program);
}

TEST(Manual, HasEveryExitStatus) {
  const std::string text = section(manual(), "EXIT STATUS");
  for (int code = 0; code <= 4; ++code)
    EXPECT_NE(text.find("\n.It " + std::to_string(code) + "\n"), std::string::npos) << code;
}

} // namespace
} // namespace bindlens::test
