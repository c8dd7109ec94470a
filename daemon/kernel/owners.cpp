#include <bindlens/kernel/owners.h>

#include <bindlens/kernel/mapped_array.h>
#include <bindlens/util/fd.h>

#include "bindlens.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace bindlens::kernel {

namespace {

// "socket:[123]" -> 123, 0 for anything else.
uint64_t socket_inode(const char* path) {
  std::array<char, 64> target{};
  const ssize_t n = ::readlink(path, target.data(), target.size() - 1);
  constexpr std::string_view prefix = "socket:[";
  const std::string_view text(target.data(), n > 0 ? static_cast<size_t>(n) : 0);
  if (!text.starts_with(prefix)) return 0;
  uint64_t inode = 0;
  std::from_chars(text.data() + prefix.size(), text.data() + text.size(), inode);
  return inode;
}

std::string fd_dir(uint32_t pid) {
  return "/proc/" + std::to_string(pid) + "/fd";
}

// A process with very many descriptors is left to the sweep, which is faster then.
constexpr int max_listed_descriptors = 512;

// Entries of a directory that are numbers, until `visit` returns false.
template <typename Visit>
void for_each_number(const std::string& path, Visit visit) {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), &::closedir);
  while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
    const std::string_view name(entry->d_name);
    uint32_t number = 0;
    const auto [end, ec] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (ec == std::errc{} && end == name.data() + name.size() && !visit(number)) return;
  }
}

void add_descriptors(std::vector<Descriptor>& owners, uint32_t pid, const model::Socket& socket) {
  int listed = 0;
  for_each_number(fd_dir(pid), [&](uint32_t fd) {
    if (still_open(pid, fd, socket.inode)) owners.push_back({pid, fd});
    return ++listed < max_listed_descriptors;
  });
}

// Opens the iterator over tasks, for which the kernel runs the program.
Result<Fd> start_iterator(const bpf_program* program) {
  bpf_link* link = ::bpf_program__attach_iter(program, nullptr);
  if (link == nullptr) return fail_errno("attaching the owner iterator");
  Fd iterator(::bpf_iter_create(::bpf_link__fd(link)));
  ::bpf_link__destroy(link);
  if (!iterator) return fail_errno("starting the owner iterator");
  return iterator;
}

Result<std::vector<bl_owner>> descriptors_in_kernel(Session& session) {
  const auto& maps = session.object().maps;
  const Fd any_socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!any_socket) return fail_errno("opening a socket to know others by");
  const auto cursor = MappedArray<bl_sweep>::of(::bpf_map__fd(maps.sweep_cursor), 1);
  const auto rows = MappedArray<bl_owner>::of(::bpf_map__fd(maps.sweep_rows), BL_SWEEP_ROWS);
  if (!cursor || !rows) return fail(cursor ? rows.error() : cursor.error(), "the sweep");
  const auto iterator = start_iterator(session.object().progs.owners);
  if (!iterator) return std::unexpected(iterator.error());
  *cursor->data() = bl_sweep{};
  (*cursor)->socket = any_socket.get();
  std::vector<bl_owner> owners;
  for (;;) {
    char unused = 0; // the rows are in the map
    const ssize_t n = ::read(iterator->get(), &unused, sizeof unused);
    if (n < 0 && errno != EAGAIN) return fail_errno("reading the owner iterator");
    owners.insert(owners.end(), rows->data(), rows->data() + (*cursor)->rows);
    (*cursor)->rows = 0;
    if (n != 0) continue;
    if ((*cursor)->socket_f_op == 0) return fail("the sweep cannot tell sockets from other files");
    return owners;
  }
}

// Every socket in every /proc/PID/fd, by inode.
std::vector<bl_owner> descriptors_in_proc() {
  std::vector<bl_owner> owners;
  for_each_number("/proc", [&](uint32_t pid) {
    for_each_number(fd_dir(pid), [&](uint32_t fd) {
      const uint64_t inode = socket_inode((fd_dir(pid) + "/" + std::to_string(fd)).c_str());
      if (inode != 0) owners.push_back({inode, pid, fd, 0, 0, 0});
      return true;
    });
    return true;
  });
  return owners;
}

} // namespace

Result<OwnerMap> sweep_owners(Session& session) {
  const MonoNs now = monotonic_now();
  if (!session.has_programs() || ::bpf_program__fd(session.object().progs.owners) < 0)
    return OwnerMap(descriptors_in_proc(), now, OwnerMap::Key::inode);
  const auto owners = descriptors_in_kernel(session);
  if (!owners) return std::unexpected(owners.error());
  return OwnerMap(*owners, now, OwnerMap::Key::socket);
}

bool still_open(uint32_t pid, uint32_t fd, uint64_t inode) {
  return inode != 0 && socket_inode((fd_dir(pid) + "/" + std::to_string(fd)).c_str()) == inode;
}

std::vector<Descriptor> still_open(const model::Socket& socket, const OwnerMap& sweep) {
  std::vector<Descriptor> open;
  for (const Descriptor& o : sweep.at_address_of(socket))
    if (still_open(o.pid, o.fd, socket.inode)) open.push_back(o);
  return open;
}

Owners quick_owners(const model::Socket& socket, const OwnerMap& last_sweep, uint32_t binder_pid) {
  Owners owners;
  const bool no_process = socket.inode == 0 || socket.is(model::SocketFlag::kernel);
  if (no_process || socket.file_refs == 0) {
    owners.complete = no_process; // else the references are not known: sock_diag
    return owners;
  }
  owners.descriptors = still_open(socket, last_sweep);
  const auto accounted = [&] { return owners.descriptors.size() >= socket.file_refs; };
  const bool binder_known = std::any_of(owners.descriptors.begin(), owners.descriptors.end(),
                                        [&](const Descriptor& o) { return o.pid == binder_pid; });
  if (!accounted() && binder_pid != 0 && !binder_known)
    add_descriptors(owners.descriptors, binder_pid, socket);
  owners.complete = accounted();
  return owners;
}

} // namespace bindlens::kernel
