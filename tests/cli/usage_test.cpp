// Wrong command lines: exit code 2 and a message that names the flag, the bad
// part and what is accepted. No daemon is asked.

#include "program.h"

#include <gtest/gtest.h>

namespace bindlens::test {
namespace {

struct Mistake {
  std::vector<std::string> arguments;
  std::vector<std::string> named; // each must stand in the message
};

class Usage : public testing::TestWithParam<Mistake> {};

TEST_P(Usage, IsExplained) {
  auto arguments = GetParam().arguments;
  const auto r = run(arguments, {.user = {}, .variables = {"BINDLENS_SOCKET=/nonexistent"}});
  EXPECT_EQ(r.exit_code, 2) << r.err;
  EXPECT_EQ(r.out, "");
  EXPECT_TRUE(r.err.starts_with("bindlens: ")) << r.err;
  for (const std::string& part : GetParam().named)
    EXPECT_NE(r.err.find(part), std::string::npos) << part << " in " << r.err;
}

INSTANTIATE_TEST_SUITE_P(
    Commands, Usage,
    testing::Values(Mistake{{}, {"command", "ls", "check"}},
                    Mistake{{"sockets"}, {"'sockets'", "ls"}}, Mistake{{"ls", "80"}, {"'80'"}},
                    Mistake{{"ls", "--nope"}, {"--nope"}},
                    Mistake{{"ls", "--since", "1h"}, {"--since"}},
                    Mistake{{"status", "--port", "80"}, {"--port"}},
                    Mistake{{"--color", "red", "ls"}, {"--color", "'red'", "always"}},
                    Mistake{{"ls", "--socket"}, {"--socket"}}));

INSTANTIATE_TEST_SUITE_P(
    Top, Usage,
    testing::Values(Mistake{{"top"}, {"needs a terminal", "bindlens events --follow"}},
                    Mistake{{"top", "--json"}, {"no JSON", "bindlens events --follow --json"}},
                    Mistake{{"top", "--interval", "0"}, {"--interval", "'0'", "1 to 3600"}},
                    Mistake{{"top", "-d", "soon"}, {"--interval", "'soon'"}},
                    Mistake{{"top", "--limit", "1"}, {"--limit"}},
                    Mistake{{"top", "--since", "1h"}, {"--since"}},
                    Mistake{{"top", "80"}, {"'80'"}}));

INSTANTIATE_TEST_SUITE_P(
    Values, Usage,
    testing::Values(Mistake{{"ls", "--port", "65536"}, {"--port", "'65536'", "0 to 65535"}},
                    Mistake{{"ls", "--port", "-1"}, {"--port", "'-1'"}},
                    Mistake{{"ls", "--port=http"}, {"--port", "'http'"}},
                    Mistake{{"ls", "--port", "80,8000-"}, {"--port", "'8000-'"}},
                    Mistake{{"ls", "--port", "9-1"}, {"--port", "'9-1'"}},
                    Mistake{{"ls", "--addr", "1.2.3"}, {"--addr", "'1.2.3'", "192.0.2.1"}},
                    Mistake{{"ls", "--proto", "sctp"}, {"--proto", "'sctp'", "udplite"}},
                    Mistake{{"ls", "--state", "OPEN"}, {"--state", "'OPEN'", "LISTEN"}},
                    Mistake{{"ls", "--pid", "x"}, {"--pid", "'x'"}},
                    Mistake{{"ls", "--pid", "1", "--pid", "2"}, {"--pid", "twice"}},
                    Mistake{{"ls", "--uid", "-1"}, {"--uid", "'-1'"}},
                    Mistake{{"ls", "--limit", "some"}, {"--limit", "'some'"}},
                    Mistake{{"timewait", "http"}, {"'http'"}},
                    Mistake{{"timewait", "--state", "LISTEN"}, {"--state"}},
                    Mistake{{"ports", "--to", "web"}, {"--to", "'web'", "192.0.2.1:80"}},
                    Mistake{{"ports", "--to", "10.0.0.1:0"}, {"--to", "'10.0.0.1:0'"}},
                    Mistake{{"ports", "--to", "*"}, {"--to", "'*'"}},
                    Mistake{{"ports", "--proto", "tcp"}, {"--proto"}},
                    Mistake{{"why", "http"}, {"'http'"}},
                    Mistake{{"why", "1.2.3:80"}, {"'1.2.3:80'"}},
                    Mistake{{"why", "10.0.0.1:65536"}, {"'10.0.0.1:65536'"}},
                    Mistake{{"why", "--rule", "x"}, {"--rule", "'x'"}},
                    Mistake{{"events", "--since", "tomorrow"}, {"--since", "'tomorrow'", "10m"}},
                    Mistake{{"events", "--type", "x"}, {"--type", "'x'", "listen"}},
                    Mistake{{"events", "--follow", "--until", "now"}, {"--until", "follow"}}));

INSTANTIATE_TEST_SUITE_P(
    Check, Usage,
    testing::Values(Mistake{{"check"}, {"required"}}, Mistake{{"check", "tcp"}, {"required"}},
                    Mistake{{"check", "sctp", "*:80"}, {"PROTO", "'sctp'"}},
                    Mistake{{"check", "tcp", "80"}, {"ADDR:PORT", "'80'"}},
                    Mistake{{"check", "tcp", "*:65536"}, {"'*:65536'", "65535"}},
                    Mistake{{"check", "tcp", "*:http"}, {"'*:http'"}},
                    Mistake{{"check", "udp", "*:80", "--listen"}, {"--listen"}},
                    Mistake{{"check", "tcp", "1.2.3.4:80", "--v6only"}, {"--v6only"}},
                    Mistake{{"check", "tcp", "*:80", "--v6only", "--no-v6only"}, {"--v6only"}},
                    Mistake{{"check", "tcp", "*:80", "--os", "dos"}, {"--os", "'dos'", "freebsd"}},
                    Mistake{{"check", "tcp", "*:80", "extra"}, {"'extra'"}}));

INSTANTIATE_TEST_SUITE_P(
    Audit, Usage,
    testing::Values(Mistake{{"audit", "--fail-on", "bad"}, {"--fail-on", "'bad'", "critical"}},
                    Mistake{{"audit", "--ignore", "x"}, {"--ignore", "'x'", "linger-zero"}},
                    Mistake{{"audit", "--ignore", "linger-zero:http"}, {"'http'", "65535"}},
                    Mistake{{"audit", "--ignore", "linger-zero:0"}, {"'0'", "1 to 65535"}},
                    Mistake{{"audit", "--explain", "x"}, {"--explain", "'x'", "reuseport-skew"}},
                    Mistake{{"audit", "--baseline", "/no/file"}, {"/no/file", "audit --json"}},
                    Mistake{{"audit", "--idle", "soon"}, {"--idle", "'soon'", "seconds"}},
                    Mistake{{"audit", "--state", "LISTEN"}, {"--state"}},
                    Mistake{{"audit", "--ignore", "linger-zero:"}, {"''", "1 to 65535"}},
                    Mistake{{"audit", "--ignore", "linger-zero,x:1"}, {"--ignore", "'x'"}},
                    Mistake{{"audit", "--baseline", "/"}, {"/: Is a directory", "audit --json"}},
                    Mistake{{"audit", "--sarif", "--json"}, {"--sarif", "--json", "one"}},
                    Mistake{{"audit", "80"}, {"'80'"}}));

TEST(Help, IsPrintedAndIsNoError) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--help"}, {"ls", "--help"}, {"check", "-h"}}) {
    const auto r = run(arguments);
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_NE(r.out.find("Usage"), std::string::npos);
    EXPECT_EQ(r.err, "");
  }
}

TEST(Version, IsPrinted) {
  const auto r = run({"--version"});
  EXPECT_EQ(r.exit_code, 0);
  EXPECT_EQ(r.out, "bindlens " BINDLENS_VERSION "\n");
}

} // namespace
} // namespace bindlens::test
