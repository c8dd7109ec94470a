#include <bindlens/journal/entry.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <utility>

namespace bindlens::journal {

namespace {

// Made once with `systemd-id128 new`; it names this kind of message for good.
constexpr std::string_view refused_id = "62706a3eb79a490bbac428d1c55c93f1";
constexpr std::string_view priority = "4"; // warning
constexpr size_t most_holders = 16;

std::string errno_name(int error) {
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? name : "errno " + std::to_string(error);
}

// One line, whatever a process calls itself.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

class Entry {
 public:
  explicit Entry(std::string message) {
    add("MESSAGE", one_line(std::move(message)));
    add("MESSAGE_ID", std::string(refused_id));
    add("PRIORITY", std::string(priority));
    add("SYSLOG_IDENTIFIER", "bindlensd");
  }
  void add(std::string_view name, const std::string& value) {
    fields_.push_back(std::string(name) + "=" + value);
  }
  void add(std::string_view name, uint64_t value) { add(name, std::to_string(value)); }
  // Left out when empty: not known.
  void add_known(std::string_view name, const std::string& value) {
    if (!value.empty()) add(name, value);
  }
  [[nodiscard]] std::vector<std::string> take() { return std::move(fields_); }

 private:
  std::vector<std::string> fields_;
};

std::string named(const model::Process& p) {
  return (p.comm.empty() ? "pid" : p.comm) + "[" + std::to_string(p.pid) + "]";
}

std::string message_of(const model::Failure& f) {
  std::string text = std::string(to_string(f.call)) + " " + std::string(to_string(f.proto)) + " " +
                     model::to_string(f.asked);
  if (f.peer.port != 0) text += " to " + model::to_string(f.peer);
  text += " by " + named(*f.process);
  if (!f.process->unit.empty()) text += " (" + f.process->unit + ")";
  text += " refused with " + errno_name(f.error);
  if (f.count > 1) text += ", " + std::to_string(f.count) + " times";
  return f.explanation.empty() ? text : text + ": " + f.explanation;
}

void add_request(Entry& entry, const model::Failure& f, const std::string& netns_name) {
  entry.add("BINDLENS_CALL", std::string(to_string(f.call)));
  entry.add("BINDLENS_ERRNO", errno_name(f.error));
  entry.add("ERRNO", static_cast<uint64_t>(f.error));
  entry.add("BINDLENS_PROTO", std::string(to_string(f.proto)));
  entry.add("BINDLENS_ADDR", model::to_string(f.asked.addr));
  entry.add("BINDLENS_PORT", uint64_t{f.asked.port});
  if (f.peer.port != 0) entry.add("BINDLENS_PEER", model::to_string(f.peer));
  entry.add("BINDLENS_UID", uint64_t{f.uid});
  entry.add("BINDLENS_NETNS", uint64_t{f.netns});
  entry.add_known("BINDLENS_NETNS_NAME", netns_name);
  entry.add_known("BINDLENS_RULE", std::string(to_string(f.rule)));
  entry.add("BINDLENS_COUNT", f.count);
}

void add_caller(Entry& entry, const model::Process& p) {
  entry.add("BINDLENS_PID", uint64_t{p.pid});
  // With this the journal looks the process up, and shows the entry among those
  // of its unit (journalctl -u).
  entry.add("OBJECT_PID", uint64_t{p.pid});
  entry.add_known("BINDLENS_COMM", p.comm);
  entry.add_known("BINDLENS_EXE", p.exe);
  entry.add_known("BINDLENS_UNIT", p.unit);
  entry.add_known("BINDLENS_CONTAINER", p.container);
}

// A field may stand in an entry several times: each process once.
void add_holders(Entry& entry, const model::Failure& f) {
  std::set<uint32_t> told;
  for (const model::Blocker& b : f.blockers) {
    for (const model::Holder& h : b.holders) {
      if (told.size() >= most_holders || !told.insert(h.process->pid).second) continue;
      entry.add("BINDLENS_HOLDER_PID", uint64_t{h.process->pid});
      entry.add_known("BINDLENS_HOLDER_COMM", h.process->comm);
      entry.add_known("BINDLENS_HOLDER_UNIT", h.process->unit);
      entry.add_known("BINDLENS_HOLDER_CONTAINER", h.process->container);
    }
  }
}

} // namespace

std::vector<std::string> refusal_entry(const model::Failure& f, const std::string& netns_name,
                                       uint64_t left_out) {
  std::string message = message_of(f);
  if (left_out != 0)
    message += " (" + std::to_string(left_out) + " refused calls before it are not told here)";
  Entry entry(std::move(message));
  add_request(entry, f, netns_name);
  add_caller(entry, *f.process);
  add_holders(entry, f);
  if (left_out != 0) entry.add("BINDLENS_LEFT_OUT", left_out);
  return entry.take();
}

std::vector<std::string> left_out_entry(uint64_t left_out) {
  Entry entry(std::to_string(left_out) +
              " refused calls are not told here, there were too many at once; 'bindlens why' and "
              "'bindlens events --type fail' have them");
  entry.add("BINDLENS_LEFT_OUT", left_out);
  return entry.take();
}

} // namespace bindlens::journal
