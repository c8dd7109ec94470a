// `bindlens audit --sarif` against what SARIF 2.1.0 demands of a document: the
// members that each object must have and may have (additionalProperties is false
// nearly everywhere in its schema), and their types.

#include "audit_pages.h"
#include "sarif.h"
#include "views.h"

#include <bindlens/model/finding.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <set>

namespace bindlens::cli {
namespace {

using nlohmann::json;
using Names = std::set<std::string>;

// Which members an object of the standard has; a test fails where one is missing,
// unknown, or breaks a rule of the standard.
class Standard {
 public:
  explicit Standard(const json& document) { check_log(document); }

 private:
  static void has(const json& object, const Names& required, const Names& optional,
                  const std::string& what) {
    ASSERT_TRUE(object.is_object()) << what;
    for (const std::string& name : required)
      EXPECT_TRUE(object.contains(name)) << what << " lacks " << name;
    for (const auto& [name, value] : object.items())
      EXPECT_TRUE(required.contains(name) || optional.contains(name))
          << what << " has no member " << name;
  }
  // §3.13
  void check_log(const json& log) {
    has(log, {"version", "runs"}, {"$schema", "inlineExternalProperties", "properties"}, "log");
    EXPECT_EQ(log["version"], "2.1.0");
    EXPECT_TRUE(log["$schema"].get<std::string>().starts_with("https://")) << "an absolute URI";
    ASSERT_TRUE(log["runs"].is_array());
    for (const json& run : log["runs"])
      check_run(run);
  }
  // §3.14
  void check_run(const json& run) {
    has(run, {"tool"}, {"results", "invocations", "automationDetails", "properties"}, "run");
    has(run["tool"], {"driver"}, {"extensions", "properties"}, "tool");
    check_driver(run["tool"]["driver"]);
    ASSERT_TRUE(run["results"].is_array()) << "empty when nothing was found, not absent";
    for (const json& result : run["results"])
      check_result(result);
  }
  // §3.19
  void check_driver(const json& driver) {
    has(driver, {"name"}, {"version", "semanticVersion", "informationUri", "rules", "properties"},
        "driver");
    EXPECT_FALSE(driver["name"].get<std::string>().empty());
    Names ids;
    for (const json& rule : driver["rules"]) {
      check_rule(rule);
      const auto id = rule["id"].get<std::string>();
      EXPECT_TRUE(ids.insert(id).second) << id << " twice";
      rules_.push_back(id);
    }
  }
  // §3.49
  static void check_rule(const json& rule) {
    has(rule, {"id"},
        {"name", "shortDescription", "fullDescription", "help", "helpUri", "defaultConfiguration",
         "properties"},
        "rule");
    for (const char* name : {"shortDescription", "fullDescription", "help"})
      check_message_string(rule[name], name);
  }
  // §3.12
  static void check_message_string(const json& message, const std::string& what) {
    has(message, {"text"}, {"markdown", "properties"}, what);
    for (const auto& [name, value] : message.items())
      EXPECT_FALSE(value.get<std::string>().empty()) << what << "." << name;
  }
  // §3.27
  void check_result(const json& result) {
    has(result, {"message"},
        {"ruleId", "ruleIndex", "level", "locations", "partialFingerprints", "baselineState",
         "properties"},
        "result");
    has(result["message"], {"text"}, {"markdown", "id", "arguments", "properties"}, "message");
    EXPECT_TRUE((Names{"none", "note", "warning", "error"}).contains(result["level"]));
    if (result.contains("ruleIndex")) {
      EXPECT_EQ(rules_.at(result["ruleIndex"].get<size_t>()), result["ruleId"]);
    }
    if (result.contains("baselineState")) {
      const Names states = {"new", "unchanged", "updated", "absent"};
      EXPECT_TRUE(states.contains(result["baselineState"]));
    }
    for (const auto& [name, value] : result["partialFingerprints"].items())
      EXPECT_TRUE(value.is_string()) << name;
    EXPECT_TRUE(result["properties"].is_object());
    EXPECT_FALSE(result["properties"].contains("tags")) << "is reserved for a list of texts";
    for (const json& location : result.value("locations", json::array()))
      check_location(location);
  }
  // §3.28, §3.33
  static void check_location(const json& location) {
    has(location, {}, {"id", "physicalLocation", "logicalLocations", "message", "properties"},
        "location");
    ASSERT_TRUE(location["logicalLocations"].is_array());
    for (const json& logical : location["logicalLocations"]) {
      has(logical, {},
          {"name", "index", "fullyQualifiedName", "decoratedName", "parentIndex", "kind",
           "properties"},
          "logicalLocation");
      for (const auto& [name, value] : logical.items())
        EXPECT_FALSE(value.get<std::string>().empty()) << name;
    }
  }

