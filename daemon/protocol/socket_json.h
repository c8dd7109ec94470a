#pragma once

#include "json_text.h"

#include <bindlens/model/bucket_state.h>
#include <bindlens/model/process.h>
#include <bindlens/model/socket.h>
#include <bindlens/model/timewait.h>
#include <bindlens/protocol/json.h>

namespace bindlens::protocol {

// Names of a socket's numbers, as far as they are known.
struct SocketNames {
  std::string_view user, netns, dev;
};

// The members that the kernel alone decides: proto … cookie.
void write_socket(ObjectWriter& json, const model::Socket& s, const SocketNames& names);
// As model::append_to, but several times faster for IPv4, which inet_ntop()
// prints through snprintf(): a long list is mostly addresses.
void append_address(std::string& out, const model::Address& a);
void append_endpoint(std::string& out, const model::Endpoint& e);
[[nodiscard]] std::string_view family_name(model::Family f); // "inet", "inet6"
// proto, family, addr, port
void write_address(ObjectWriter& json, model::Proto proto, const model::Endpoint& e);
void write_time(ObjectWriter& json, std::string_view key, MonoNs t, int64_t offset);

// ,"comm":… to the last fact, without the closing brace.
void append_process_facts(std::string& out, const model::Process& p);
// A whole process object; `fd` and `tid` are left out when negative or 0.
void append_process(std::string& out, const model::Process& p, int fd = -1, uint32_t tid = 0);

// kind, evidence, sockets, harmless, left_out
void write_reuse_facts(ObjectWriter& json, const model::TimeWaitReuse& r);

// bucket: {"fastreuse":…,"open_to":…}
void append_bucket(std::string& out, const model::BucketState& b);

void append_blocker(std::string& out, const model::Blocker& b, const Names& names, int64_t offset);
// The same socket where it stands in nobody's way: without relation and rule.
void append_owned(std::string& out, const model::Blocker& b, const Names& names, int64_t offset);

// The object of append_finding(), without a newline.
void write_finding(std::string& out, const model::Finding& f, const Names& names);

} // namespace bindlens::protocol
