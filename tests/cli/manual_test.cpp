// bindlens(1) against the program: the same commands, options and rules.

#include "program.h"

#include <bindlens/model/finding.h>
#include <bindlens/model/rule.h>

#include <gtest/gtest.h>

#include <fstream>
#include <set>

namespace bindlens::test {
namespace {

const std::set<std::string> commands = {
    "audit",  "check",    "events", "ls",     "ports", "reuseport",
    "status", "timewait", "top",    "verify", "why",
};

std::string manual() {
  std::ifstream in(BINDLENS_MANUAL "/bindlens.1");
  EXPECT_TRUE(in.good());
  return {std::istreambuf_iterator<char>(in), {}};
}

// What follows each `mark` in the text, as long as it is made of a-z, 0-9, "-".
std::set<std::string> words_after(const std::string& text, const std::string& mark) {
  std::set<std::string> words;
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    const size_t begin = at + mark.size();
    const size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-", begin);
    if (end != begin) words.insert(text.substr(begin, end - begin));
  }
  return words;
}

// "-h,--help" and "  --json"
std::set<std::string> options_in_help(const std::string& text) {
  auto names = words_after(text, " --");
  names.merge(words_after(text, ",--"));
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
  for (const std::string& command : commands)
    in_help.merge(options_in_help(run({command, "--help"}).out));
  EXPECT_EQ(words_after(manual(), "Fl -"), in_help);
}

TEST(Manual, HasEveryCommandAndNoOther) {
  EXPECT_EQ(words_after(section(manual(), "COMMANDS"), "\n.It Cm "), commands);
}

TEST(Manual, HasEveryRuleAndNoOther) {
  std::set<std::string> in_program;
  for (int r = 1; r < 256; ++r)
    if (const auto name = to_string(static_cast<model::Rule>(r)); !name.empty())
      in_program.emplace(name);
  EXPECT_EQ(words_after(section(manual(), "RULES"), "\n.It Li "), in_program);
}

TEST(Manual, HasEveryFindingAndNoOther) {
  std::set<std::string> in_program;
  for (const model::FindingId id : model::all_finding_ids())
    in_program.emplace(to_string(id));
  EXPECT_EQ(words_after(section(manual(), "FINDINGS"), "\n.It Li "), in_program);
}

TEST(Manual, HasEveryExitStatus) {
  const std::string text = section(manual(), "EXIT STATUS");
  for (int code = 0; code <= 4; ++code)
    EXPECT_NE(text.find("\n.It " + std::to_string(code) + "\n"), std::string::npos) << code;
}

} // namespace
} // namespace bindlens::test
