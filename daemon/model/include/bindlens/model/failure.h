#pragma once

#include <bindlens/model/bucket_state.h>
#include <bindlens/model/process.h>
#include <bindlens/model/rule.h>
#include <bindlens/model/socket.h>
#include <bindlens/util/clock.h>

#include <string>
#include <vector>

namespace bindlens::model {

enum class Call : uint8_t { bind, listen, connect, send };
[[nodiscard]] std::string_view to_string(Call c);

// How much of a failure was seen and how much was worked out afterwards.
enum class Evidence : uint8_t { observed, reconstructed };
[[nodiscard]] std::string_view to_string(Evidence e);

// A socket that stood in the way, with what is known about it.
struct Blocker {
  Socket socket;
  Rule rule = Rule::none;
  Relation relation = Relation::none;
  bool necessary = true; // while it stays, the call keeps failing
  BoundBy bound_by = BoundBy::unknown;
  MonoNs bound_at = 0; // 0 = before the daemon started
  ProcessRef binder;   // who bound it, as observed
  bool binder_exited = false;
  MonoNs released_at = 0;      // it gave its port back after the refusal; 0 = not seen
  std::vector<Holder> holders; // processes that had it open when asked, right after the failure
  bool holders_known = false;  // false: they could not be listed in time
};

// A bind, listen or connect that the kernel refused.
struct Failure {
  uint64_t id = 0; // counts up from 1 since the daemon's start
  MonoNs time = 0; // of the newest, when folded
  MonoNs first_time = 0;
  uint64_t count = 1; // identical failures in a row
  Call call = Call::bind;
  int error = 0; // errno, positive
  Proto proto = Proto::tcp;
  Endpoint asked; // as given to the call; connect: the local end
  Endpoint peer;  // connect: the destination
  SocketFlags flags;
  uint32_t dev = 0;
  uint32_t uid = 0; // of the socket: the one the reuseport rule compares
  uint32_t netns = 0;
  ProcessRef process; // the caller, never null
  uint32_t tid = 0;
  Rule rule = Rule::none;
  std::string explanation; // one sentence
  std::vector<Blocker> blockers;
  uint64_t blockers_left_out = 0; // more of the same, not kept
  std::vector<std::string> advice;
  std::optional<BucketState> bucket; // TCP: of the port that was refused, at that moment
  Evidence evidence = Evidence::observed;
  bool complete = true; // no event had been lost and the walk was whole
};

} // namespace bindlens::model
