// What `bindlens audit` shows, and its pages.

#include "audit_choice.h"
#include "audit_pages.h"
#include "screens.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace bindlens::cli {
namespace {

protocol::FindingView finding() {
  protocol::FindingView f;
  f.id = "wildcard-conflict";
  f.severity = "critical";
  f.netns = 1;
  f.summary = "node[20] (app.service) on 127.0.0.1:8080 takes connections from nginx[10] "
              "(nginx.service) on 0.0.0.0:8080";
  f.detail = "What is sent to the address of 127.0.0.1:8080 reaches node[20] (app.service).";
  f.delivery = {{"127.0.0.1", "node[20] (app.service)"},
                {"any other IPv4 address", "one of the 4 members of the group of nginx[10] "
                                           "(nginx.service) and nginx[11] (nginx.service)"}};
  f.advice = {"give one of the two programs another port"};
  return f;
}

TEST(AuditScreen, At80Columns) {
  EXPECT_EQ(finding_screen(finding(), {.width = 80}, 1),
            R"(critical  wildcard-conflict
  node[20] (app.service) on 127.0.0.1:8080 takes connections from nginx[10]
  (nginx.service) on 0.0.0.0:8080
    127.0.0.1               ->  node[20] (app.service)
    any other IPv4 address  ->  one of the 4 members of the group of nginx[10]
                                (nginx.service) and nginx[11] (nginx.service)
  What is sent to the address of 127.0.0.1:8080 reaches node[20] (app.service).
  - give one of the two programs another port
)");
}

TEST(AuditScreen, FitsEveryWidth) {
  for (const size_t width : {60u, 72u, 100u, 120u}) {
    std::istringstream lines(finding_screen(finding(), {.width = width}, 1));
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(line.size(), width) << line;
  }
}

TEST(AuditScreen, NamesAnotherNamespaceAndColorsSeverity) {
  auto f = finding();
  f.netns_name = "web-1";
  const auto text = finding_screen(f, {.width = 80, .color = true}, 2);
  EXPECT_NE(text.find("wildcard-conflict  namespace web-1"), std::string::npos) << text;
  EXPECT_TRUE(text.starts_with("\033[1;31mcritical\033[0m")) << text;
  f.severity = "info";
  EXPECT_TRUE(finding_screen(f, {.width = 80, .color = true}, 1).starts_with("info      w"));
}

TEST(AuditScreen, ControlCharactersOfAProcessAreReplaced) {
  auto f = finding();
  f.summary = f.delivery[0].receiver = "evil\033[2J";
  EXPECT_EQ(finding_screen(f, {.width = 80}, 1).find('\033'), std::string::npos);
}

TEST(AuditTally, CountsBySeverity) {
  EXPECT_EQ(tally_text({}), "no findings");
  EXPECT_EQ(tally_text({0, 1, 0}), "1 finding: 1 warning; 'bindlens audit --explain ID' tells "
                                   "more");
  EXPECT_EQ(tally_text({2, 0, 3}), "5 findings: 2 critical, 3 infos; 'bindlens audit --explain "
                                   "ID' tells more");
}

TEST(AuditPages, AreThoseOfTheFindings) {
  std::set<std::string_view> expected;
  for (const model::FindingId id : model::all_finding_ids())
    expected.insert(to_string(id));
  const auto ids = audit_page_ids();
  EXPECT_EQ((std::set<std::string_view>(ids.begin(), ids.end())), expected);
  EXPECT_EQ(ids.size(), expected.size()) << "a page twice";
}

TEST(AuditPages, HaveTheSamePartsAndFitATerminal) {
  std::istringstream document{std::string(audit_document())};
  for (std::string line; std::getline(document, line);)
    EXPECT_LE(line.size(), 80u) << line;
  for (const model::FindingId id : model::all_finding_ids()) {
    const auto page = audit_page(to_string(id));
    ASSERT_TRUE(page) << to_string(id);
    for (const char* part :
         {"**What.**", "**Why it hurts.**", "**How to fix.**", "**How to silence.**"})
      EXPECT_NE(page->find(part), std::string_view::npos) << to_string(id) << " " << part;
    EXPECT_NE(page->find("--ignore " + std::string(to_string(id))), std::string_view::npos);
  }
}

TEST(AuditPages, OfUnknownFindingsAreNot) {
  EXPECT_FALSE(audit_page("linger"));
  EXPECT_FALSE(audit_page(""));
}

TEST(AuditChoice, AFindingOfANewerDaemonIsTakenSeriously) {
  AuditChoice choice;
  choice.fail_on = model::Severity::critical;
  auto f = finding();
  f.severity = "catastrophic";
  EXPECT_TRUE(choice.tells_of(f));
  EXPECT_TRUE(choice.fails_on(f));
  f.severity = "warning";
  EXPECT_FALSE(choice.fails_on(f));
}

} // namespace
} // namespace bindlens::cli
