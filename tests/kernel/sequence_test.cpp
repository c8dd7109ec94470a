// One workload, one list of events: the same in every tier and on every kernel.

#include "world.h"

#include <map>

namespace bindlens::test {
namespace {

class Sequence : public World {
 protected:
  // Ports that the kernel chose are above every one that is asked for here.
  static std::string port_text(const Json& e) {
    const int port = e.value("port", 0);
    return port >= 10000 ? "*" : std::to_string(port);
  }

  std::string line(const Json& e) {
    const std::map<int, std::string> names = {{a.pid(), "a"}, {pid_of_b, "b"}};
    std::string text = e["type"];
    if (e["type"] == "fail")
      text += " " + e.value("call", "") + " " + e.value("errno", "") + " " + e.value("rule", "");
    text += " " + e.value("proto", "") + " " + e.value("addr", "") + " " + port_text(e);
    if (e["type"] != "fail") text += " " + e.value("state", "") + " " + e.value("bound_by", "?");
    for (const char* flag : {"reuseaddr", "reuseport", "v6only"})
      if (e.value(flag, false)) text += std::string(" ") + flag;
    const auto who = e.contains("process") ? names.find(e["process"].value("pid", 0)) : names.end();
    return text + " by " + (who == names.end() ? "?" : who->second);
  }

  std::vector<std::string> lines() {
    std::vector<std::string> all;
    for (const Json& e : events())
      all.push_back(line(e));
    return all;
  }

  void ok(const Outcome& o) {
    ++operations;
    EXPECT_TRUE(o.ok()) << "operation " << operations << ": " << o;
  }
  void refused(const Outcome& o, int error) {
    ++operations;
    EXPECT_EQ(o.error, error) << "operation " << operations;
  }

  void work();

  int operations = 0;
  pid_t pid_of_b = b.pid();
};

// The accepted connections come and go here too, without a record.
void Sequence::work() {
  const int server = a.tcp();
  a.reuseaddr(server);
  ok(a.bind(server, "127.0.0.1", 8001));
  ok(a.listen(server));
  const int client = b.tcp();
  ok(b.connect(client, "127.0.0.1", 8001));
  const Outcome child = a.accept(server);
  ok(child);
  refused(b.bind(b.tcp(), "127.0.0.1", 8001), EADDRINUSE);
  const int datagrams = a.udp();
  ok(a.bind(datagrams, "0.0.0.0", 8002));
  refused(b.bind(b.udp(), "127.0.0.1", 8002), EADDRINUSE);
  ok(b.bind(b.udp6(), "::1", 8002));
  const int dual = b.tcp6();
  ok(b.bind(dual, "::", 8003));
  ok(b.listen(dual));
  refused(a.bind(a.tcp(), "0.0.0.0", 8003), EADDRINUSE);
  const int narrow = a.tcp6();
  a.v6only(narrow, true);
  ok(a.bind(narrow, "::", 8004));
  ok(a.listen(a.tcp()));
  ok(a.bind(a.tcp(), "127.0.0.1", 0));
  refused(b.bind(b.tcp(), "192.0.2.1", 8005), EADDRNOTAVAIL);
  refused(a.bind(server, "127.0.0.1", 8006), EINVAL);
  const int talker = b.udp();
  ok(b.connect(talker, "127.0.0.1", 8002));
  ok(b.disconnect(talker));
  refused(b.connect(b.tcp(), "127.0.0.1", 8009), ECONNREFUSED);
  const int late = a.tcp();
  a.set(late, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  ok(a.bind(late, "127.0.0.1", 0));
  ok(a.connect(late, "127.0.0.1", 8001));
  ok(a.close(child.value));
  ok(b.close(client));
  ok(b.shutdown(dual));
  ok(b.listen(dual));
  ok(b.close(dual));
  ok(a.close(server));
  ok(a.close(datagrams));
  ok(b.bind(b.udp(), "127.0.0.1", 8002));
}

const std::vector<std::string> expected = {
    "bind tcp 127.0.0.1 8001 BOUND bind reuseaddr by a",
    "listen tcp 127.0.0.1 8001 LISTEN bind reuseaddr by a",
    "connect tcp 127.0.0.1 * ESTABLISHED connect by b",
    "fail bind EADDRINUSE listener tcp 127.0.0.1 8001 by b",
    "bind udp 0.0.0.0 8002 BOUND bind by a",
    "fail bind EADDRINUSE udp-no-reuse udp 127.0.0.1 8002 by b",
    "bind udp ::1 8002 BOUND bind v6only by b",
    "bind tcp :: 8003 BOUND bind by b",
    "listen tcp :: 8003 LISTEN bind by b",
    "fail bind EADDRINUSE listener tcp 0.0.0.0 8003 by a",
    "bind tcp :: 8004 BOUND bind v6only by a",
    "listen tcp 0.0.0.0 * LISTEN autobind by a",
    "bind tcp 127.0.0.1 * BOUND autobind by a",
    "fail bind EADDRNOTAVAIL address-not-local tcp 192.0.2.1 8005 by b",
    "fail bind EINVAL already-bound tcp 127.0.0.1 8006 reuseaddr by a",
    "connect udp 127.0.0.1 * ESTABLISHED connect by b",
    "release udp 127.0.0.1 * ESTABLISHED connect by b",
    "connect tcp 127.0.0.1 * ESTABLISHED connect by a",
    "release tcp 127.0.0.1 * ESTABLISHED connect by b",
    "listen tcp :: 8003 LISTEN bind by b",
    "release tcp :: 8003 BOUND bind by b",              // a listener is an idle socket first
    "release tcp 127.0.0.1 * ESTABLISHED connect by a", // waited to be accepted
    "release tcp 127.0.0.1 8001 BOUND bind reuseaddr by a",
    "release udp 0.0.0.0 8002 BOUND bind by a",
    "bind udp 127.0.0.1 8002 BOUND bind by b",
};

TEST_F(Sequence, IsTheSameEverywhere) {
  (void)daemon(); // before the first operation
  work();
  EXPECT_EQ(operations, 29) << "a prime number, so that no two parts look alike";
  (void)eventually([&] { return lines().size() >= expected.size(); });
  EXPECT_EQ(lines(), expected);
}

// Then every socket that is left goes with its process.
TEST_F(Sequence, EndsWithItsProcesses) {
  (void)daemon();
  work();
  (void)eventually([&] { return lines().size() >= expected.size(); });
  b.kill();
  const std::vector<std::string> last = {
      "release udp 127.0.0.1 8002 BOUND bind by b",
      "release udp ::1 8002 BOUND bind v6only by b",
  };
  (void)eventually([&] { return lines().size() >= expected.size() + last.size(); });
  std::vector<std::string> all = lines();
  ASSERT_EQ(all.size(), expected.size() + last.size());
  all.erase(all.begin(), all.begin() + static_cast<long>(expected.size()));
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, last);
}

} // namespace
} // namespace bindlens::test
