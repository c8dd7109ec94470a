// What bindlens can do on the running kernel, in lines for tests/vm/support:
//
//   variant NAME            of the BPF object
//   hook NAME ROUTE         in the tier of BINDLENS_TIER; "-" = missing
//   without NAME EFFECT     what it means that it is missing
//   program NAME COUNT      loaded; instructions that the verifier went through
//   sockets NAME yes|no     what this kernel can open
//   rule NAME VALUE         as calibrated
//
// Words are separated by tabs.

#include "daemon.h"
#include "uring.h"

#include <bindlens/kernel/calibration.h>
#include <bindlens/kernel/session.h>
#include <bindlens/util/fd.h>

#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>

namespace bindlens::test {
namespace {

kernel::AttachWishes wishes() {
  kernel::AttachWishes w;
  for (const kernel::Tier t :
       {kernel::Tier::trampoline, kernel::Tier::kprobe, kernel::Tier::tracepoint})
    if (wanted_tier() == to_string(t)) {
      w.force_tier = true;
      w.tier = t;
    }
  return w;
}

void print_session() {
  const auto session = kernel::Session::open({.wishes = wishes()});
  if (!session) give_up(session.error().text);
  std::printf("variant\t%s\n", std::string((*session)->variant()).c_str());
  for (const kernel::PlannedHook& hook : (*session)->plan().hooks) {
    std::printf("hook\t%s\t%s\n", hook.name.c_str(), hook.attached ? hook.route.c_str() : "-");
    if (!hook.attached) std::printf("without\t%s\t%s\n", hook.name.c_str(), hook.effect.c_str());
  }
  for (const kernel::ProgramStats& p : (*session)->program_stats())
    std::printf("program\t%s\t%u\n", p.name.c_str(), p.verified_insns);
}

bool can_open(int type, int protocol) {
  return static_cast<bool>(Fd(::socket(AF_INET, type | SOCK_CLOEXEC, protocol)));
}

bool can_bind_by_uring() {
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  return uring_bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0;
}

void print_sockets() {
  const auto print = [](const char* name, bool yes) {
    std::printf("sockets\t%s\t%s\n", name, yes ? "yes" : "no");
  };
  print("MPTCP", can_open(SOCK_STREAM, IPPROTO_MPTCP));
  print("UDP-Lite", can_open(SOCK_DGRAM, IPPROTO_UDPLITE));
  print("SCTP", can_open(SOCK_STREAM, IPPROTO_SCTP));
  print("bind by io_uring", can_bind_by_uring());
}

void print_rules() {
  for (const rules::VariantLine& line : rules::describe(kernel::calibrate().variants))
    std::printf("rule\t%s\t%s\n", std::string(line.name).c_str(), std::string(line.value).c_str());
}

} // namespace
} // namespace bindlens::test

int main() {
  try {
    bindlens::test::print_session();
    bindlens::test::print_sockets();
    bindlens::test::print_rules();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "support_report: %s\n", e.what());
    return 1;
  }
}
