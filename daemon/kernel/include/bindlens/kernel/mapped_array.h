#pragma once

#include <bindlens/util/result.h>

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <utility>

namespace bindlens::kernel {

// The values of a BPF array map made with BPF_F_MMAPABLE, as they are in the kernel.
// T is the map's value type, of a size that is a multiple of 8: the kernel rounds up.
template <typename T>
class MappedArray {
 public:
  static_assert(sizeof(T) % 8 == 0);

  MappedArray() = default;
  // Source: array_map_mmap() (kernel/bpf/arraymap.c).
  [[nodiscard]] static Result<MappedArray> of(int map_fd, size_t entries) {
    void* p = ::mmap(nullptr, entries * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
    if (p == MAP_FAILED) return fail_errno("mapping a BPF array");
    MappedArray mapped;
    mapped.data_ = static_cast<T*>(p);
    mapped.size_ = entries;
    return mapped;
  }
  MappedArray(MappedArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedArray& operator=(MappedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MappedArray() {
    if (data_ != nullptr) ::munmap(data_, size_ * sizeof(T));
  }

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] T* operator->() const { return data_; }
  [[nodiscard]] T& operator*() const { return *data_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

} // namespace bindlens::kernel
