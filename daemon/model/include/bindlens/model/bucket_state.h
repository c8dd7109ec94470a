#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bindlens::model {

// Who may still get a TCP port that is held, on the addresses of its holders.
enum class OpenTo : uint8_t {
  nobody,
  connect,   // connect() that looks for a port, to other destinations
  reuseaddr, // bind with SO_REUSEADDR
  reuseport, // bind with SO_REUSEPORT, of one user
};
[[nodiscard]] std::string_view to_string(OpenTo o);

// A bind bucket as the kernel keeps it, and what that means for the next one.
struct BucketState {
  int8_t fastreuse = 0; // struct inet_bind_bucket
  int8_t fastreuseport = 0;
  uint32_t fastuid = 0;
  OpenTo open_to = OpenTo::nobody;
  std::optional<uint32_t> open_uid; // reuseport: whose; nullopt = anybody's
  std::string because;              // what made it so, as a clause
};

} // namespace bindlens::model
