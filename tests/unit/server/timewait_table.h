#pragma once

#include <bindlens/model/timewait.h>

namespace bindlens::test {

// Port 8080, held by 37 and taken over once; port 9000, of which nothing is left.
inline model::TimeWaitTable timewait_table() {
  model::Process p;
  p.pid = 812;
  p.comm = "app";
  p.unit = "app.service";
  const auto app = std::make_shared<const model::Process>(p);
  model::TimeWaitReuse r;
  r.time = 2;
  r.kind = model::ReuseKind::bind;
  r.socket.local = {model::Address::v4(127, 0, 0, 1), 8080};
  r.socket.netns = 4026531840;
  r.process = app;
  r.sockets = 3;
  r.left_out = 4;
  model::TimeWaitPort held;
  held.local = {model::Address::v4(127, 0, 0, 1), 8080};
  held.netns = 4026531840;
  held.count = 37;
  held.fin_wait2 = 2;
  held.oldest = 1;
  held.next_left_ms = 1'500;
  held.last_left_ms = 41'000;
  held.owners = {{app, 30}};
  held.reuses[model::ReuseKind::bind] = 5;
  held.recent = {r};
  held.linger_zero = 1;
  model::TimeWaitPort gone;
  gone.local = {model::Address::v4(127, 0, 0, 1), 9000};
  gone.netns = 4026531840;
  gone.reuses[model::ReuseKind::syn] = 1;
  model::TimeWaitTable table;
  table.ports = {gone, held};
  return table;
}

} // namespace bindlens::test
