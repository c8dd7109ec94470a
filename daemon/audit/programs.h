#pragma once

#include <bindlens/model/failure.h>

#include <string>
#include <vector>

namespace bindlens::audit {

// The processes that have the socket open; the binder where that is not known.
// systemd keeps a descriptor of every socket unit: it counts only when it is alone.
[[nodiscard]] std::vector<model::ProcessRef> processes_of(const model::Blocker& b);

// Two sockets of different programs, so that it matters which of them receives.
// Not: sockets that share a process, of a parent and its child, or of one systemd
// service or container, when the program is the same. What nobody knows the
// processes of counts as the same. A socket of the kernel is a program of its own.
[[nodiscard]] bool different_programs(const model::Blocker& a, const model::Blocker& b);

// Of another name: two instances of one program are alike.
[[nodiscard]] bool unlike_programs(const model::Blocker& a, const model::Blocker& b);

// A user who logs in, by the usual ranges: no system account, not nobody, and not
// what root or a service of an unprivileged container is outside of it.
[[nodiscard]] bool is_login_user(uint32_t uid);

// Sorted, each once: "nginx", "kernel".
[[nodiscard]] std::vector<std::string> program_names(const std::vector<model::Blocker>& sockets);

} // namespace bindlens::audit
