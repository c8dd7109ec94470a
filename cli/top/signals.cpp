#include "signals.h"

#include <sys/signalfd.h>

namespace bindlens::cli::top {

Result<Signals> Signals::take() {
  sigset_t wanted, before;
  sigemptyset(&wanted);
  for (const int s : {SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH})
    sigaddset(&wanted, s);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &wanted, &before); error != 0)
    return fail_errno("cannot block signals", error);
  Fd fd(::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) {
    auto error = fail_errno("cannot read signals");
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return error;
  }
  return Signals(std::move(fd), before);
}

Signals::Signals(Signals&& other) noexcept : fd_(std::move(other.fd_)), before_(other.before_) {}

Signals::~Signals() {
  if (fd_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<int> Signals::next() const {
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
  return static_cast<int>(info.ssi_signo);
}

void suffer(int signal) {
  struct sigaction usual {};
  struct sigaction before {};
  usual.sa_handler = SIG_DFL;
  ::sigaction(signal, &usual, &before);
  sigset_t one, mask;
  sigemptyset(&one);
  sigaddset(&one, signal);
  ::raise(signal); // pending for this thread until it is let through
  ::pthread_sigmask(SIG_UNBLOCK, &one, &mask);
  ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  ::sigaction(signal, &before, nullptr);
}

} // namespace bindlens::cli::top
