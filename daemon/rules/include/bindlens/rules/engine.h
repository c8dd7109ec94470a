#pragma once

#include <bindlens/model/bucket.h>
#include <bindlens/model/rule.h>
#include <bindlens/rules/host_facts.h>
#include <bindlens/rules/variants.h>

#include <cstdint>
#include <string>
#include <vector>

// What Linux decides about a port, as a pure function of the sockets that hold
// it, the request, the host and the variant of the kernel. Written from and
// compared with Linux 5.10, 6.1, 6.12, 6.18 and 7.3: inet_csk_get_port(),
// udp_lib_get_port(), __inet_hash_connect(), __inet_bind(), __inet6_bind().
//
//   PortView view = walk(port);                     // daemon/kernel
//   Verdict v = decide(request, view, facts, variants);
//   if (!v.would_succeed) print(v.error, v.rule, v.blockers);
//
// Everything here may be called from any thread and keeps no state.
namespace bindlens::rules {

enum class Operation : uint8_t {
  bind,     // bind(); port 0 lets the kernel choose
  listen,   // listen(); local.port 0: not bound yet
  connect,  // connect(); local.port 0: the kernel chooses
  autobind, // UDP: sending or connecting without a port
};

struct Request {
  Operation op = Operation::bind;
  // bind: listen() follows, and has to succeed as well.
  bool then_listen = false;
  model::Proto proto = model::Proto::tcp;
  // AF_INET or AF_INET6 of socket(); empty: that of `local`.
  std::optional<model::Family> family;
  // bind: as given to the call. Otherwise the address the socket has; for an
  // unbound one the wildcard and port 0.
  model::Endpoint local;
  uint32_t scope_id = 0; // sin6_scope_id given to bind
  model::Endpoint peer;  // connect only
  // The socket's options now: reuseaddr, reuseport, v6only, force_reuse,
  // has_group, group_has_closed, freebind, transparent, bind_no_port count.
  model::SocketFlags flags;
  uint32_t uid = 0; // of the socket (fsuid at socket(), or fchown), not of the caller
  uint32_t dev = 0; // SO_BINDTODEVICE, interface index
  uint32_t netns = 0;
  PortRange own_range;      // IP_LOCAL_PORT_RANGE, an end of 0 is unset
  bool has_port = false;    // bind: the socket already has a port
  bool connected = false;   // bind, listen: neither in CLOSE nor in LISTEN
  model::SocketId self = 0; // the socket's own row in the view, 0 = it has none
};

// Which part of the kernel's decision settled the matter.
enum class Path : uint8_t {
  none,
  checks,      // before the port table: address, privilege, state
  no_port,     // IP_BIND_ADDRESS_NO_PORT: the table is not asked
  empty,       // nobody held the port
  forced,      // TCP_REPAIR
  cached_addr, // the bucket's fastreuse
  cached_port, // the bucket's fastreuseport
  holders,     // the holders, one by one
  search,      // a port was searched for in the range
};
[[nodiscard]] std::string_view to_string(Path p);

// A socket that the kernel found in the way.
struct Conflict {
  // Points into the view that was given to decide().
  const model::Socket* socket = nullptr;
  const model::Bucket* bucket = nullptr;
  model::Rule rule = model::Rule::none;
  model::Relation relation = model::Relation::none;
  // With all other conflicts gone this one still refuses.
  bool necessary = true;
};

// How the search for a free port went: until one was found, or to the end.
struct PortSearch {
  uint32_t range = 0;    // ports in the whole range; 0 = nothing was searched for
  uint32_t reserved = 0; // left out by ip_local_reserved_ports
  uint32_t taken = 0;    // refused by a holder, or closed to connect()
  uint32_t bound = 0;    // TCP: those of `taken` that connect() passes over for any destination
  // Free, but not visited: with an odd number of ports the search leaves one out.
  uint32_t passed_over = 0;
  PortRange ports; // the range that was searched
  // One socket for each of `taken`: what refused, or what closed the port to connect().
  // They point into the view.
  struct Holder {
    const model::Socket* socket = nullptr; // never null
    bool by_bind = false;                  // one of `bound`
  };
  std::vector<Holder> holders;
};

struct Verdict {
  bool would_succeed = false;
  int error = 0; // errno, positive
  model::Rule rule = model::Rule::none;
  Path path = Path::none;
  // The call that fails: bind, or the listen that follows (then_listen).
  Operation failing = Operation::bind;
  // All sockets in the way, in the kernel's order: while one that is necessary
  // stays the call fails, without all of them it succeeds.
  std::vector<Conflict> blockers;
  PortSearch search;
  // What the answer depends on and cannot be known, each as a clause. When
  // `open` is set, the answer itself could be the other one.
  std::vector<std::string> unknown;
  bool open = false;
  // explain_failure(): the walk shows why. False: it does not (the holder was
  // gone by then, or never in reach), and `rule` and `blockers` say nothing.
  bool reproduced = true;
};

// `view` holds the walk of request.local.port, or of the whole table where the
// kernel has to choose a port (op autobind, or port 0). Foreign ports, protocols
// and namespaces in it are left aside. It has to outlive the verdict.
[[nodiscard]] Verdict decide(const Request& request, const model::PortView& view,
                             const HostFacts& facts, const Variants& variants);

// A call that the kernel refused with `error` (positive errno). Its verdict
// carries that error. `view` is the walk made at the failing instant; the
// request's own socket may be in it (Request::self).
[[nodiscard]] Verdict explain_failure(const Request& request, int error,
                                      const model::PortView& view, const HostFacts& facts,
                                      const Variants& variants);

// How a holder's address covers the requested one.
[[nodiscard]] model::Relation relation_of(const model::Address& holder,
                                          const model::Address& requested);

} // namespace bindlens::rules
