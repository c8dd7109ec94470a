#pragma once

// Findings of one namespace, as /v1/audit tells them.

#include "scenario.h"

namespace bindlens::test {

class AuditScenario : public Scenario {
 protected:
  // Of this namespace, with one id; `more` as "&port=1".
  std::vector<Json> found(const std::string& id, const std::string& more = "") {
    auto all = daemon().lines("/v1/audit?" + netns.query() + more);
    std::erase_if(all, [&](const Json& f) { return f["id"] != id; });
    return all;
  }
  Strings keys(const std::string& id, const std::string& more = "") {
    Strings all;
    for (const Json& f : found(id, more))
      all.push_back(f["key"]);
    return all;
  }
  // The one finding with that id; gives up when there is another number of them.
  Json one(const std::string& id, const std::string& severity, const std::string& more = "") {
    const auto all = found(id, more);
    EXPECT_EQ(all.size(), 1u) << id << "\n"
                              << Json(daemon().lines("/v1/audit?" + netns.query())).dump(1);
    if (all.size() != 1) return Json::object();
    EXPECT_EQ(all[0].value("severity", ""), severity) << all[0].dump(1);
    EXPECT_FALSE(all[0]["advice"].empty());
    EXPECT_FALSE(all[0]["detail"].get<std::string>().empty());
    return all[0];
  }
  bool told_soon(const std::string& id) {
    return eventually([&] { return !found(id).empty(); });
  }
  bool gone_soon(const std::string& id) {
    return eventually([&] { return found(id).empty(); });
  }
  void expect_none() {
    EXPECT_EQ(Json(daemon().lines("/v1/audit?" + netns.query())).dump(1), "[]");
  }
};

[[nodiscard]] inline bool says(const Json& finding, const std::string& text) {
  return finding.dump().find(text) != std::string::npos;
}

} // namespace bindlens::test
