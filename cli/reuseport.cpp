#include "commands.h"
#include "fetch.h"
#include "phrases.h"
#include "repaint.h"
#include "screens.h"
#include "text.h"

#include <bindlens/util/clock.h>

#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>

namespace bindlens::cli {
namespace {

using protocol::GroupView;
using protocol::MemberView;

constexpr std::string_view path = "/v1/reuseport";

// What the counters were at the last look.
class Rates {
 public:
  // Puts in what came since then; the daemon's own figure stays where there was no look.
  void put_into(std::vector<GroupView>& groups) {
    const MonoNs now = monotonic_now();
    std::map<std::string, Seen> seen;
    for (GroupView& g : groups)
      for (MemberView& m : g.members) {
        const auto count = count_of_member(m);
        if (!count) continue;
        const std::string key = key_of(m);
        if (const auto it = seen_.find(key); it != seen_.end() && *count >= it->second.count)
          m.per_second = static_cast<double>(*count - it->second.count) * 1e9 /
                         static_cast<double>(now - it->second.time);
        seen[key] = {*count, now};
      }
    seen_ = std::move(seen);
  }

 private:
  struct Seen {
    uint64_t count = 0;
    MonoNs time = 0;
  };

  // What is taken by the program comes before what was meant for it.
  static std::optional<uint64_t> count_of_member(const MemberView& m) {
    for (const auto& count : {m.accepted, m.datagrams, m.queued, m.selected})
      if (count) return count;
    return std::nullopt;
  }

  static std::string key_of(const MemberView& m) {
    const std::string place = socket_text(m.socket) + " " + std::to_string(m.socket.netns) + " ";
    if (!m.socket.cookie.empty()) return place + m.socket.cookie;
    const auto* owner = first_owner(m.socket);
    if (owner == nullptr) return place;
    return place + std::to_string(owner->pid) + " " + std::to_string(owner->fd.value_or(-1));
  }

  std::map<std::string, Seen> seen_;
};

class Command {
 public:
  Command(const Common& common, const Query& query, const std::string& asked)
      : common_(common), target_(protocol::make_target(path, query.parameters)), asked_(asked),
        by_port_(!query.spec.ports.empty()), filtered_(!query.parameters.empty()) {}

  int once() {
    if (common_.json) return copy();
    const auto groups = fetch();
    if (!groups) return groups.error();
    if (groups->empty()) return complain(nothing_code(), nothing_text());
    common_.out->write(screen(*groups, common_.style));
    return finish(common_, exit_done);
  }

  int watch(std::chrono::seconds interval) {
    common_.out->write_directly();
    Repaint paint(*common_.out, common_.style);
    while (true) {
      if (const auto done = look(paint, interval)) return *done;
      std::this_thread::sleep_for(interval);
    }
  }

 private:
  // The exit code, when there is no use in going on.
  std::optional<int> look(Repaint& paint, std::chrono::seconds interval) {
    if (common_.json) {
      const auto copied = copy_answer(common_, target_);
      if (!copied) return copied.error();
      if (!common_.out->flush()) return finish(common_, exit_done);
      return std::nullopt;
    }
    auto groups = fetch();
    if (!groups) return groups.error();
    rates_.put_into(*groups);
    const auto now = static_cast<protocol::WallNs>(read_clock_ns(CLOCK_REALTIME));
    const std::string head = clock_time(now, now).substr(0, 8) + "  every " +
                             std::to_string(interval.count()) + " s\n\n";
    const bool shown = paint.show(
        head + (groups->empty() ? nothing_text() + "\n" : screen(*groups, paint.style())));
    if (!shown) return finish(common_, exit_done);
    return std::nullopt;
  }

  int copy() {
    bool any = false;
    const auto fetched = for_each_line(common_, target_, [&](std::string_view line) {
      any = true;
      return common_.out->write(line) && common_.out->write("\n");
    });
    if (!fetched) return fetched.error();
    return finish(common_, any ? int{exit_done} : nothing_code());
  }

  std::expected<std::vector<GroupView>, int> fetch() {
    std::vector<GroupView> groups;
    Result<void> readable;
    const auto fetched = for_each_line(common_, target_, [&](std::string_view line) {
      auto group = protocol::read_group(line);
      if (!group) readable = std::unexpected(group.error());
      if (group) groups.push_back(std::move(*group));
      return readable.has_value();
    });
    if (!fetched) return std::unexpected(fetched.error());
    if (!readable) return std::unexpected(complain(exit_error, readable.error().text));
    return groups;
  }

  [[nodiscard]] static std::string screen(const std::vector<GroupView>& groups,
                                          const Style& style) {
    const GroupLook look{.own_netns = own_netns(), .utf8 = has_utf8()};
    std::string out;
    for (const GroupView& g : groups)
      out += (out.empty() ? "" : "\n") + group_screen(g, style, look);
    return out;
  }

  // Who names a port wants to know about that one.
  [[nodiscard]] int nothing_code() const { return by_port_ ? exit_no : exit_done; }
  [[nodiscard]] std::string nothing_text() const {
    if (by_port_)
      return "no SO_REUSEPORT group" + (asked_.empty() ? " on that port" : " on port " + asked_) +
             "; 'bindlens ls --port PORT' shows who holds one";
    return filtered_ ? "no SO_REUSEPORT group matches" : "there is no SO_REUSEPORT group";
  }

  const Common& common_;
  std::string target_;
  std::string asked_;
  bool by_port_, filtered_;
  Rates rates_;
};

} // namespace

int run_reuseport(const Common& common, const Query& query, const std::string& asked,
                  std::optional<uint32_t> watch_s) {
  Command command(common, query, asked);
  return watch_s ? command.watch(std::chrono::seconds(*watch_s)) : command.once();
}

} // namespace bindlens::cli
