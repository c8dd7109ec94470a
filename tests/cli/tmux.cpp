#include "tmux.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>

namespace bindlens::test {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string output_of(const std::string& command) {
  std::string text;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  if (!pipe) give_up_errno("starting " + command);
  std::array<char, 4096> piece{};
  while (const size_t n = ::fread(piece.data(), 1, piece.size(), pipe.get()))
    text.append(piece.data(), n);
  return text;
}

std::string without_newline(std::string text) {
  while (text.ends_with('\n'))
    text.pop_back();
  return text;
}

} // namespace

std::string no_tmux() {
  return output_of("command -v tmux").empty() ? "there is no tmux" : "";
}

std::string Tmux::run(const std::vector<std::string>& arguments) const {
  std::string command =
      "LC_ALL=C.UTF-8 tmux -u -S " + quoted(dir_.path() + "/tmux") + " -f /dev/null";
  for (const std::string& a : arguments)
    command += " " + quoted(a);
  return output_of(command + " 2>&1");
}

Tmux::Tmux(int columns, int rows, std::vector<std::string> variables) {
  std::string shell =
      "env -i PATH=" + quoted(::getenv("PATH")) + " HOME=/ TERM=screen TZ=UTC PS1='$ '";
  for (const std::string& v : variables)
    shell += " " + quoted(v);
  (void)run({"new-session", "-d", "-x", std::to_string(columns), "-y", std::to_string(rows),
             shell + " bash --norc --noprofile"});
  if (!shows("$")) give_up("tmux shows no shell:\n" + screen());
}

Tmux::~Tmux() {
  close();
}

void Tmux::close() {
  (void)run({"kill-server"});
}

void Tmux::enter(const std::string& line) {
  (void)run({"send-keys", "-l", line});
  press({"Enter"});
}

void Tmux::press(const std::vector<std::string>& keys) {
  std::vector<std::string> arguments = {"send-keys"};
  arguments.insert(arguments.end(), keys.begin(), keys.end());
  (void)run(arguments);
}

void Tmux::resize(int columns, int rows) {
  (void)run({"resize-window", "-x", std::to_string(columns), "-y", std::to_string(rows)});
}

std::string Tmux::screen(bool colours) const {
  return colours ? run({"capture-pane", "-e", "-p"}) : run({"capture-pane", "-p"});
}

bool Tmux::shows_all(const std::vector<std::string>& parts) const {
  return eventually([&] {
    const std::string text = screen();
    for (const std::string& part : parts)
      if (text.find(part) == std::string::npos) return false;
    return true;
  });
}

std::string Tmux::ask(const std::string& format) const {
  return without_newline(run({"display-message", "-p", "#{" + format + "}"}));
}

pid_t Tmux::child() const {
  const std::string shell = ask("pane_pid");
  std::ifstream children("/proc/" + shell + "/task/" + shell + "/children");
  pid_t last = 0;
  while (children >> last) {
  }
  return children.eof() ? last : 0;
}

} // namespace bindlens::test
