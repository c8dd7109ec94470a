#pragma once

#include "place.h"

namespace bindlens::test {

enum class Closes { server, client, in_turn }; // which end of a connection does so first

// Connections to 127.0.0.1:`service`, as fast as one process makes them, closed at once.
// Each comes from an address and a port that no other has had, so none reuses anything,
// and each leaves one TIME_WAIT socket. False when a call failed.
[[nodiscard]] bool make_time_wait(const Netns& netns, uint16_t service, int count, Closes first);

} // namespace bindlens::test
