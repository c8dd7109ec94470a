#include <bindlens/protocol/json.h>
#include <bindlens/protocol/view.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cerrno>

namespace bindlens::protocol {
namespace {

using model::SocketFlag;
using nlohmann::ordered_json;

class FixedNames final : public Names {
 public:
  [[nodiscard]] std::string user(uint32_t uid) const override {
    return uid == 33 ? "www-data" : "";
  }
  [[nodiscard]] std::string netns(uint32_t inode) const override {
    return inode == 7 ? "web-1" : "";
  }
  [[nodiscard]] std::string dev(uint32_t, uint32_t index) const override {
    return index == 2 ? "eth0" : "";
  }
};

model::ProcessRef make_process(uint32_t pid, std::string comm) {
  model::Process p;
  p.pid = pid;
  p.uid = 33;
  p.comm = std::move(comm);
  p.ppid = 1;
  return std::make_shared<const model::Process>(std::move(p));
}

model::Socket make_socket(std::string_view at) {
  model::Socket s;
  s.local = *model::parse_endpoint(at);
  s.state = model::State::listen;
  s.netns = 7;
  s.uid = 33;
  return s;
}

std::string row_text(const SocketRow& row) {
  std::string out;
  RowWriter().append(out, row);
  return out;
}

std::vector<std::string> keys(const ordered_json& object) {
  std::vector<std::string> out;
  for (const auto& [key, value] : object.items())
    out.push_back(key);
  return out;
}

TEST(SocketJson, HasEveryMemberInOrder) {
  SocketRow row;
  row.socket = make_socket("[::1]:8080");
  row.socket.flags.set(SocketFlag::reuseaddr);
  row.socket.flags.set(SocketFlag::v6only);
  row.socket.flags.set(SocketFlag::linger);
  row.socket.peer = *model::parse_endpoint("[2001:db8::7]:99");
  row.socket.cookie = 0x1a2b;
  row.socket.backlog = 3;
  row.socket.max_backlog = 128;
  row.user = "www-data";
  row.netns_name = "web-1";
  row.dev = "eth0";
  row.bound_by = model::BoundBy::bind;
  row.bound_at = 1;
  row.binder = make_process(7, "nginx");
  row.holders = {{row.binder, 6}};
  model::BucketState bucket;
  bucket.fastreuse = -1;
  bucket.open_to = model::OpenTo::reuseport;
  bucket.open_uid = 33;
  bucket.because = "it is so";
  row.bucket = &bucket;
  const auto json = ordered_json::parse(row_text(row));
  EXPECT_EQ(keys(json), (std::vector<std::string>{
                            "proto",  "family",  "addr",       "port",      "v6only",   "dev",
                            "state",  "peer",    "reuseaddr",  "reuseport", "linger",   "uid",
                            "user",   "netns",   "netns_name", "cookie",    "bound_by", "bound_at",
                            "binder", "holders", "backlog",    "bucket"}));
  EXPECT_EQ(json["addr"], "::1");
  EXPECT_EQ(json["peer"], "[2001:db8::7]:99");
  EXPECT_EQ(json["linger"], 0);
  EXPECT_EQ(json["cookie"], "1a2b");
  EXPECT_EQ(json["holders"][0]["fd"], 6);
  EXPECT_EQ(json["bucket"], (ordered_json{{"fastreuse", -1},
                                          {"fastreuseport", 0},
                                          {"fastuid", 0},
                                          {"open_to", "reuseport"},
                                          {"open_uid", 33},
                                          {"because", "it is so"}}));
  EXPECT_EQ(read_socket(json.dump())->bucket->open_uid, 33u);
}

TEST(SocketJson, LeavesOutWhatIsNotKnown) {
  SocketRow row;
  row.socket = make_socket("0.0.0.0:80");
  row.socket.state = model::State::bound;
  row.holders_known = false;
  EXPECT_EQ(keys(ordered_json::parse(row_text(row))),
            (std::vector<std::string>{"proto", "family", "addr", "port", "state", "reuseaddr",
                                      "reuseport", "uid", "netns"}));
}

TEST(SocketJson, GivesTimeWaitNoOwner) {
  SocketRow row;
  row.socket = make_socket("127.0.0.1:80");
  row.socket.state = model::State::time_wait;
  row.socket.flags.set(SocketFlag::timewait);
  row.socket.tw_left_ms = 41000;
  row.user = "root";
  const auto json = ordered_json::parse(row_text(row));
  EXPECT_FALSE(json.contains("uid"));
  EXPECT_FALSE(json.contains("user"));
  EXPECT_EQ(json["timewait_left_ms"], 41000);
}

TEST(SocketJson, EndsWithANewlineAndSharesProcessText) {
  RowWriter writer;
  std::string out;
  SocketRow row;
  row.socket = make_socket("127.0.0.1:80");
  const auto shared = make_process(7, "nginx");
  const auto other = make_process(8, "node");
  for (const auto& holder : {shared, other, shared}) {
    row.holders = {{holder, 1}};
    writer.append(out, row);
  }
  std::vector<std::string> comms;
  size_t from = 0;
  for (size_t end = 0; (end = out.find('\n', from)) != std::string::npos; from = end + 1)
    comms.push_back(
        ordered_json::parse(out.substr(from, end - from))["holders"][0]["comm"].get<std::string>());
  EXPECT_EQ(comms, (std::vector<std::string>{"nginx", "node", "nginx"}));
  EXPECT_EQ(from, out.size());
}

TEST(SocketJson, PrintsIpv4AsEverybodyDoes) {
  for (const char* addr : {"0.0.0.0", "255.255.255.255", "10.0.200.3", "127.0.0.1"}) {
    SocketRow row;
    row.socket = make_socket(std::string(addr) + ":1");
    EXPECT_EQ(ordered_json::parse(row_text(row))["addr"], addr);
  }
}

struct OddText {
  const char* description;
  std::string bytes, expected;
};

class Escaping : public testing::TestWithParam<OddText> {};

TEST_P(Escaping, GivesValidUtf8Json) {
  SocketRow row;
  row.socket = make_socket("127.0.0.1:80");
  row.binder = make_process(7, GetParam().bytes);
  const auto text = row_text(row);
  const auto json = ordered_json::parse(text, nullptr, false); // strict about UTF-8
  ASSERT_FALSE(json.is_discarded()) << text;
  EXPECT_EQ(json["binder"]["comm"], GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    Comm, Escaping,
    testing::Values(OddText{"quotes", "a\"b\\c", "a\"b\\c"},
                    OddText{"controls", "a\n\t\r\x01\x1b[31m\x7f", "a\n\t\r\x01\x1b[31m\x7f"},
                    OddText{"utf-8", "ünï日😀", "ünï日😀"},
                    OddText{"stray bytes", "a\xff\xfe z", "a\xEF\xBF\xBD\xEF\xBF\xBD z"},
                    OddText{"cut sequence", "ab\xe6\x97", "ab\xEF\xBF\xBD\xEF\xBF\xBD"},
                    OddText{"overlong", "\xc0\xaf", "\xEF\xBF\xBD\xEF\xBF\xBD"},
                    OddText{"surrogate", "\xed\xa0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
                    OddText{"too large", "\xf4\x90\x80\x80",
                            "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
                    OddText{"lone continuation", "\x80x", "\xEF\xBF\xBDx"}),
    [](const auto& test) {
      std::string name = test.param.description;
      for (char& c : name)
        if (c == ' ' || c == '-') c = '_';
      return name;
    });

model::Failure make_failure() {
  model::Failure f;
  f.id = 9;
  f.time = 2'000'000'000;
  f.first_time = 1'000'000'000;
  f.count = 6;
  f.error = EADDRINUSE;
  f.asked = *model::parse_endpoint("0.0.0.0:8080");
  f.flags.set(SocketFlag::reuseaddr);
  f.uid = 33;
  f.netns = 7;
  f.dev = 2;
  f.process = make_process(4121, "nginx");
  f.tid = 4122;
  f.rule = model::Rule::listener;
  f.explanation = "node[3340] listens";
  f.advice = {"stop it", "bind elsewhere"};
  model::Blocker b;
  b.socket = make_socket("127.0.0.1:8080");
  b.rule = model::Rule::listener;
  b.relation = model::Relation::requester_is_wildcard;
  b.bound_at = 500'000'000;
  b.binder = make_process(3311, "node");
  b.binder_exited = true;
  b.holders = {{make_process(3340, "node"), 19}};
  b.holders_known = true;
  f.blockers = {b};
  return f;
}

TEST(FindingJson, ComesBackWhole) {
  model::Finding f;
  f.id = model::FindingId::wildcard_conflict;
  f.severity = model::Severity::critical;
  f.summary = "a \"quoted\" name";
  f.detail = "It will fail.";
  f.port = 80;
  f.netns = 7;
  f.subject = "tcp 80 nginx,node";
  f.deliveries = {{"127.0.0.1", "node[20]"}};
  model::Blocker b;
  b.socket = make_socket("0.0.0.0:80");
  b.holders = {{make_process(7, "nginx"), 6}};
  b.holders_known = true;
  f.sockets = {b};
  f.sockets_left_out = 2;
  f.advice = {"change it"};
  std::string text;
  append_finding(text, f, FixedNames());
  EXPECT_TRUE(text.ends_with("}\n"));
  EXPECT_EQ(keys(ordered_json::parse(text)),
            (std::vector<std::string>{"id", "severity", "summary", "detail", "proto", "port",
                                      "netns", "netns_name", "key", "delivery", "sockets",
                                      "sockets_left_out", "advice"}));
  EXPECT_FALSE(ordered_json::parse(text)["sockets"][0].contains("necessary"));
  const auto view = read_finding(text);
  ASSERT_TRUE(view) << view.error().text;
  EXPECT_EQ(view->key, "wildcard-conflict web-1 tcp 80 nginx,node");
  EXPECT_EQ(view->severity, "critical");
  EXPECT_EQ(view->summary, f.summary);
  EXPECT_EQ(view->port, 80);
  EXPECT_EQ(view->delivery.at(0).receiver, "node[20]");
  EXPECT_EQ(view->sockets.at(0).holders->at(0).fd, 6);
  EXPECT_EQ(view->sockets_left_out, 2u);
  EXPECT_EQ(view->advice, f.advice);
}

TEST(FindingJson, LeavesOutWhatIsNotThere) {
  model::Finding f;
  f.subject = "tcp ephemeral";
  std::string text;
  append_finding(text, f, FixedNames());
  EXPECT_EQ(keys(ordered_json::parse(text)),
            (std::vector<std::string>{"id", "severity", "summary", "detail", "proto", "netns",
                                      "key", "sockets", "advice"}));
  EXPECT_EQ(ordered_json::parse(text)["key"], "wildcard-conflict - tcp ephemeral");
  EXPECT_FALSE(read_finding("[]"));
  EXPECT_FALSE(read_finding(R"({"port":"80"})"));
}

TEST(FailureJson, ComesBackWhole) {
  std::string text;
  append_failure(text, make_failure(), FixedNames());
  const auto f = read_failure(text);
  ASSERT_TRUE(f.has_value()) << f.error().text;
  EXPECT_EQ(f->id, 9u);
  EXPECT_EQ(f->call, "bind");
  EXPECT_EQ(f->error, "EADDRINUSE");
  EXPECT_EQ(f->asked.addr, "0.0.0.0");
  EXPECT_EQ(f->asked.port, 8080);
  EXPECT_TRUE(f->asked.reuseaddr);
  EXPECT_EQ(f->asked.dev, "eth0");
  EXPECT_EQ(f->asked.user, "www-data");
  EXPECT_EQ(f->asked.netns_name, "web-1");
  EXPECT_EQ(f->process->pid, 4121u);
  EXPECT_EQ(f->process->tid, 4122u);
  EXPECT_EQ(f->count, 6u);
  EXPECT_EQ(f->time - f->first_time, 1'000'000'000);
  EXPECT_EQ(f->rule, "listener");
  EXPECT_EQ(f->advice.size(), 2u);
  EXPECT_EQ(f->evidence, "observed");
  ASSERT_EQ(f->holders.size(), 1u);
  const SocketView& holder = f->holders[0];
  EXPECT_EQ(holder.relation, "requester-is-wildcard");
  EXPECT_TRUE(holder.binder_exited);
  EXPECT_EQ(holder.binder->comm, "node");
  ASSERT_EQ(holder.holders->size(), 1u);
  EXPECT_EQ(holder.holders->front().fd, 19);
  EXPECT_EQ(f->time - *holder.bound_at, 1'500'000'000);
}

TEST(EventJson, ComesBackByType) {
  model::Event e;
  e.id = 3;
  e.type = model::EventType::bind;
  e.socket = make_socket("127.0.0.1:80");
  e.process = make_process(7, "nginx");
  std::string text;
  append_event(text, e, FixedNames());
  auto back = read_event(text);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->type, "bind");
  EXPECT_EQ(back->socket.port, 80);
  EXPECT_EQ(back->process->comm, "nginx");

  e.type = model::EventType::fail;
  e.failure = std::make_shared<const model::Failure>(make_failure());
  text.clear();
  append_event(text, e, FixedNames());
  back = read_event(text);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->id, 3u) << "the event's id, not the failure's";
  EXPECT_EQ(back->failure->rule, "listener");

  e.type = model::EventType::gap;
  e.lost = 12;
  text.clear();
  append_event(text, e, FixedNames());
  EXPECT_EQ(read_event(text)->lost, 12u);

  text.clear();
  append_reader_gap(text, 5);
  back = read_event(text);
  EXPECT_EQ(back->type, "gap");
  EXPECT_EQ(back->lost, 5u);
  EXPECT_FALSE(back->reason.empty());
}

TEST(EventJson, OfAFindingComesBackWhole) {
  model::Finding f;
  f.id = model::FindingId::linger_zero;
  f.severity = model::Severity::warning;
  f.port = 80;
  f.netns = 7;
  f.subject = "tcp 80 nginx";
  f.sockets.resize(1);
  f.sockets[0].socket = make_socket("127.0.0.1:80");
  model::Event e;
  e.id = 9;
  e.type = model::EventType::audit;
  e.finding = std::make_shared<const model::Finding>(f);
  for (const bool resolved : {false, true}) {
    e.resolved = resolved;
    std::string text;
    append_event(text, e, FixedNames());
    EXPECT_EQ(keys(ordered_json::parse(text)),
              (std::vector<std::string>{"id", "time", "type", "resolved", "finding"}));
    EXPECT_EQ(std::ranges::count(text, '\n'), 1);
    const auto back = read_event(text);
    ASSERT_TRUE(back.has_value()) << back.error().text;
    EXPECT_EQ(back->type, "audit");
    EXPECT_EQ(back->resolved, resolved);
    ASSERT_TRUE(back->finding);
    EXPECT_EQ(back->finding->id, "linger-zero") << "the id of the event is another one";
    EXPECT_EQ(back->id, 9u);
    EXPECT_EQ(back->finding->key, "linger-zero web-1 tcp 80 nginx");
    EXPECT_EQ(back->finding->sockets.size(), 1u);
  }
}

TEST(StatusJson, ComesBackWhole) {
  Status s;
  s.audit = {5, 12, 36'000'000, 3};
  s.version = "0.1.0";
  s.tier = "tracepoint";
  s.sockets = 1204;
  s.events_lost = 2;
  s.skipped_runs = 1;
  s.uncounted = 4;
  s.resyncs = 1;
  s.verified_ago_ns = 41;
  s.complete = false;
  s.failures = 5;
  s.failures_kept = 3;
  s.hooks = {{"bind", "tracepoint", HookState::attached, "sys_exit_bind", ""},
             {"release", "", HookState::failed, "no room", "found later"}};
  s.observed = {"bind"};
  s.rules = {{"orphan-uid", "own", "P5", true}};
  const auto v = read_status(to_json(s));
  ASSERT_TRUE(v.has_value()) << v.error().text;
  EXPECT_EQ(v->sockets, 1204u);
  EXPECT_EQ(v->events_lost, 2u);
  EXPECT_EQ(v->skipped_runs, 1u);
  EXPECT_EQ(v->uncounted, 4u);
  EXPECT_EQ(v->verified_ago_ns, 41u);
  EXPECT_FALSE(v->complete);
  EXPECT_EQ(v->failures_kept, 3u);
  ASSERT_TRUE(v->audit);
  EXPECT_EQ(v->audit->interval_s, 5u);
  EXPECT_EQ(v->audit->runs, 12u);
  EXPECT_EQ(v->audit->cpu_ns, 36'000'000u);
  EXPECT_EQ(v->audit->findings, 3u);
  ASSERT_EQ(v->hooks.size(), 2u);
  EXPECT_EQ(v->hooks[1].state, "failed");
  EXPECT_EQ(v->hooks[1].effect, "found later");
  EXPECT_TRUE(v->rules[0].assumed);
}

TEST(VerifyJson, ComesBackWhole) {
  VerifyReport r;
  r.sockets = 10;
  r.differences = 1;
  r.list = {{"missing", make_socket("127.0.0.1:80"), "the table has no such socket"}};
  const auto v = read_verify(to_json(r, FixedNames()));
  ASSERT_TRUE(v.has_value());
  EXPECT_EQ(v->differences, 1u);
  EXPECT_EQ(v->list[0].kind, "missing");
  EXPECT_EQ(v->list[0].socket.port, 80);
}

TEST(CheckJson, ComesBackWhole) {
  CheckReply r;
  r.error = EADDRINUSE;
  r.rule = model::Rule::time_wait;
  r.minimal_change = {"wait 41 s"};
  r.unknown = {"a security module"};
  r.holders = make_failure().blockers;
  const auto v = read_check(to_json(r, FixedNames()));
  ASSERT_TRUE(v.has_value());
  EXPECT_FALSE(v->would_succeed);
  EXPECT_EQ(v->error, "EADDRINUSE");
  EXPECT_EQ(v->rule, "time-wait");
  EXPECT_EQ(v->minimal_change[0], "wait 41 s");
  EXPECT_EQ(v->holders.size(), 1u);
}

TEST(Reading, PassesOverWhatItDoesNotKnow) {
  EXPECT_TRUE(read_socket(R"({"proto":"tcp","port":80,"new":{"x":1}})").has_value());
}

TEST(Reading, RefusesOtherTypes) {
  for (const char* bad :
       {"", "[]", "1", "{", R"({"port":"80"})", R"({"port":65536})", R"({"port":-1})",
        R"({"holders":{}})", R"({"holders":[1]})", R"({"bound_at":"soon"})", R"({"reuseaddr":1})"})
    EXPECT_FALSE(read_socket(bad).has_value()) << bad;
}

TEST(ErrorJson, LeavesOutAnEmptyField) {
  EXPECT_EQ(error_json("no \"x\"", ""), "{\"error\":\"no \\\"x\\\"\"}\n");
  EXPECT_EQ(error_json("bad", "port"), "{\"error\":\"bad\",\"field\":\"port\"}\n");
}

TEST(ErrnoName, NamesOrNumbers) {
  EXPECT_EQ(errno_name(EADDRNOTAVAIL), "EADDRNOTAVAIL");
  EXPECT_EQ(errno_name(4000), "errno 4000");
}

} // namespace
} // namespace bindlens::protocol
