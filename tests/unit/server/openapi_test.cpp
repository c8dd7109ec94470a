// docs/openapi.yaml against the server: what is described exists, and what
// exists is described.

#include "judged_group.h"
#include "raw_client.h"
#include "server_fixture.h"

#include <bindlens/protocol/query.h>
#include <bindlens/protocol/url.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include <set>

namespace bindlens::server {
namespace {

using nlohmann::json;
using test::RawClient;

class OpenApi : public testing::Test {
 protected:
  // Follows a local "$ref".
  [[nodiscard]] YAML::Node resolved(const YAML::Node& node) const {
    if (!node["$ref"]) return node;
    std::istringstream path(node["$ref"].as<std::string>().substr(2));
    YAML::Node at = YAML::Clone(document_);
    for (std::string part; std::getline(path, part, '/');)
      at = YAML::Clone(at[part]);
    return at;
  }
  [[nodiscard]] std::set<std::string> members(const std::string& schema) const {
    std::set<std::string> names;
    const YAML::Node node = document_["components"]["schemas"][schema];
    for (const auto& p : node["properties"])
      names.insert(p.first.as<std::string>());
    return names;
  }
  // Of a schema that is another one with more to it.
  [[nodiscard]] std::set<std::string> extra_members(const std::string& schema) const {
    std::set<std::string> names;
    for (const auto& part : document_["components"]["schemas"][schema]["allOf"])
      for (const auto& p : part["properties"])
        names.insert(p.first.as<std::string>());
    return names;
  }
  [[nodiscard]] std::set<std::string> values(const std::string& schema) const {
    std::set<std::string> names;
    for (const auto& v : document_["components"]["schemas"][schema]["enum"])
      names.insert(v.as<std::string>());
    return names;
  }
  test::RawReply request(const std::string& method, const std::string& target,
                         const std::string& body = {}) {
    RawClient client(server_.path());
    client.send(method + " " + target + " HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
    return client.reply();
  }

  YAML::Node document_ = YAML::LoadFile(BINDLENS_OPENAPI);
  test::RunningServer server_;
};

TEST_F(OpenApi, EveryPathHasExactlyItsMethods) {
  for (const auto& path : document_["paths"]) {
    const auto name = path.first.as<std::string>();
    for (const char* method : {"get", "post", "put", "delete", "patch"}) {
      std::string upper = method;
      for (char& c : upper)
        c = static_cast<char>(std::toupper(c));
      const auto r = request(upper, name);
      if (path.second[method])
        EXPECT_TRUE(r.status == 200 || r.status == 400) << upper << " " << name;
      else
        EXPECT_EQ(r.status, 405u) << upper << " " << name;
    }
  }
}

TEST_F(OpenApi, EveryPathOfTheServerIsDescribed) {
  const auto body = json::parse(request("GET", "/").body);
  std::istringstream words(body["error"].get<std::string>());
  size_t found = 0;
  for (std::string word; words >> word;) {
    if (!word.starts_with("/v1/")) continue;
    if (word.ends_with(',')) word.pop_back();
    EXPECT_TRUE(document_["paths"][word]) << word;
    ++found;
  }
  EXPECT_EQ(found, document_["paths"].size());
}

TEST_F(OpenApi, EveryParameterIsAcceptedAndNoOther) {
  const std::map<std::string, protocol::Listing> listings = {
      {"/v1/sockets", protocol::Listing::sockets}, {"/v1/failures", protocol::Listing::failures},
      {"/v1/events", protocol::Listing::events},   {"/v1/audit", protocol::Listing::findings},
      {"/v1/ports", protocol::Listing::ports},     {"/v1/timewait", protocol::Listing::timewait},
      {"/v1/reuseport", protocol::Listing::groups}};
  for (const auto& [path, listing] : listings) {
    std::set<std::string> described;
    for (const auto& entry : document_["paths"][path]["get"]["parameters"]) {
      const YAML::Node parameter = resolved(entry);
      const auto name = parameter["name"].as<std::string>();
      described.insert(name);
      const auto target =
          protocol::make_target(path, {{name, parameter["example"].as<std::string>()}});
      EXPECT_EQ(request("GET", target).status, 200u) << target;
    }
    const auto names = protocol::filter_names(listing);
    EXPECT_EQ(described, std::set<std::string>(names.begin(), names.end())) << path;
    const auto refused = request("GET", path + "?no_such=1");
    EXPECT_EQ(refused.status, 400u);
    EXPECT_EQ(json::parse(refused.body)["field"], "no_such");
  }
}

TEST_F(OpenApi, EveryMemberOfACheckIsAccepted) {
  const json values = {{"proto", "tcp"},    {"addr", "::1"},       {"port", 8080},
                       {"reuseaddr", true}, {"reuseport", true},   {"v6only", true},
                       {"listen", true},    {"uid", 33},           {"dev", "eth0"},
                       {"freebind", true},  {"transparent", true}, {"netns", "host"},
                       {"os", "freebsd"}};
  std::set<std::string> names;
  for (const auto& [name, value] : values.items())
    names.insert(name);
  EXPECT_EQ(members("CheckRequest"), names);
  EXPECT_EQ(request("POST", "/v1/check", values.dump()).status, 200u);
  EXPECT_EQ(request("POST", "/v1/check", R"({"no_such":1})").status, 400u);
}

TEST_F(OpenApi, AnswersHaveNoMemberThatIsNotDescribed) {
  const auto holder = test::process(812, "nginx", "nginx.service");
  model::Socket socket = test::listener(80);
  socket.flags.set(model::SocketFlag::linger);
  server_.in_loop([&] {
    auto& backend = server_.backend();
    backend.sockets.push_back({socket, holder, {{holder, 3}}});
    auto failure = std::make_shared<model::Failure>();
    failure->error = EADDRINUSE;
    failure->process = holder;
    failure->rule = model::Rule::listener;
    failure->explanation = "x";
    backend.kept_failures.push_back(failure);
    backend.current.hooks = {{"bind", "tracepoint", protocol::HookState::attached, "", ""}};
  });
  const auto first_of = [&](const std::string& target) {
    const std::string body = request("GET", target).body;
    return json::parse(body.substr(0, body.find('\n')));
  };
  const auto expect_described = [&](const std::string& target, const std::string& schema) {
    const auto described = members(schema);
    const auto answer = first_of(target);
    EXPECT_FALSE(answer.empty());
    for (const auto& [name, value] : answer.items())
      EXPECT_TRUE(described.contains(name)) << schema << "." << name;
  };
  expect_described("/v1/sockets", "Socket");
  expect_described("/v1/failures", "Failure");
  server_.in_loop([&] {
    model::Finding finding;
    finding.port = 80;
    finding.subject = "tcp 80 nginx";
    finding.deliveries = {{"any IPv4 address", "nginx[812]"}};
    finding.sockets.resize(1);
    finding.sockets[0].socket = socket;
    finding.sockets_left_out = 1;
    server_.backend().findings = {finding};
  });
  expect_described("/v1/audit", "Finding");
  server_.in_loop([&] {
    model::Event e;
    e.type = model::EventType::audit;
    e.finding = std::make_shared<const model::Finding>(server_.backend().findings[0]);
    server_.backend().kept_events = {e};
  });
  expect_described("/v1/events", "Event");
  server_.in_loop([&] { server_.backend().timewait_table = test::timewait_table(); });
  expect_described("/v1/timewait", "TimeWait");
  const auto reuse = first_of("/v1/timewait")["reuses"][0];
  for (const auto& [name, value] : reuse.items())
    EXPECT_TRUE(members("Reuse").contains(name)) << name;
  server_.in_loop([&] { server_.backend().port_report = test::port_report(); });
  expect_described("/v1/ports", "PortReport");
  const auto ports = json::parse(request("GET", "/v1/ports").body)["namespaces"][0];
  const auto expect_members = [&](const json& object, const std::set<std::string>& described) {
    for (const auto& [name, value] : object.items())
      EXPECT_TRUE(described.contains(name)) << name;
  };
  expect_members(ports, members("PortUse"));
  expect_members(ports["destinations"][0], members("Destination"));
  server_.in_loop([&] { server_.backend().groups = {test::judged_group()}; });
  expect_described("/v1/reuseport", "Group");
  auto described = members("Socket");
  described.merge(extra_members("Member"));
  expect_members(json::parse(request("GET", "/v1/reuseport").body)["members"][1], described);
  expect_described("/v1/status", "Status");
  expect_described("/v1/verify", "VerifyReport");
  expect_described("/v1/nowhere", "Error");
}

TEST_F(OpenApi, EnumerationsAreThoseOfTheProgram) {
  std::set<std::string> rules;
  for (int r = 1; r < 256; ++r)
    if (const auto name = to_string(static_cast<model::Rule>(r)); !name.empty())
      rules.emplace(name);
  EXPECT_EQ(values("Rule"), rules);
  std::set<std::string> states;
  std::set<std::string> types;
  for (int i = 0; i < 256; ++i) {
    if (const auto name = to_string(static_cast<model::State>(i)); !name.empty())
      states.emplace(name);
    if (const auto name = to_string(static_cast<model::EventType>(i)); !name.empty())
      types.emplace(name);
  }
  EXPECT_EQ(values("State"), states);
  EXPECT_EQ(values("EventType"), types);
  std::set<std::string> findings;
  for (const model::FindingId id : model::all_finding_ids())
    findings.emplace(to_string(id));
  EXPECT_EQ(values("FindingId"), findings);
  std::set<std::string> severities;
  for (int i = 0; i < 256; ++i)
    if (const auto name = to_string(static_cast<model::Severity>(i)); !name.empty())
      severities.emplace(name);
  EXPECT_EQ(values("Severity"), severities);
  std::set<std::string> verdicts;
  std::set<std::string> causes;
  std::set<std::string> measures;
  for (int i = 0; i < 256; ++i) {
    if (const auto name = to_string(static_cast<model::Verdict>(i)); !name.empty())
      verdicts.emplace(name);
    if (const auto name = to_string(static_cast<model::Cause>(i)); !name.empty())
      causes.emplace(name);
    if (const auto name = to_string(static_cast<model::Measure>(i)); !name.empty())
      measures.emplace(name);
  }
  EXPECT_EQ(values("Verdict"), verdicts);
  EXPECT_EQ(values("Cause"), causes);
  EXPECT_EQ(values("Measure"), measures);
}

} // namespace
} // namespace bindlens::server
