#pragma once

// Connections that leave TIME_WAIT at one end or the other.

#include "audit_scenario.h"

#include <thread>

namespace bindlens::test {

class TimeWaitScenario : public AuditScenario {
 protected:
  static constexpr uint16_t service = 9000;
  static constexpr uint16_t client_port = 5000;

  void SetUp() override {
    Scenario::SetUp();
    set_sysctl("ipv4/tcp_rfc1337", "1"); // a late segment ends no TIME_WAIT
  }
  int server(uint16_t port, const std::string& address = "127.0.0.1") {
    const int fd = address.find(':') == std::string::npos ? a.tcp() : a.tcp6();
    a.reuseaddr(fd);
    return listening(a, fd, address, port);
  }
  int client(const std::string& address, uint16_t from) {
    const int fd = address.find(':') == std::string::npos ? b.tcp() : b.tcp6();
    b.reuseaddr(fd);
    if (from != 0) bound(b, fd, address, from);
    return fd;
  }
  enum class First { server, client };
  // A connection, closed by one of them first.
  void connection(int listener, First closes, uint16_t from,
                  const std::string& address = "127.0.0.1") {
    const int fd = client(address, from);
    ASSERT_TRUE(b.connect(fd, address, service).ok());
    const int accepted = a.accept(listener).value;
    if (closes == First::server) a.close(accepted);
    b.close(fd);
    if (closes == First::client) a.close(accepted);
  }
  // Time stamps of TIME_WAIT count in seconds until 6.13.
  static void let_a_second_pass() { std::this_thread::sleep_for(std::chrono::milliseconds(1200)); }
  // A second connection from the same port: its SYN ends what is left of the first.
  void revive_by_syn() {
    const int listener = server(service);
    connection(listener, First::server, client_port);
    let_a_second_pass();
    connection(listener, First::server, client_port);
  }
  bool sees(const std::string& hook) {
    const Json status = daemon().one("/v1/status");
    for (const Json& h : status["hooks"])
      if (h["name"] == hook) return h.value("state", "") == "attached";
    return false;
  }
};

} // namespace bindlens::test
