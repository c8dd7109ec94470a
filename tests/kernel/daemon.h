#pragma once

#include "place.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace bindlens::test {

using Json = nlohmann::json;

// A path of our own under the temporary directory, gone with this object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// env BINDLENSD, or ../bin/bindlensd as seen from this program.
[[nodiscard]] std::string daemon_path();
// env BINDLENS_TIER, or "auto".
[[nodiscard]] std::string wanted_tier();

// What a program printed, and its exit status; -1 when it had to be killed.
struct Ended {
  int status = -1;
  std::string output;
};
[[nodiscard]] Ended run_daemon(const std::vector<std::string>& arguments,
                               const std::function<void()>& in_child = {});

// bindlensd with a socket of its own, ready when constructed.
class Daemon {
 public:
  // After --socket, --ready-file and --tier.
  explicit Daemon(const std::vector<std::string>& arguments = {},
                  const std::string& tier = wanted_tier(), std::string socket = {},
                  const std::function<void()>& in_child = {});

  [[nodiscard]] pid_t pid() const { return process_.pid(); }
  [[nodiscard]] const std::string& socket() const { return socket_; }
  [[nodiscard]] std::string log() const;
  // SIGTERM; the exit status as of waitpid().
  int stop();
  void kill() { process_.kill(); }

  // GET; every line of the answer.
  [[nodiscard]] std::vector<Json> lines(const std::string& target) const;
  [[nodiscard]] Json one(const std::string& target) const { return lines(target).at(0); }

 private:
  TempDir dir_;
  std::string socket_;
  Child process_;
};

// The one that most tests share, started at its first use.
[[nodiscard]] Daemon& shared_daemon();
void stop_shared_daemon();

} // namespace bindlens::test
