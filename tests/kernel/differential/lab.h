#pragma once

// The network namespace in which sequences run, and what is known about it.

#include "sequence.h"

#include <bindlens/rules/host_facts.h>
#include <bindlens/util/result.h>

#include <netinet/in.h>

namespace differential {

struct LabAddress {
  bindlens::model::Address addr;
  uint32_t scope = 0; // interface index for link-local addresses
  std::string text;
};

class Lab {
 public:
  // Moves the calling thread into a new namespace with two devices, addresses of
  // every kind and, where the kernel has it, a VRF.
  [[nodiscard]] static bindlens::Result<Lab> enter();

  // Writes the sysctls of a sequence whose first port is `base`.
  [[nodiscard]] bindlens::Result<void> apply(const Setting& s, uint16_t base);

  [[nodiscard]] uint32_t netns() const { return netns_; }
  [[nodiscard]] const std::vector<LabAddress>& addresses() const { return addresses_; }
  [[nodiscard]] const std::vector<uint32_t>& devices() const { return devices_; }
  [[nodiscard]] bool has_vrf() const { return has_vrf_; }
  [[nodiscard]] bool same_vrf(uint32_t device, uint32_t other) const;
  // The namespace as bind sees it; a caller without privilege lacks
  // CAP_NET_BIND_SERVICE.
  [[nodiscard]] bindlens::rules::HostFacts facts(bool privileged) const;

 private:
  bindlens::Result<void> build();
  bindlens::Result<void> learn();
  void list_addresses();

  uint32_t netns_ = 0;
  bool has_vrf_ = false;
  std::vector<LabAddress> addresses_;
  std::vector<uint32_t> devices_;
  bindlens::rules::HostFacts facts_;
};

[[nodiscard]] sockaddr_storage to_sockaddr(const bindlens::model::Address& a, uint16_t port,
                                           uint32_t scope);

} // namespace differential
