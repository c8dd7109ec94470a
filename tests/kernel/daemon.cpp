#include "daemon.h"

#include <bindlens/protocol/client.h>
#include <bindlens/util/fd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bindlens::test {

namespace {

std::unique_ptr<Daemon> shared;

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Child start(const std::vector<std::string>& arguments, const std::string& log,
            const std::function<void()>& in_child) {
  return Child::fork([&] {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    if (in_child) in_child();
    const std::string program = daemon_path();
    std::vector<char*> argv = {const_cast<char*>(program.c_str())};
    for (const std::string& a : arguments)
      argv.push_back(const_cast<char*>(a.c_str()));
    // A test that wants a history gives it a directory of its own.
    std::string in_memory = "--state-dir=none";
    if (std::ranges::find(arguments, "--state-dir") == arguments.end())
      argv.push_back(in_memory.data());
    argv.push_back(nullptr);
    ::execv(program.c_str(), argv.data());
    give_up_errno("starting " + program);
    return 127;
  });
}

} // namespace

TempDir::TempDir() {
  std::string name = std::filesystem::temp_directory_path() / "bindlens-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) give_up_errno("making " + name);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string daemon_path() {
  if (const char* given = std::getenv("BINDLENSD")) return given;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  return self.parent_path().parent_path() / "bin" / "bindlensd";
}

std::string wanted_tier() {
  const char* given = std::getenv("BINDLENS_TIER");
  return given != nullptr && *given != '\0' ? given : "auto";
}

Ended run_daemon(const std::vector<std::string>& arguments, const std::function<void()>& in_child) {
  const TempDir dir;
  ::chmod(dir.path().c_str(), 0777);
  const std::string log = dir.path() + "/log";
  Child child = start(arguments, log, in_child);
  const int status = child.wait();
  return {WIFEXITED(status) && status != -1 ? WEXITSTATUS(status) : -1, text_of(log)};
}

Daemon::Daemon(const std::vector<std::string>& arguments, const std::string& tier,
               std::string socket, const std::function<void()>& in_child)
    : socket_(socket.empty() ? dir_.path() + "/sock" : std::move(socket)) {
  const std::string ready = dir_.path() + "/ready";
  std::vector<std::string> all = {"--socket", socket_, "--ready-file", ready, "--tier", tier};
  all.insert(all.end(), arguments.begin(), arguments.end());
  process_ = start(all, dir_.path() + "/log", in_child);
  bool ended = false;
  // In emulation the kernel takes half a minute to verify the programs, on a busy host more.
  const bool is_ready = eventually(
      [&] {
        ended = ::waitpid(pid(), nullptr, WNOHANG) != 0;
        return ended || std::filesystem::exists(ready);
      },
      4 * patience());
  if (ended) process_ = Child();
  if (ended || !is_ready) give_up("bindlensd does not start:\n" + log());
}

std::string Daemon::log() const {
  return text_of(dir_.path() + "/log");
}

int Daemon::stop() {
  process_.signal(SIGTERM);
  return process_.wait();
}

std::vector<Json> Daemon::lines(const std::string& target) const {
  auto client = protocol::Client::connect(socket());
  if (!client) give_up(client.error().text + "\n" + log());
  std::string body;
  const auto got = client->get(target, [&](std::string_view piece) {
    body += piece;
    return true;
  });
  if (!got) give_up("GET " + target + ": " + got.error().text + "\n" + log());
  std::vector<Json> all;
  std::istringstream text(body);
  for (std::string line; std::getline(text, line);)
    if (!line.empty()) all.push_back(Json::parse(line));
  return all;
}

Daemon& shared_daemon() {
  if (!shared) shared = std::make_unique<Daemon>();
  return *shared;
}

void stop_shared_daemon() {
  shared.reset();
}

} // namespace bindlens::test
