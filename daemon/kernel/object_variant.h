#pragma once

#include <bindlens/kernel/attach_plan.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace bindlens::kernel {

// One source compiled three times, with the same programs, maps and variables,
// so that one skeleton type serves for all; bpf/read.h and bpf/walk.h tell the
// differences.
enum class ObjectVariant : uint8_t {
  flat,   // any kernel from 5.10
  loop,   // with bpf_loop(), from 5.17
  direct, // and with direct loads, from 6.2
};

[[nodiscard]] std::string_view to_string(ObjectVariant variant);

[[nodiscard]] ObjectVariant best_variant(const KernelFacts& facts);

// The ELF file, which lives as long as the process.
[[nodiscard]] std::span<const std::byte> object_bytes(ObjectVariant variant);

} // namespace bindlens::kernel
