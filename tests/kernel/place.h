#pragma once

// Where tests take place: processes and network namespaces of their own, and time.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <sys/types.h>
#include <utility>

namespace bindlens::test {

[[noreturn]] void give_up(const std::string& what);
[[noreturn]] void give_up_errno(const std::string& what);

// An emulated machine takes about ten times as long (BINDLENS_VM).
[[nodiscard]] bool in_vm();
// There, or under a sanitizer: everything takes several times as long.
[[nodiscard]] bool is_slow();
[[nodiscard]] std::chrono::milliseconds patience();
// `here` on a real machine, a fifth of it in an emulated one.
[[nodiscard]] int scaled(int here);

// Wall clock, as the API writes it.
[[nodiscard]] std::string now_text();

// Asks until it is true or patience ends.
[[nodiscard]] bool eventually(const std::function<bool()>& is_true,
                              std::chrono::milliseconds limit = patience());

// A process of ours: killed and reaped at the latest with this object.
class Child {
 public:
  Child() = default;
  explicit Child(pid_t pid) : pid_(pid) {}
  // `body` returns the exit status.
  [[nodiscard]] static Child fork(const std::function<int()>& body);
  ~Child() { kill(); }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child&& other) noexcept;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  void signal(int number) const;
  // The status of waitpid(); -1 when it did not end in time and was killed.
  int wait(std::chrono::milliseconds limit = patience());
  void kill();

 private:
  pid_t pid_ = 0;
};

// A network namespace with loopback up. A process of its own keeps it, so that
// it can be found in /proc as any other.
class Netns {
 public:
  Netns();
  [[nodiscard]] uint32_t inode() const { return inode_; }
  // Of the calling process.
  void enter() const;
  // "/proc/PID/net/NAME" of a process in it.
  [[nodiscard]] std::string proc_net(const std::string& name) const;
  // "netns=4026532000", for queries.
  [[nodiscard]] std::string query() const;

 private:
  Child keeper_;
  uint32_t inode_ = 0;
};

} // namespace bindlens::test
