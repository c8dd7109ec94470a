#pragma once

#include "core.h"

#include <bindlens/server/backend.h>

namespace bindlens::app {

struct CheckContext {
  Core& core;
  kernel::Namespaces& namespaces;
  server::Backend& names;
};

// Would this bind succeed now? Reads the bucket fresh from the kernel and asks
// the rules; binds nothing. Errors with EINVAL carry the option at fault.
void check_bind(const CheckContext& context, const protocol::CheckRequest& request,
                server::Peer peer, server::Backend::Done<protocol::CheckReply> done);

} // namespace bindlens::app
