#include "object_variant.h"

#include "bindlens.skel.h"
#include "bindlens_direct.skel.h"
#include "bindlens_flat.skel.h"

#include <array>

namespace bindlens::kernel {

std::string_view to_string(ObjectVariant variant) {
  constexpr std::array<std::string_view, 3> names = {"flat", "loop", "direct"};
  return names.at(static_cast<size_t>(variant));
}

ObjectVariant best_variant(const KernelFacts& facts) {
  if (!facts.loop_helper) return ObjectVariant::flat;
  return facts.direct_loads ? ObjectVariant::direct : ObjectVariant::loop;
}

std::span<const std::byte> object_bytes(ObjectVariant variant) {
  size_t size = 0;
  const void* bytes = nullptr;
  switch (variant) {
  case ObjectVariant::flat:
    bytes = bindlens_flat_bpf__elf_bytes(&size);
    break;
  case ObjectVariant::loop:
    bytes = bindlens_bpf__elf_bytes(&size);
    break;
  case ObjectVariant::direct:
    bytes = bindlens_direct_bpf__elf_bytes(&size);
    break;
  }
  return {static_cast<const std::byte*>(bytes), size};
}

} // namespace bindlens::kernel
