#pragma once

#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <csignal>
#include <optional>

namespace bindlens::cli::top {

// The signals that concern a program with a screen of its own, as something to
// read: nothing is done inside of a handler. Threads that are to be left alone
// by them must be started while this exists.
class Signals {
 public:
  [[nodiscard]] static Result<Signals> take();
  // What has been taken is as it was before.
  ~Signals();
  Signals(Signals&& other) noexcept;
  Signals& operator=(Signals&&) = delete;

  // Readable when there is one.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] std::optional<int> next() const;

 private:
  Signals(Fd fd, sigset_t before) : fd_(std::move(fd)), before_(before) {}

  Fd fd_;
  sigset_t before_{};
};

// Lets `signal` do what it does to a program that does not catch it: end it, or
// stop it. Returns when it was stopped and goes on.
void suffer(int signal);

} // namespace bindlens::cli::top
