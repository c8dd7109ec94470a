#pragma once

// What each command shows, as text. Pure: data in, lines out.

#include "output.h"
#include "table.h"

#include <bindlens/protocol/view.h>

#include <map>
#include <string>
#include <vector>

namespace bindlens::cli {

// bindlens ls. Rows come in any order and are shown by namespace, port,
// protocol and address.
class SocketTable {
 public:
  struct Options {
    bool wide = false;
    protocol::WallNs now = 0;
    uint32_t own_netns = 0; // of who looks: only other namespaces are named
  };
  explicit SocketTable(Options options) : options_(options) {}

  void add(const protocol::SocketView& s);
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::string render(const Style& style);
  // Why rows are marked with "?", a line for each reason; may be empty.
  [[nodiscard]] std::string uncertainties(const Style& style) const;

 private:
  struct Row {
    bool foreign = false; // in another namespace
    uint32_t netns = 0;
    uint16_t port = 0;
    std::vector<std::string> cells;
  };
  [[nodiscard]] std::vector<std::string> cells_of(const protocol::SocketView& s) const;

  Options options_;
  bool any_peer_ = false;
  std::vector<Row> rows_;
  std::map<std::string, size_t> uncertain_; // reasons, and how many rows each has
};

// bindlens why: one failure in full, and one in a line.
[[nodiscard]] std::string why_screen(const protocol::FailureView& f, const Style& style,
                                     protocol::WallNs now);
[[nodiscard]] std::string why_line(const protocol::FailureView& f, const Style& style,
                                   protocol::WallNs now);

// Which refused calls the daemon cannot see, and why; empty when it sees them all.
[[nodiscard]] std::string unseen_refusals(const protocol::StatusView& s);

[[nodiscard]] std::string event_line(const protocol::EventView& e, const Style& style);
[[nodiscard]] std::string status_screen(const protocol::StatusView& s, const Style& style);
[[nodiscard]] std::string verify_screen(const protocol::VerifyView& v, const Style& style);
[[nodiscard]] std::string check_screen(const protocol::CheckView& c, const Style& style,
                                       protocol::WallNs now);

// bindlens audit: one finding, and the line that counts them.
[[nodiscard]] std::string finding_screen(const protocol::FindingView& f, const Style& style,
                                         uint32_t own_netns);
struct Tally {
  uint64_t critical = 0, warnings = 0, infos = 0;
};
[[nodiscard]] std::string tally_text(const Tally& t);

// bindlens timewait: one port.
[[nodiscard]] std::string timewait_screen(const protocol::TimeWaitView& t, const Style& style,
                                          protocol::WallNs now);
// bindlens ports
[[nodiscard]] std::string ports_screen(const protocol::PortReportView& r, const Style& style);

// bindlens reuseport: one group.
struct GroupLook {
  uint32_t own_netns = 0;
  bool utf8 = true; // else bars are of ASCII
};
[[nodiscard]] std::string group_screen(const protocol::GroupView& g, const Style& style,
                                       const GroupLook& look);

// Sockets that stand in the way, each with who bound it and who has it open,
// every line `indent` columns in.
[[nodiscard]] std::string holder_lines(const std::vector<protocol::SocketView>& holders,
                                       size_t indent, const Style& style, protocol::WallNs now);
// Wrapped text, every line `indent` columns in, all but the first `hang` more.
[[nodiscard]] std::string paragraph(std::string_view text, size_t indent, size_t hang,
                                    const Style& style);

} // namespace bindlens::cli
