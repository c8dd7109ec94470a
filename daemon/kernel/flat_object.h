#pragma once

#include <cstddef>

namespace bindlens::kernel {

// The BPF object compiled without bpf_loop(), for kernels before 5.17.
[[nodiscard]] void* flat_object(size_t& size);

} // namespace bindlens::kernel
