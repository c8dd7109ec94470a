// The fields of a journal entry. tests/kernel/journal_test.cpp sends them.

#include <bindlens/journal/entry.h>

#include <gtest/gtest.h>

#include <cerrno>
#include <map>

namespace bindlens::journal {
namespace {

using Fields = std::multimap<std::string, std::string>;

Fields fields_of(const std::vector<std::string>& entry) {
  Fields fields;
  for (const std::string& f : entry) {
    const size_t equals = f.find('=');
    EXPECT_NE(equals, std::string::npos) << f;
    // What sd_journal_sendv() takes: A-Z, 0-9 and "_", not "_" in front.
    EXPECT_EQ(f.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), equals) << f;
    fields.emplace(f.substr(0, equals), f.substr(equals + 1));
  }
  return fields;
}

std::string one(const Fields& fields, const std::string& name) {
  return fields.count(name) == 1 ? fields.find(name)->second : "not one " + name;
}

model::ProcessRef process(uint32_t pid, std::string comm, std::string unit = {}) {
  model::Process p;
  p.pid = pid;
  p.comm = std::move(comm);
  p.unit = std::move(unit);
  return std::make_shared<const model::Process>(std::move(p));
}

model::Failure refusal() {
  model::Failure f;
  f.error = EADDRINUSE;
  f.asked = *model::parse_endpoint("0.0.0.0:8080");
  f.netns = 4026531840;
  f.uid = 33;
  f.process = process(4121, "nginx", "nginx.service");
  f.rule = model::Rule::listener;
  f.explanation = "node[3340] listens on 127.0.0.1:8080.";
  return f;
}

TEST(JournalEntry, HasWhatOneSearchesBy) {
  const auto fields = fields_of(refusal_entry(refusal(), "host", 0));
  EXPECT_EQ(one(fields, "MESSAGE"), "bind tcp 0.0.0.0:8080 by nginx[4121] (nginx.service) refused "
                                    "with EADDRINUSE: node[3340] listens on 127.0.0.1:8080.");
  EXPECT_EQ(one(fields, "MESSAGE_ID"), "62706a3eb79a490bbac428d1c55c93f1") << "never changes";
  EXPECT_EQ(one(fields, "PRIORITY"), "4");
  EXPECT_EQ(one(fields, "SYSLOG_IDENTIFIER"), "bindlensd");
  EXPECT_EQ(one(fields, "BINDLENS_CALL"), "bind");
  EXPECT_EQ(one(fields, "BINDLENS_ERRNO"), "EADDRINUSE");
  EXPECT_EQ(one(fields, "ERRNO"), "98");
  EXPECT_EQ(one(fields, "BINDLENS_PROTO"), "tcp");
  EXPECT_EQ(one(fields, "BINDLENS_ADDR"), "0.0.0.0");
  EXPECT_EQ(one(fields, "BINDLENS_PORT"), "8080");
  EXPECT_EQ(one(fields, "BINDLENS_RULE"), "listener");
  EXPECT_EQ(one(fields, "BINDLENS_NETNS"), "4026531840");
  EXPECT_EQ(one(fields, "BINDLENS_NETNS_NAME"), "host");
  EXPECT_EQ(one(fields, "BINDLENS_UID"), "33");
  EXPECT_EQ(one(fields, "BINDLENS_PID"), "4121");
  EXPECT_EQ(one(fields, "OBJECT_PID"), "4121");
  EXPECT_EQ(one(fields, "BINDLENS_COMM"), "nginx");
  EXPECT_EQ(one(fields, "BINDLENS_UNIT"), "nginx.service");
  EXPECT_EQ(one(fields, "BINDLENS_COUNT"), "1");
}

TEST(JournalEntry, HasNoFieldForWhatIsNotKnown) {
  const auto fields = fields_of(refusal_entry(refusal(), "", 0));
  for (const char* name : {"BINDLENS_NETNS_NAME", "BINDLENS_EXE", "BINDLENS_CONTAINER",
                           "BINDLENS_PEER", "BINDLENS_HOLDER_PID", "BINDLENS_LEFT_OUT"})
    EXPECT_FALSE(fields.contains(name)) << name;
}

TEST(JournalEntry, NamesEveryHolderOnce) {
  model::Failure f = refusal();
  model::Blocker blocker;
  blocker.holders = {{process(3340, "node", "app.service"), 19}, {process(3340, "node"), 20}};
  f.blockers = {blocker, blocker};
  f.blockers[1].holders = {{process(3341, "worker"), 19}};
  const auto fields = fields_of(refusal_entry(f, "host", 0));
  const auto [first, last] = fields.equal_range("BINDLENS_HOLDER_PID");
  std::vector<std::string> pids;
  for (auto i = first; i != last; ++i)
    pids.push_back(i->second);
  EXPECT_EQ(pids, (std::vector<std::string>{"3340", "3341"}));
  EXPECT_EQ(fields.count("BINDLENS_HOLDER_COMM"), 2u);
  EXPECT_EQ(one(fields, "BINDLENS_HOLDER_UNIT"), "app.service");
  f.blockers.assign(1, blocker);
  f.blockers[0].holders.clear();
  for (uint32_t pid = 1; pid <= 100; ++pid)
    f.blockers[0].holders.push_back({process(pid, "worker"), 3});
  EXPECT_EQ(fields_of(refusal_entry(f, "host", 0)).count("BINDLENS_HOLDER_PID"), 16u);
}

TEST(JournalEntry, IsOneLineWhateverAProcessCallsItself) {
  model::Failure f = refusal();
  f.process = process(1, "a\nPRIORITY=0\x1b[2J");
  const auto fields = fields_of(refusal_entry(f, "host", 0));
  EXPECT_EQ(one(fields, "PRIORITY"), "4");
  EXPECT_EQ(one(fields, "MESSAGE").find_first_of("\n\x1b"), std::string::npos);
  EXPECT_EQ(one(fields, "BINDLENS_COMM"), "a\nPRIORITY=0\x1b[2J") << "as it is";
}

TEST(JournalEntry, TellsHowManyWereLeftOut) {
  const auto with = fields_of(refusal_entry(refusal(), "host", 17));
  EXPECT_EQ(one(with, "BINDLENS_LEFT_OUT"), "17");
  EXPECT_NE(one(with, "MESSAGE").find("17 refused calls before it"), std::string::npos);
  const auto alone = fields_of(left_out_entry(17));
  EXPECT_EQ(one(alone, "BINDLENS_LEFT_OUT"), "17");
  EXPECT_EQ(one(alone, "MESSAGE_ID"), one(with, "MESSAGE_ID"));
}

} // namespace
} // namespace bindlens::journal
