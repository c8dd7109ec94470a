#include "scenario.h"

#include <bindlens/protocol/client.h>
#include <bindlens/util/fd.h>

#include <arpa/inet.h>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bindlens::test {

namespace {

// Exit status of what is done in the namespace.
int status_in(const Netns& netns, const std::function<int()>& body) {
  const int status = Child::fork([&] {
                       netns.enter();
                       return body();
                     }).wait();
  return status != -1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int write_text(const std::string& path, const std::string& text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1;
}

int add_to_loopback(const std::string& address) {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::snprintf(request.ifr_name, sizeof request.ifr_name, "lo:1");
  socklen_t length = 0;
  const sockaddr_storage wanted = to_sockaddr(address, 0, length);
  std::memcpy(&request.ifr_addr, &wanted, sizeof request.ifr_addr);
  return ::ioctl(fd.get(), SIOCSIFADDR, &request) == 0 ? 0 : 1;
}

bool has_text(const Json& answer, const std::string& text) {
  return answer.is_string() && answer.get<std::string>().find(text) != std::string::npos;
}

} // namespace

Json Scenario::refusal(const Actor& by, uint16_t port, int error,
                       const std::function<Outcome()>& call) {
  const std::string before = now_text();
  const Outcome outcome = call();
  EXPECT_EQ(outcome.error, error) << outcome;
  const auto is_ours = [&](const Json& f) {
    return f["time"].get<std::string>() >= before && f["process"].value("pid", 0) == by.pid();
  };
  Json found;
  (void)eventually([&] {
    const auto all = failures("&port=" + std::to_string(port));
    const auto it = std::find_if(all.begin(), all.end(), is_ours);
    if (it != all.end()) found = *it;
    return !found.is_null();
  });
  EXPECT_FALSE(found.is_null()) << "why knows nothing about port " << port;
  return found.is_null() ? Json::object() : found;
}

Json Scenario::refused_bind(Actor& by, int fd, const std::string& address, uint16_t port,
                            int error) {
  return refusal(by, port, error, [&] { return by.bind(fd, address, port); });
}

Json Scenario::check(Json question) {
  question["netns"] = netns.inode();
  auto client = protocol::Client::connect(daemon().socket());
  if (!client) give_up(client.error().text);
  std::string body;
  const auto got = client->post("/v1/check", question.dump(), [&](std::string_view piece) {
    body += piece;
    return true;
  });
  if (!got) give_up("check " + question.dump() + ": " + got.error().text);
  return Json::parse(body);
}

void Scenario::expect_check_refuses(const Json& question, const std::string& rule) {
  const Json answer = check(question);
  EXPECT_EQ(answer.value("would_succeed", true), false) << answer.dump(1);
  EXPECT_EQ(answer.value("errno", ""), "EADDRINUSE") << answer.dump(1);
  EXPECT_EQ(answer.value("rule", ""), rule) << answer.dump(1);
  EXPECT_FALSE(answer.value("minimal_change", Json::array()).empty()) << answer.dump(1);
}

void Scenario::expect_check_allows(const Json& question) {
  const Json answer = check(question);
  EXPECT_EQ(answer.value("would_succeed", false), true) << answer.dump(1);
}

void Scenario::expect_rule(const Json& failure, const std::string& rule) {
  EXPECT_EQ(failure.value("rule", ""), rule) << failure.dump(1);
  EXPECT_EQ(failure.value("netns", 0u), netns.inode());
  EXPECT_FALSE(failure.value("explanation", "").empty());
}

void Scenario::expect_blamed(const Json& failure, const std::string& rule,
                             const std::string& relation, const Actor& binder,
                             const Strings& holders) {
  expect_rule(failure, rule);
  EXPECT_EQ(holders_of(failure), holders) << failure.dump(1);
  const Json blamed = failure.value("holders", Json::array());
  ASSERT_EQ(blamed.size(), 1u) << failure.dump(1);
  EXPECT_EQ(blamed[0].value("relation", ""), relation) << failure.dump(1);
  EXPECT_EQ(blamed[0].value("rule", ""), rule) << failure.dump(1);
  EXPECT_EQ(blamed[0].value("netns", 0u), netns.inode());
  EXPECT_EQ(blamed[0].value("binder", Json::object()).value("pid", 0), binder.pid())
      << failure.dump(1);
}

int Scenario::bound(Actor& by, int fd, const std::string& address, uint16_t port) {
  const Outcome outcome = by.bind(fd, address, port);
  EXPECT_TRUE(outcome.ok()) << outcome;
  return fd;
}

int Scenario::listening(Actor& by, int fd, const std::string& address, uint16_t port) {
  EXPECT_TRUE(by.listen(bound(by, fd, address, port)).ok());
  return fd;
}

void Scenario::set_sysctl(const std::string& name, const std::string& value) {
  if (status_in(netns, [&] { return write_text("/proc/sys/net/" + name, value); }) != 0)
    give_up("setting " + name);
}

void Scenario::add_address(const std::string& address) {
  if (status_in(netns, [&] { return add_to_loopback(address); }) != 0) give_up("adding " + address);
}

int Scenario::run(const Strings& arguments) {
  return status_in(netns, [&] {
    const int out = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    std::vector<char*> argv;
    for (const std::string& word : arguments)
      argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    return 127;
  });
}

bool advises(const Json& answer, const std::string& text) {
  const Json advice = answer.value("advice", Json::array());
  return std::any_of(advice.begin(), advice.end(),
                     [&](const Json& one) { return has_text(one, text); });
}

bool explains(const Json& answer, const std::string& text) {
  return has_text(answer.value("explanation", Json()), text);
}

std::string named(const std::string& comm, pid_t pid) {
  return comm + "[" + std::to_string(pid) + "]";
}

Json question(const std::string& proto, const std::string& address, uint16_t port,
              const Strings& flags) {
  Json q{{"proto", proto}, {"addr", address}, {"port", port}};
  for (const std::string& flag : flags)
    q[flag] = true;
  return q;
}

} // namespace bindlens::test
