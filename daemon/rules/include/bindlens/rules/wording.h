#pragma once

// Words for sockets, processes and numbers, shared by explanations and changes.

#include <bindlens/rules/explain.h>

#include <string>

namespace bindlens::rules {

// "node[3340]", "node[3340] (app.service)", "the kernel itself", "a process of
// user app", "a closed connection of node[3340] to 10.0.0.9:80".
[[nodiscard]] std::string who(const model::Blocker& b, const Names& names);
// The processes to stop: "node[3340]", "node[3340] and 3 more", empty if none.
[[nodiscard]] std::string processes_of(const model::Blocker& b);
[[nodiscard]] std::string process_name(const model::Process& p); // "node[3340]"
// "ip[123]", "ip[123], which has exited"; there has to be a binder.
[[nodiscard]] std::string binder_name(const model::Blocker& b);

[[nodiscard]] std::string user_name(uint32_t uid, const Names& names);   // "app", "uid 1000"
[[nodiscard]] std::string device_name(uint32_t dev, const Names& names); // "eth0", "interface 2"
[[nodiscard]] std::string netns_suffix(uint32_t netns, const Names& names);

// "1 connection", "3 connections".
[[nodiscard]] std::string count_of(size_t n, std::string_view singular);
// "a", "a and b", "a, b and c".
[[nodiscard]] std::string join(const std::vector<std::string>& parts);
[[nodiscard]] std::string capitalized(std::string text);

[[nodiscard]] std::string end_of(const model::Socket& s); // "127.0.0.1:8080"
// The longest time until a TIME_WAIT socket goes away, in whole seconds; 60 when
// one does not say.
[[nodiscard]] uint32_t seconds_left(const model::Socket& s);

} // namespace bindlens::rules
