#pragma once

#include <bindlens/model/socket.h>

#include <vector>

namespace bindlens::model {

// struct inet_bind_bucket (TCP: one per namespace, port and l3mdev) with its
// caches, or a UDP hash slot. Sockets stand in the order of the kernel's chain;
// the kernel's decision for UDP depends on it.
struct Bucket {
  Proto proto = Proto::tcp; // tcp, udp or udplite
  uint32_t netns = 0;
  uint16_t port = 0;
  uint32_t l3mdev = 0;
  int8_t fastreuse = 0;     // -1: only connect() has used the port so far
  int8_t fastreuseport = 0; // -1, 0, 1 = FASTREUSEPORT_ANY, 2 = FASTREUSEPORT_STRICT
  uint32_t fastuid = 0;
  Address fast_addr;
  bool fast_v6only = false;
  uint32_t slot_count = 0; // UDP: sockets in the slot, foreign ports and namespaces included
  std::vector<Socket> sockets;
};

// Everything that the kernel consults for one port of one protocol, in all
// namespaces and l3mdevs unless the walk was narrowed.
struct PortView {
  std::vector<Bucket> buckets;
  bool torn = false; // the chain kept changing while it was read: treat as incomplete
  bool truncated = false;
};

} // namespace bindlens::model
