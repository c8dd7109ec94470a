// When the daemon is down, forbidden or broken, and when the reader goes away.

#include "program.h"
#include "server_fixture.h"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

namespace bindlens::test {
namespace {

Fd listening_socket(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un addr{};
  addr.sun_family = AF_UNIX;
  path.copy(addr.sun_path, sizeof addr.sun_path - 1);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&addr), sizeof addr), 0);
  EXPECT_EQ(::listen(fd.get(), 8), 0);
  return fd;
}

void expect_unreachable(const Outcome& r, const std::string& part) {
  EXPECT_EQ(r.exit_code, 3);
  EXPECT_EQ(r.out, "");
  EXPECT_TRUE(r.err.starts_with("bindlens: ")) << r.err;
  EXPECT_NE(r.err.find(part), std::string::npos) << r.err;
}

TEST(DaemonDown, EveryCommandSaysSo) {
  const TemporaryDirectory dir;
  for (const std::vector<std::string>& command : {std::vector<std::string>{"ls"},
                                                  {"why", "80"},
                                                  {"events"},
                                                  {"status"},
                                                  {"verify"},
                                                  {"reuseport", "--watch"},
                                                  {"check", "tcp", "*:80"}}) {
    auto arguments = command;
    arguments.insert(arguments.end(), {"--socket", dir.file("none")});
    const auto r = run(arguments);
    expect_unreachable(r, "systemctl start bindlensd");
    EXPECT_NE(r.err.find(dir.file("none")), std::string::npos);
  }
}

TEST(DaemonDown, AStaleSocketIsNamedAsSuch) {
  const TemporaryDirectory dir;
  listening_socket(dir.file("s")).reset();
  expect_unreachable(run({"ls", "--socket", dir.file("s")}), "left behind");
}

TEST(DaemonDown, AFileIsNoSocket) {
  const TemporaryDirectory dir;
  std::ofstream(dir.file("f")) << "x";
  expect_unreachable(run({"ls", "--socket", dir.file("f")}), "not a socket");
  expect_unreachable(run({"ls", "--socket", dir.file("f") + "/s"}), "no such socket");
}

TEST(DaemonDown, APathCanBeTooLong) {
  expect_unreachable(run({"ls", "--socket", "/tmp/" + std::string(195, 'x')}), "107");
}

TEST(Forbidden, NamesTheGroup) {
  ASSERT_EQ(::getuid(), 0u) << "this test runs the program as another user and needs root";
  constexpr uid_t nobody = 65534;
  RunningServer server;
  const auto directory = std::filesystem::path(server.path()).parent_path();
  ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
  expect_unreachable(run({"ls", "--socket", server.path()}, {.user = nobody, .variables = {}}),
                     "group 'bindlens'");
}

TEST(BrokenDaemon, ItsErrorIsPassedOn) {
  RunningServer server;
  server.in_loop([&] { server.backend().broken = "kernel memory cannot be read"; });
  for (const char* command : {"ls", "verify"}) {
    const auto r = run({command, "--socket", server.path()});
    EXPECT_EQ(r.exit_code, 4);
    EXPECT_NE(r.err.find("kernel memory cannot be read"), std::string::npos);
  }
}

TEST(BrokenDaemon, WhatDoesNotExistIsNamed) {
  RunningServer server;
  const auto netns = run({"ls", "--netns", "gone", "--socket", server.path()});
  EXPECT_EQ(netns.exit_code, 4);
  EXPECT_NE(netns.err.find("'gone'"), std::string::npos);
  EXPECT_EQ(run({"ls", "--uid", "nobody-here", "--socket", server.path()}).exit_code, 4);
}

// Something on the socket that answers each client with fixed bytes.
class FixedServer {
 public:
  explicit FixedServer(std::string answer)
      : listener_(listening_socket(directory_.file("s"))),
        thread_([this, text = std::move(answer)] { serve(text); }) {}
  ~FixedServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  [[nodiscard]] std::string path() const { return directory_.file("s"); }

 private:
  void serve(const std::string& text) const {
    while (true) {
      const Fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!client) return;
      char request[4096];
      if (::recv(client.get(), request, sizeof request, 0) > 0)
        ::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL);
    }
  }
  TemporaryDirectory directory_;
  Fd listener_;
  std::thread thread_;
};

TEST(OddServer, GoingAwayBeforeTheAnswer) {
  const FixedServer server("");
  expect_unreachable(run({"status", "--socket", server.path()}), "without an answer");
}

TEST(OddServer, GoingAwayInTheMiddle) {
  const FixedServer server("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "1a\r\n{\"proto\":\"tcp\",\"port\":80}\n\r\n");
  const auto r = run({"ls", "--json", "--socket", server.path()});
  EXPECT_EQ(r.exit_code, 3);
  EXPECT_EQ(r.out, "{\"proto\":\"tcp\",\"port\":80}\n") << "what came is passed on";
  EXPECT_NE(r.err.find("in the middle"), std::string::npos) << r.err;
}

TEST(OddServer, SpeakingSomethingElse) {
  const FixedServer server("220 mail.example ESMTP\r\n\r\n");
  const auto r = run({"ls", "--socket", server.path()});
  EXPECT_EQ(r.exit_code, 4);
  EXPECT_NE(r.err.find("no HTTP"), std::string::npos) << r.err;
}

TEST(OddServer, SayingWhatIsNoJson) {
  const FixedServer server("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
  for (const char* command : {"ls", "why", "events", "status", "verify"}) {
    const auto r = run({command, "--socket", server.path()});
    EXPECT_EQ(r.exit_code, 4) << command;
    EXPECT_NE(r.err.find("no JSON"), std::string::npos) << r.err;
  }
}

TEST(Reader, MayGoAway) {
  RunningServer server;
  const auto holder = process(7, "nginx");
  for (uint16_t port = 1; port < 20'000; ++port)
    server.backend().sockets.push_back({listener(port), holder, {{holder, 3}}});
  for (const bool as_json : {false, true}) {
    std::vector<std::string> arguments = {"ls", "--socket", server.path()};
    if (as_json) arguments.emplace_back("--json");
    Running program(arguments);
    EXPECT_NE(program.next_line(), "");
    program.stop_reading();
    const auto r = program.finish();
    EXPECT_EQ(r.exit_code, 0);
    EXPECT_EQ(r.err, "");
  }
}

TEST(Reader, GetsEverythingWhenItIsSlow) {
  RunningServer server;
  const auto holder = process(7, "nginx");
  for (uint16_t port = 1; port <= 5'000; ++port)
    server.backend().sockets.push_back({listener(port), holder, {{holder, 3}}});
  Running program({"ls", "--json", "--socket", server.path()});
  size_t lines = 0;
  while (!program.next_line().empty())
    ++lines;
  EXPECT_EQ(lines, 5'000u);
  EXPECT_EQ(program.finish().exit_code, 0);
}

} // namespace
} // namespace bindlens::test
