#include "flat_object.h"

#include "bindlens_flat.skel.h"

namespace bindlens::kernel {

void* flat_object(size_t& size) {
  // libbpf takes the bytes as void* and only reads them.
  return const_cast<void*>(bindlens_flat_bpf__elf_bytes(&size));
}

} // namespace bindlens::kernel
