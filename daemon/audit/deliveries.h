#pragma once

#include "report.h"

namespace bindlens::audit {

// Who receives what is sent to an address of this family that no socket of the
// port is bound to, from anybody.
[[nodiscard]] Sockets receivers_elsewhere(const Sockets& sockets, bool tcp, model::Family family);
// 127.0.0.1 or ::1, through the loopback interface.
[[nodiscard]] Sockets receivers_of_localhost(const Sockets& sockets, bool tcp,
                                             const rules::HostFacts& facts, model::Family family);

// Destination by destination, who receives it. `sockets`: those of one port that
// can be reached, in the kernel's order. Every address that one is bound to, and
// for each family all others; by interface where a socket is bound to one.
[[nodiscard]] std::vector<model::Delivery> deliveries(Report& report, const Sockets& sockets,
                                                      bool tcp);

} // namespace bindlens::audit