  std::vector<std::string> rules_;
};

SarifResult result(const std::string& id, const std::string& severity) {
  SarifResult r;
  r.finding.id = id;
  r.finding.severity = severity;
  r.finding.summary = "nginx[812] \"and\" node[3340]\nshare it";
  r.finding.detail = "It will fail.";
  r.finding.key = id + " host tcp 80 nginx,node";
  r.finding.delivery = {{"127.0.0.1", "node[3340]"}};
  r.finding.sockets.resize(1);
  r.finding.sockets[0].proto = "tcp";
  r.finding.sockets[0].addr = "0.0.0.0";
  r.finding.sockets[0].port = 80;
  r.finding.sockets[0].netns_name = "host";
  r.json = R"({"id":")" + id + R"(","key":"k","sockets":[{"addr":"0.0.0.0"}]})";
  return r;
}

json document(const std::vector<SarifResult>& results) {
  const std::string text = sarif_document(results);
  EXPECT_TRUE(text.ends_with("}\n"));
  return json::parse(text);
}

TEST(Sarif, ADocumentWithoutFindingsIsValidAndHasAllRules) {
  const json log = document({});
  Standard{log};
  EXPECT_EQ(log["runs"].size(), 1u);
  EXPECT_EQ(log["runs"][0]["results"], json::array());
  EXPECT_EQ(log["runs"][0]["tool"]["driver"]["version"], BINDLENS_VERSION);
}

TEST(Sarif, RulesAreTheFindingsWithTheirPages) {
  const json log = document({});
  const json& rules = log["runs"][0]["tool"]["driver"]["rules"];
  const auto ids = model::all_finding_ids();
  ASSERT_EQ(rules.size(), ids.size());
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::string id(to_string(ids[i]));
    EXPECT_EQ(rules[i]["id"], id);
    EXPECT_EQ(rules[i]["help"]["markdown"], *audit_page(id));
    const auto what = rules[i]["shortDescription"]["text"].get<std::string>();
    EXPECT_EQ(what.find_first_of("\n*"), std::string::npos) << what;
    EXPECT_TRUE(what.ends_with('.')) << what;
    const auto help = rules[i]["help"]["text"].get<std::string>();
    EXPECT_TRUE(help.starts_with("What. ")) << help;
    EXPECT_EQ(help.find('*'), std::string::npos) << help;
    EXPECT_NE(help.find("How to fix."), std::string::npos) << help;
  }
}

TEST(Sarif, AResultSaysWhatTheFindingSays) {
  const json log = document({result("linger-zero", "warning")});
  Standard{log};
  const json& r = log["runs"][0]["results"][0];
  EXPECT_EQ(r["ruleId"], "linger-zero");
  EXPECT_EQ(r["message"]["text"], "nginx[812] \"and\" node[3340]\nshare it. It will fail.\n"
                                  "127.0.0.1 -> node[3340]");
  EXPECT_EQ(r["partialFingerprints"]["bindlensKey/v1"], "linger-zero host tcp 80 nginx,node");
  EXPECT_EQ(r["locations"][0]["logicalLocations"][0]["fullyQualifiedName"], "host/tcp 0.0.0.0:80");
  EXPECT_EQ(r["properties"]["sockets"][0]["addr"], "0.0.0.0") << "everything that --json has";
  EXPECT_FALSE(r.contains("baselineState"));
}

TEST(Sarif, SeveritiesAreLevels) {
  const json log =
      document({result("wildcard-conflict", "critical"), result("wildcard-conflict", "warning"),
                result("wildcard-conflict", "info"), result("wildcard-conflict", "catastrophic")});
  Standard{log};
  std::vector<std::string> levels;
  for (const json& r : log["runs"][0]["results"])
    levels.push_back(r["level"]);
  EXPECT_EQ(levels, (std::vector<std::string>{"error", "warning", "note", "error"}));
}

TEST(Sarif, AFindingThatIsNotKnownHasNoRule) {
  const json log = document({result("of-a-newer-daemon", "warning")});
  Standard{log};
  EXPECT_EQ(log["runs"][0]["results"][0]["ruleId"], "of-a-newer-daemon");
  EXPECT_FALSE(log["runs"][0]["results"][0].contains("ruleIndex"));
}

TEST(Sarif, AFindingWithoutSocketsHasNoLocation) {
  SarifResult r = result("linger-zero", "info");
  r.finding.sockets.clear();
  const json log = document({r});
  Standard{log};
  EXPECT_FALSE(log["runs"][0]["results"][0].contains("locations"));
}

TEST(Sarif, SaysHowItComparesWithABaseline) {
  SarifResult fresh = result("linger-zero", "info");
  fresh.baseline_state = "new";
  SarifResult worse = result("linger-zero", "critical");
  worse.baseline_state = "updated";
  const json log = document({fresh, worse});
  Standard{log};
  EXPECT_EQ(log["runs"][0]["results"][0]["baselineState"], "new");
  EXPECT_EQ(log["runs"][0]["results"][1]["baselineState"], "updated");
}

// A process may call itself anything.
TEST(Sarif, BytesThatAreNoUtf8AreReplaced) {
  SarifResult r = result("linger-zero", "info");
  r.finding.summary = "\xff\xfe[1]";
  Standard{document({r})};
}

} // namespace
} // namespace bindlens::cli
