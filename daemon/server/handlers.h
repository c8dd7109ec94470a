#pragma once

#include "context.h"
#include "reply.h"

#include <span>

namespace bindlens::server {

struct Request {
  std::string_view method; // "GET"
  std::string_view target; // "/v1/sockets?port=80"
  std::string_view body;
  Peer peer;
};

using Answer = std::function<void(Reply)>;

// Finds the handler of the request's path and lets it answer, now or later.
// What the request views need to live only until the call returns.
void dispatch(const Request& request, const std::shared_ptr<Context>& context, Answer answer);

} // namespace bindlens::server
