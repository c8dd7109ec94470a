#pragma once

// Sockets in the way that no process has open: nobody can set an option on
// them, and to stop a process does not end them.

#include <bindlens/rules/explain.h>

#include <span>
#include <string>

namespace bindlens::rules {

enum class Unowned : uint8_t {
  no,     // a process had it open when it was in the way; or TIME_WAIT
  kernel, // made by the kernel itself
  closed, // a connection that was closed and that the kernel still finishes
  queued, // a connection that its listener has not accepted yet
};
[[nodiscard]] Unowned unowned(const model::Socket& s);

// A process can set an option on it.
[[nodiscard]] bool takes_options(const model::Socket& s);

// ", set up by ip[123], which has exited"; empty when that was not seen.
[[nodiscard]] std::string origin_clause(const model::Blocker& b);

// "a closed connection of node[3340] to 10.0.0.9:80".
[[nodiscard]] std::string closed_connection(const model::Blocker& b, const Names& names);

// Why a socket without a process refuses. `b` is one for which unowned() does
// not say no.
[[nodiscard]] std::string unowned_text(const ExplainInput& in, const model::Blocker& b);

// "FIN_WAIT2 until …": how a closed connection ends.
[[nodiscard]] std::string ending_of(const model::Socket& s, const HostFacts& facts);

// "wait until the kernel has ended …": all closed connections among the blockers.
[[nodiscard]] std::string wait_for_closed_text(std::span<const model::Blocker> blockers,
                                               const HostFacts& facts);

// "remove what in the kernel uses the port (…)"
[[nodiscard]] std::string remove_from_kernel_text(const model::Socket& s);

} // namespace bindlens::rules
