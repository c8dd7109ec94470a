// Every command against a daemon that answers.

#include "program.h"
#include "server_fixture.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

namespace bindlens::test {
namespace {

using nlohmann::json;

class Commands : public testing::Test {
 protected:
  void SetUp() override {
    const auto nginx = process(812, "nginx", "nginx.service");
    auto& backend = server_.backend();
    backend.sockets = {{listener(443), nginx, {{nginx, 6}}},
                       {listener(80), nginx, {{nginx, 5}, {nginx, 7}}}};
    auto failure = std::make_shared<model::Failure>();
    failure->id = 1;
    failure->time = failure->first_time = monotonic_now();
    failure->error = EADDRINUSE;
    failure->asked = *model::parse_endpoint("0.0.0.0:8080");
    failure->netns = 4026531840;
    failure->process = nginx;
    failure->rule = model::Rule::listener;
    failure->explanation = "node[3340] listens on 127.0.0.1:8080.";
    model::Blocker blocker;
    blocker.socket = listener(8080, model::Address::v4(127, 0, 0, 1));
    blocker.holders = {{process(3340, "node"), 19}};
    blocker.holders_known = true;
    failure->blockers = {blocker};
    backend.kept_failures = {failure};
    model::Event event;
    event.id = 1;
    event.time = monotonic_now();
    event.type = model::EventType::fail;
    event.failure = failure;
    backend.kept_events = {event};
    backend.current.version = "0.1.0";
    backend.current.tier = "tracepoint";
    backend.current.sockets = 2;
    backend.report.sockets = 2;
  }
  Outcome bindlens(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--socket", server_.path()});
    return run(arguments);
  }
  RunningServer server_;
};

size_t count_lines(const std::string& text) {
  return static_cast<size_t>(std::ranges::count(text, '\n'));
}

TEST_F(Commands, LsShowsATable) {
  const auto r = bindlens({"ls"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(count_lines(r.out), 3u);
  EXPECT_TRUE(r.out.starts_with("PROTO")) << r.out;
  EXPECT_LT(r.out.find(":80 "), r.out.find(":443 ")) << "sorted by port";
  EXPECT_NE(r.out.find("nginx[812] fd 5 +1"), std::string::npos);
  EXPECT_EQ(r.out.find('\033'), std::string::npos);
  EXPECT_EQ(r.err, "");
}

TEST_F(Commands, LsFilters) {
  EXPECT_EQ(count_lines(bindlens({"ls", "--port", "443,1000-2000"}).out), 2u);
  EXPECT_EQ(count_lines(bindlens({"ls", "--port", "443", "--port", "80"}).out), 3u);
  EXPECT_EQ(count_lines(bindlens({"ls", "--uid", "www-data", "--netns", "host"}).out), 3u);
  const auto none = bindlens({"ls", "--comm", "apache"});
  EXPECT_EQ(none.exit_code, 0);
  EXPECT_EQ(none.out, "");
  EXPECT_NE(none.err.find("no socket matches"), std::string::npos);
}

TEST_F(Commands, LsSendsSwitches) {
  EXPECT_EQ(bindlens({"ls", "--all", "--wide"}).exit_code, 0);
  const auto query = server_.in_loop([&] { return server_.backend().last_query; });
  EXPECT_TRUE(query.all);
  EXPECT_TRUE(query.wide);
}

TEST_F(Commands, LsGivesJsonLines) {
  const auto r = bindlens({"ls", "--json", "--limit", "1"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(json::parse(r.out)["port"], 443);
  EXPECT_EQ(bindlens({"ls", "--json", "--port", "1"}).out, "");
}

TEST_F(Commands, WhyExplains) {
  for (const char* target : {"8080", "0.0.0.0:8080", "*:8080"}) {
    const auto r = bindlens({"why", target});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_TRUE(r.out.starts_with("EADDRINUSE  bind tcp 0.0.0.0:8080")) << r.out;
    EXPECT_NE(r.out.find("rule listener"), std::string::npos);
    EXPECT_NE(r.out.find("node[3340] fd 19"), std::string::npos);
  }
  EXPECT_EQ(bindlens({"why"}).exit_code, 0);
  EXPECT_EQ(bindlens({"why", "8080", "--rule", "listener"}).exit_code, 0);
}

TEST_F(Commands, WhyGivesJson) {
  const auto r = bindlens({"why", "--json", "8080"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(json::parse(r.out)["rule"], "listener");
}

TEST_F(Commands, WhyWithoutAFailureSaysWhatElseToTry) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"why", "81"}, {"why", "10.0.0.1:8080"}, {"why", "--port", "81"}}) {
    const auto r = bindlens(arguments);
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_EQ(r.out, "");
    EXPECT_NE(r.err.find("bindlens ls"), std::string::npos);
    EXPECT_NE(r.err.find("bindlens check"), std::string::npos);
  }
  const auto as_json = bindlens({"why", "81", "--json"});
  EXPECT_EQ(as_json.exit_code, 1);
  EXPECT_EQ(as_json.out, "");
}

TEST_F(Commands, EventsAreLines) {
  const auto r = bindlens({"events"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_NE(r.out.find("EADDRINUSE  bind tcp 0.0.0.0:8080  nginx[812]"), std::string::npos);
  EXPECT_EQ(json::parse(bindlens({"events", "--json"}).out)["type"], "fail");
  EXPECT_EQ(bindlens({"events", "--type", "bind"}).out, "");
  const auto since = bindlens({"events", "--since", "1h"});
  EXPECT_NE(since.out, "") << since.exit_code << since.err;
  EXPECT_EQ(bindlens({"events", "--until", "1h"}).out, "");
}

TEST_F(Commands, EventsFollow) {
  for (const bool as_json : {false, true}) {
    std::vector<std::string> arguments = {"events", "--follow", "--socket", server_.path()};
    if (as_json) arguments.emplace_back("--json");
    Running follower(arguments);
    EXPECT_NE(follower.next_line().find("EADDRINUSE"), std::string::npos) << "history first";
    ASSERT_TRUE(server_.wait_until([&] { return server_.backend().subscribers() == 1; }));
    model::Event event;
    event.type = model::EventType::bind;
    event.socket = listener(9999);
    server_.in_loop([&] { server_.backend().emit(event); });
    EXPECT_NE(follower.next_line().find("9999"), std::string::npos) << "at once, not when full";
    follower.interrupt();
    EXPECT_EQ(follower.finish().exit_code, -1);
    ASSERT_TRUE(server_.wait_until([&] { return server_.backend().subscribers() == 0; }));
  }
}

TEST_F(Commands, StatusAndItsJson) {
  const auto r = bindlens({"status"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_TRUE(r.out.starts_with("bindlensd 0.1.0")) << r.out;
  EXPECT_EQ(json::parse(bindlens({"status", "--json"}).out)["table"]["sockets"], 2);
}

TEST_F(Commands, VerifyTellsByItsExitCode) {
  const auto same = bindlens({"verify"});
  EXPECT_EQ(same.exit_code, 0);
  EXPECT_TRUE(same.out.starts_with("differences: 0\n"));
  server_.in_loop([&] {
    server_.backend().report.differences = 1;
    server_.backend().report.list = {{"stale", listener(80), "the kernel has it no more"}};
  });
  const auto different = bindlens({"verify"});
  EXPECT_EQ(different.exit_code, 1);
  EXPECT_NE(different.out.find("stale  tcp 0.0.0.0:80"), std::string::npos);
  const auto as_json = bindlens({"verify", "--json"});
  EXPECT_EQ(as_json.exit_code, 1);
  EXPECT_EQ(json::parse(as_json.out)["differences"], 1);
}

TEST_F(Commands, CheckTellsByItsExitCode) {
  server_.in_loop([&] { server_.backend().check_reply.would_succeed = true; });
  EXPECT_EQ(bindlens({"check", "tcp", "*:8080"}).exit_code, 0);
  server_.in_loop([&] {
    auto& reply = server_.backend().check_reply;
    reply.would_succeed = false;
    reply.error = EADDRINUSE;
    reply.rule = model::Rule::time_wait;
  });
  const auto refused = bindlens({"check", "tcp", "*:8080"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.out.find("rule time-wait"), std::string::npos);
  EXPECT_EQ(json::parse(bindlens({"check", "tcp", "*:8080", "--json"}).out)["errno"], "EADDRINUSE");
}

TEST_F(Commands, CheckSendsItsFlags) {
  const auto r = bindlens({"check", "tcp", "[::1]:8080", "--reuseaddr", "--reuseport",
                           "--no-v6only", "--listen", "--uid", "www-data", "--dev", "eth0",
                           "--freebind", "--transparent", "--netns", "web-1", "--os", "macos"});
  EXPECT_EQ(r.exit_code, 1) << r.err;
  const auto sent = server_.in_loop([&] { return server_.backend().last_check; });
  EXPECT_EQ(sent.at, *model::parse_endpoint("[::1]:8080"));
  EXPECT_TRUE(sent.reuseaddr && sent.reuseport && sent.listen && sent.freebind && sent.transparent);
  EXPECT_EQ(sent.v6only, false);
  EXPECT_EQ(sent.uid, 33u);
  EXPECT_EQ(sent.dev, "eth0");
  EXPECT_EQ(sent.netns, "web-1");
  EXPECT_EQ(sent.os, "macos");
}

model::Finding finding(model::FindingId id, model::Severity severity, uint16_t port) {
  model::Finding f;
  f.id = id;
  f.severity = severity;
  f.port = port;
  f.netns = 4026531840;
  f.summary = "nginx[812] has it";
  f.detail = "It will fail.";
  f.advice = {"change it"};
  f.subject = "tcp " + std::to_string(port) + " nginx";
  f.sockets.resize(1);
  f.sockets[0].socket = listener(port);
  return f;
}

TEST_F(Commands, AuditTellsTheFindings) {
  const auto none = bindlens({"audit"});
  EXPECT_EQ(none.exit_code, 0) << none.err;
  EXPECT_EQ(none.out, "no findings\n");
  server_.in_loop([&] {
    server_.backend().findings = {
        finding(model::FindingId::wildcard_conflict, model::Severity::critical, 80),
        finding(model::FindingId::linger_zero, model::Severity::warning, 81)};
  });
  const auto r = bindlens({"audit", "--port", "80,81", "--idle", "5"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_NE(r.out.find("critical  wildcard-conflict"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("warning   linger-zero"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("2 findings: 1 critical, 1 warning"), std::string::npos) << r.out;
  const auto query = server_.in_loop([&] { return server_.backend().last_audit; });
  EXPECT_EQ(query.idle_s, 5u);
  EXPECT_EQ(query.filter.ports.size(), 2u);
  const auto as_json = bindlens({"audit", "--json", "--limit", "1"});
  EXPECT_EQ(json::parse(as_json.out)["key"], "wildcard-conflict host tcp 80 nginx");
}

TEST_F(Commands, TimewaitTellsWhatHoldsAPort) {
  const auto none = bindlens({"timewait"});
  EXPECT_EQ(none.exit_code, 0) << none.err;
  EXPECT_EQ(none.out, "no port is held by TIME_WAIT, and no reuse of one was seen\n");
  server_.in_loop([&] { server_.backend().timewait_table = timewait_table(); });
  const auto r = bindlens({"timewait", "8080", "--netns", "host"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_NE(r.out.find("37 in TIME_WAIT"), std::string::npos) << r.out;
  const auto asked = server_.in_loop([&] { return server_.backend().last_timewait; });
  EXPECT_EQ(asked.single_port(), 8080);
  EXPECT_EQ(asked.netns, 4026531840u);
  const auto as_json = bindlens({"timewait", "--json"});
  EXPECT_EQ(count_lines(as_json.out), 2u) << "one object per port";
  EXPECT_EQ(json::parse(as_json.out.substr(0, as_json.out.find('\n')))["count"], 37)
      << "the greatest first";
  EXPECT_EQ(count_lines(bindlens({"timewait", "--json", "-n", "1"}).out), 1u);
}

TEST_F(Commands, PortsTellsWhatIsInUse) {
  server_.in_loop([&] { server_.backend().port_report = port_report(); });
  const auto r = bindlens({"ports", "--to", "10.0.0.9:5432", "--addr", "10.0.0.5", "-n", "3"});
  EXPECT_EQ(r.exit_code, 0) << "a warning is no failure: " << r.err;
  EXPECT_NE(r.out.find("namespace host: 1,000 ports"), std::string::npos) << r.out;
  EXPECT_NE(r.out.find("100 left"), std::string::npos) << r.out;
  const auto query = server_.in_loop([&] { return server_.backend().last_ports; });
  EXPECT_EQ(query.to, model::parse_address("10.0.0.9"));
  EXPECT_EQ(query.to_port, 5432);
  EXPECT_EQ(query.from, model::parse_address("10.0.0.5"));
  EXPECT_EQ(query.destinations, 3u);
  EXPECT_FALSE(query.netns);
  const auto as_json = bindlens({"ports", "--json", "--netns", "host"});
  EXPECT_EQ(count_lines(as_json.out), 1u) << "one object";
  EXPECT_EQ(json::parse(as_json.out)["namespaces"][0]["destinations"][0]["left"], 100);
  EXPECT_TRUE(server_.in_loop([&] { return server_.backend().last_ports.netns.has_value(); }));
  server_.in_loop([&] { server_.backend().broken = "the tables cannot be read"; });
  const auto broken = bindlens({"ports"});
  EXPECT_EQ(broken.exit_code, 4);
  EXPECT_NE(broken.err.find("the tables cannot be read"), std::string::npos) << broken.err;
}

TEST_F(Commands, AuditFailsOnWhatIsSevereEnough) {
  server_.in_loop([&] {
    server_.backend().findings = {
        finding(model::FindingId::linger_zero, model::Severity::warning, 81)};
  });
  EXPECT_EQ(bindlens({"audit", "--fail-on", "critical"}).exit_code, 0);
  EXPECT_EQ(bindlens({"audit", "--fail-on", "warning"}).exit_code, 1);
  EXPECT_EQ(bindlens({"audit", "--fail-on", "info", "--json"}).exit_code, 1);
  const auto ignored = bindlens({"audit", "--fail-on", "info", "--ignore", "linger-zero"});
  EXPECT_EQ(ignored.exit_code, 0);
  EXPECT_EQ(ignored.out, "no findings\n");
}

TEST_F(Commands, AuditIgnoresByIdAndPort) {
  server_.in_loop([&] {
    server_.backend().findings = {
        finding(model::FindingId::linger_zero, model::Severity::warning, 81),
        finding(model::FindingId::linger_zero, model::Severity::warning, 82),
        finding(model::FindingId::wildcard_conflict, model::Severity::warning, 81)};
  });
  const auto count = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"audit", "--json"});
    return count_lines(bindlens(arguments).out);
  };
  EXPECT_EQ(count({"--ignore", "linger-zero"}), 1u);
  EXPECT_EQ(count({"--ignore", "linger-zero:81"}), 2u);
  EXPECT_EQ(count({"--ignore", "linger-zero:81", "--ignore", "wildcard-conflict"}), 1u);
  EXPECT_EQ(count({"--ignore", "linger-zero:81,wildcard-conflict:81"}), 1u);
  EXPECT_EQ(count({"--ignore", "linger-zero:83"}), 3u);
}

TEST_F(Commands, AuditComparesWithABaseline) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("known.json");
  auto known = finding(model::FindingId::linger_zero, model::Severity::warning, 81);
  server_.in_loop([&] { server_.backend().findings = {known}; });
  std::ofstream(path) << bindlens({"audit", "--json"}).out;
  const auto again = bindlens({"audit", "--baseline", path, "--fail-on", "info"});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, "beyond the baseline: no findings\n");
  known.summary = "nginx[4000] has it"; // started again
  auto worse = known;
  worse.severity = model::Severity::critical;
  server_.in_loop([&] { server_.backend().findings = {worse, known}; });
  const auto changed = bindlens({"audit", "--json", "--baseline", path});
  EXPECT_EQ(count_lines(changed.out), 1u) << "only what has become more severe";
  // One without findings: everything is new.
  std::ofstream(path) << "";
  EXPECT_EQ(count_lines(bindlens({"audit", "--json", "--baseline", path}).out), 2u);
  // One whose findings this version does not know.
  std::ofstream(path) << R"({"id":"new","severity":"info","key":"new host tcp 1 x"})"
                      << "\n";
  EXPECT_EQ(bindlens({"audit", "--baseline", path}).exit_code, 0);
  std::ofstream(path) << bindlens({"audit", "--sarif"}).out;
  EXPECT_NE(bindlens({"audit", "--baseline", path}).err.find("line 1 is no finding; write one"),
            std::string::npos);
  std::ofstream(path) << "{\"id\":1}\n";
  const auto broken = bindlens({"audit", "--baseline", path});
  EXPECT_EQ(broken.exit_code, 2);
  EXPECT_NE(broken.err.find("line 1 is no finding"), std::string::npos) << broken.err;
}

TEST_F(Commands, AuditAsSarif) {
  server_.in_loop([&] {
    server_.backend().findings = {
        finding(model::FindingId::wildcard_conflict, model::Severity::critical, 80),
        finding(model::FindingId::linger_zero, model::Severity::warning, 81)};
  });
  const auto r = bindlens({"audit", "--sarif", "--ignore", "linger-zero", "--fail-on", "critical"});
  EXPECT_EQ(r.exit_code, 1) << "as without it";
  const json log = json::parse(r.out);
  EXPECT_EQ(log["version"], "2.1.0");
  ASSERT_EQ(log["runs"][0]["results"].size(), 1u);
  EXPECT_EQ(log["runs"][0]["results"][0]["partialFingerprints"]["bindlensKey/v1"],
            "wildcard-conflict host tcp 80 nginx");
  EXPECT_EQ(bindlens({"audit", "--sarif", "--fail-on", "critical", "--ignore", "wildcard-conflict"})
                .exit_code,
            0);
  const auto down = run({"audit", "--sarif", "--socket", "/nonexistent"});
  EXPECT_EQ(down.exit_code, 3);
  EXPECT_EQ(down.out, "") << "half a document is none";
}

TEST_F(Commands, AuditExplainsWithoutADaemon) {
  const auto r = run({"audit", "--explain", "linger-zero", "--socket", "/nonexistent"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_TRUE(r.out.starts_with("## linger-zero\n")) << r.out;
  EXPECT_EQ(r.out.find("privileged"), std::string::npos) << "one page";
  EXPECT_EQ(run({"audit", "--explain", "reuseport-skew"}).exit_code, 0);
}

TEST_F(Commands, GlobalFlagsStandAnywhere) {
  EXPECT_EQ(run({"--socket", server_.path(), "--json", "ls"}).exit_code, 0);
  EXPECT_EQ(run({"ls", "--json", "--socket", server_.path()}).exit_code, 0);
  EXPECT_EQ(
      run({"status"}, {.user = {}, .variables = {"BINDLENS_SOCKET=" + server_.path()}}).exit_code,
      0);
}

TEST_F(Commands, ColorIsThereWhenAskedFor) {
  EXPECT_NE(bindlens({"why", "--color", "always"}).out.find("\033[1;31m"), std::string::npos);
  EXPECT_EQ(bindlens({"why", "--color", "auto"}).out.find('\033'), std::string::npos);
}

} // namespace
} // namespace bindlens::test
