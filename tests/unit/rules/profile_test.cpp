#include "world.h"

#include <bindlens/rules/check.h>
#include <folklore.h>

#include <fstream>
#include <map>
#include <sstream>

namespace bindlens::rules::test {
namespace {

constexpr std::array all = {
    Profile::linux_now, Profile::linux_pre_3_9, Profile::bsd,   Profile::freebsd,
    Profile::openbsd,   Profile::netbsd,        Profile::macos, Profile::ios};

TEST(Profile, NamesGoBothWays) {
  for (const Profile p : all) {
    EXPECT_EQ(parse_profile(to_string(p)), p);
    EXPECT_NE(profile_names().find(to_string(p)), std::string_view::npos);
  }
  EXPECT_EQ(parse_profile("solaris"), std::nullopt);
  EXPECT_EQ(parse_profile(""), std::nullopt);
}

// The account itself, apart from how the cases are built: BSD family,
// linux-pre-3.9, today's Linux. A allowed, N refused, - no such option.
const std::map<std::string, std::string> account = {
    {"1", "AAA"},  {"2", "AAA"},   {"2b", "AAA"},  {"3", "NNN"},   {"3b", "AAN"},  {"4", "NNN"},
    {"5", "ANN"},  {"5b", "AAA"},  {"6", "ANN"},   {"6b", "AAA"},  {"6c", "ANN"},  {"7", "NAA"},
    {"7b", "NNN"}, {"8", "NNN"},   {"9", "ANN"},   {"9b", "AAA"},  {"10", "A-A"},  {"10b", "A-A"},
    {"11", "N-N"}, {"11b", "N-N"}, {"12", "A-A"},  {"12b", "A-A"}, {"13", "ANN"},  {"13b", "A-A"},
    {"14", "NAA"}, {"14b", "NNN"}, {"15", "ANN"},  {"16", "AAA"},  {"16b", "A-N"}, {"17", "NNN"},
    {"18", "AAA"}, {"19", "NNN"},  {"19b", "ANN"}, {"19c", "AAA"}, {"23", "A-N"}};

char letter(const std::string& answer) {
  return answer == "allowed" ? 'A' : answer == "-" ? '-' : 'N';
}

TEST(Folklore, EveryRowOnEverySystem) {
  size_t seen = 0;
  for (const FolkloreCase& c : folklore_cases()) {
    ASSERT_TRUE(account.contains(c.row)) << c.row;
    const std::string& wanted = account.at(c.row);
    ++seen;
    for (const Profile p : all) {
      const size_t column = p == Profile::linux_now ? 2 : p == Profile::linux_pre_3_9 ? 1 : 0;
      EXPECT_EQ(letter(answer_text(p, c)), wanted[column]) << c.row << " " << to_string(p);
    }
  }
  EXPECT_EQ(seen, account.size());
}

TEST(Folklore, ErrorsAreThoseOfTheSystem) {
  for (const FolkloreCase& c : folklore_cases()) {
    if (c.row == "17") {
      EXPECT_EQ(answer_text(Profile::macos, c), "EADDRINUSE");
      EXPECT_EQ(answer_text(Profile::linux_pre_3_9, c), "EADDRNOTAVAIL");
      EXPECT_EQ(answer_text(Profile::linux_now, c), "EADDRNOTAVAIL");
    }
    if (c.row == "19b") {
      EXPECT_EQ(answer_text(Profile::linux_now, c), "EADDRNOTAVAIL");
    }
  }
}

TEST(Folklore, WhatDiffersIsExplainedAndNothingElse) {
  for (const FolkloreCase& c : folklore_cases())
    EXPECT_EQ(differs(c), !c.correction.empty()) << c.row;
}

TEST(Folklore, ThePageIsTheOneInTheRepository) {
  std::ifstream in(BINDLENS_BIND_RULES_PAGE);
  ASSERT_TRUE(in) << BINDLENS_BIND_RULES_PAGE;
  std::ostringstream page;
  page << in.rdbuf();
  EXPECT_EQ(page.str(), bind_rules_document())
      << "run bind-rules-doc > docs/bind-rules.md and read what changed";
}

TEST(Profile, BsdConnectWithoutAPortFailsWithEaddrnotavail) {
  HostFacts f = known_host();
  f.local_port_range = PortRange{40000, 40000};
  const auto view = view_of({holds("10.0.0.5:40000")});
  const auto request = ask("10.0.0.5:0").to_connect("10.0.0.9:80").request();
  const auto v = decide(Profile::openbsd, request, view, f, {});
  EXPECT_EQ(v.error, EADDRNOTAVAIL);
  EXPECT_EQ(v.rule, Rule::ephemeral_exhausted);
}

} // namespace
} // namespace bindlens::rules::test
