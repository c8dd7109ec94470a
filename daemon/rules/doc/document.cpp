// docs/bind-rules.md.

#include "folklore.h"

#include <array>
#include <sstream>
#include <stdexcept>

namespace bindlens::rules {

namespace {

constexpr const char* introduction = R"(# Who may share a port

This page is made from the rules engine by `bind-rules-doc`; a test holds it against
the engine. It takes the account of SO_REUSEADDR and SO_REUSEPORT that everybody
quotes, row by row, and gives the answer for each system that `bindlens check --os`
knows. *Linux* is a current kernel (6.18); `bindlens check` uses the rules of the
kernel it runs on, which `bindlens status` lists.

A bind is a protocol, an address and a port. A holds a port, B asks for it. Unless a
row says otherwise both are TCP, neither listens, and both belong to one user.

**Bold** marks the rows in which today's Linux does other than the account says; the
reasons follow the table.

)";

constexpr const char* other_rows = R"(## Rows without a verdict

| row | subject | today's Linux |
| --- | --- | --- |
| 20 | unbound sockets | Sending (UDP) and connecting bind them. UDP without a free port fails with EAGAIN, TCP with EADDRNOTAVAIL. |
| 21 | wildcard and connect | The wildcard becomes the chosen source address, and other addresses of the port are free again. Dissolving the connection brings the wildcard back, unless an address was bound. |
| 22 | SO_LINGER | `{1, 0}` closes with RST: data is lost and there is no TIME_WAIT. A longer time only makes close() wait. **TIME_WAIT is 60 s whatever SO_LINGER says**, and tcp_fin_timeout is about FIN_WAIT2. |
| 23 | hijacking | A reuseport group takes sockets of one user: the user who made the socket (fsuid at socket(), or a later fchown), not the one who calls bind. SO_REUSEADDR on UDP has no such test. |
| 24 | distribution | Evenly over hashes of the connections' addresses. Few clients, or a change of members, make it uneven. A UDP member that connects leaves the group on current kernels. |

## Also believed

| belief | today's Linux |
| --- | --- |
| A listening socket makes SO_REUSEADDR useless on its port. | For overlapping addresses and devices only. |
| bind() is where a conflict shows. | listen() asks again, and is refused where bind was not; the socket stays bound. |
| Only sockets that some process has open hold a port. | Connections waiting to be accepted, closed ones that still send, TIME_WAIT and sockets of the kernel do, too. |
| tcp_tw_reuse lets a server restart. | It is about connect() choosing a port. |
| A wildcard bind of IPv6 blocks IPv4 only without IPV6_V6ONLY. | True for binds. |
)";

constexpr std::array bsd_family = {Profile::bsd,    Profile::freebsd, Profile::openbsd,
                                   Profile::netbsd, Profile::macos,   Profile::ios};

// The account tells these systems as one.
std::string bsd_text(const FolkloreCase& c) {
  const std::string first = answer_text(bsd_family.front(), c);
  for (const Profile p : bsd_family)
    if (answer_text(p, c) != first)
      throw std::logic_error("row " + c.row + ": the BSD family needs more than one column");
  return first;
}

} // namespace

std::string bind_rules_document() {
  std::ostringstream out, notes;
  out << introduction
      << "| row | A holds | B asks | options | bsd, freebsd, openbsd, netbsd, macos, ios | "
         "linux-pre-3.9 | linux |\n"
         "| --- | --- | --- | --- | --- | --- | --- |\n";
  for (const FolkloreCase& c : folklore_cases()) {
    const std::string mark = differs(c) ? "**" : "";
    out << "| " << mark << c.row << mark << " | " << c.first << " | " << c.second << " | "
        << c.options << " | " << bsd_text(c) << " | " << answer_text(Profile::linux_pre_3_9, c)
        << " | " << mark << answer_text(Profile::linux_now, c) << mark << " |\n";
    if (differs(c)) notes << "- **" << c.row << "** " << c.correction << "\n";
  }
  out << "\n## Where Linux differs from the account\n\n" << notes.str() << "\n" << other_rows;
  return out.str();
}

} // namespace bindlens::rules
