#pragma once

#include <bindlens/model/bucket.h>
#include <bindlens/model/bucket_state.h>
#include <bindlens/rules/variants.h>

namespace bindlens::rules {

// To whom a port is open that somebody holds: what inet_csk_get_port() and
// __inet_hash_connect() would say to a newcomer whose address overlaps those of
// all holders. A holder on one address only leaves the others free, and a device
// may keep sockets apart; that is for decide(). `bucket` holds a socket.
[[nodiscard]] model::BucketState bucket_state(const model::Bucket& bucket, const Variants& v);

// That of a port of one namespace, sockets in a VRF left aside; nothing when no
// TCP socket holds it.
[[nodiscard]] std::optional<model::BucketState>
held_bucket_state(const model::PortView& view, uint32_t netns, uint16_t port, const Variants& v);

} // namespace bindlens::rules
