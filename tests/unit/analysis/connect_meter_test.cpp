#include "port_scene.h"

namespace bindlens::analysis::test {
namespace {

using model::EventType;

constexpr MonoNs s = 1'000'000'000;

model::Event event(EventType type, MonoNs time, const char* from = "10.0.0.5:40000",
                   const char* to = "10.0.0.9:80") {
  model::Event e;
  e.time = time;
  e.type = type;
  e.bound_by = model::BoundBy::connect;
  e.socket = holds(from).child(to).socket();
  return e;
}

const Route route{netns, address("10.0.0.5"), endpoint("10.0.0.9:80")};

TEST(ConnectMeter, CountsTheLastSeconds) {
  ConnectMeter meter(0);
  for (int i = 0; i < 30; ++i)
    meter.note(event(EventType::connect, 100 * s + MonoNs(i) * s / 10));
  meter.note(event(EventType::release, 102 * s));
  EXPECT_EQ(meter.count(route, 103 * s).opened, 30u);
  EXPECT_EQ(meter.count(route, 103 * s).closed, 1u);
  EXPECT_EQ(meter.count(route, 111 * s).opened, 20u) << "the first second is too old";
  EXPECT_EQ(meter.count(route, 113 * s).opened, 0u);
  EXPECT_EQ(meter.count(route, 200 * s).opened, 0u);
}

TEST(ConnectMeter, WindowBeginsWithTheEvents) {
  const ConnectMeter meter(95 * s);
  EXPECT_EQ(meter.window_start(97 * s), 95 * s);
  EXPECT_EQ(meter.window_start(200 * s + s / 2), 190 * s);
  EXPECT_EQ(ConnectMeter(0).window_start(3 * s), 0u) << "a machine that has just booted";
}

TEST(ConnectMeter, DestinationsAreApart) {
  ConnectMeter meter(0);
  meter.note(event(EventType::connect, 100 * s));
  meter.note(event(EventType::connect, 100 * s, "10.0.0.5:40001", "10.0.0.9:443"));
  meter.note(event(EventType::connect, 100 * s, "127.0.0.1:40001", "10.0.0.9:80"));
  meter.note(event(EventType::connect, 100 * s, "[::ffff:10.0.0.5]:40002", "[::ffff:10.0.0.9]:80"));
  EXPECT_EQ(meter.count(route, 101 * s).opened, 2u);
}

TEST(ConnectMeter, OnlyConnectionsThatTookAPort) {
  ConnectMeter meter(0);
  auto bound = event(EventType::connect, 100 * s);
  bound.socket.flags.set(SocketFlag::port_locked);
  meter.note(bound);
  auto udp = event(EventType::connect, 100 * s);
  udp.socket.proto = model::Proto::udp;
  meter.note(udp);
  auto accepted = event(EventType::release, 100 * s);
  accepted.bound_by = model::BoundBy::accept;
  meter.note(accepted);
  meter.note(event(EventType::bind, 100 * s));
  model::Event gap;
  gap.type = EventType::gap;
  gap.time = 100 * s;
  meter.note(gap);
  EXPECT_EQ(meter.count(route, 101 * s).opened, 0u);
  EXPECT_EQ(meter.count(route, 101 * s).closed, 0u);
}

// A scan over the internet must not make the daemon grow.
TEST(ConnectMeter, ManyDestinationsDoNotGrowItWithoutEnd) {
  ConnectMeter meter(0);
  const auto scan = [&](MonoNs time) {
    for (int i = 0; i < 20'000; ++i) {
      auto e = event(EventType::connect, time);
      e.socket.peer.addr =
          model::Address::v4(10, 1, static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i));
      meter.note(e);
    }
  };
  scan(100 * s);
  meter.note(event(EventType::connect, 100 * s));
  EXPECT_EQ(meter.count(route, 101 * s).opened, 0u) << "one too many";
  meter.note(event(EventType::connect, 120 * s));
  EXPECT_EQ(meter.count(route, 121 * s).opened, 1u) << "the scan is forgotten";
}

TEST(ConnectMeter, EventsOfOneMomentMayComeLate) {
  ConnectMeter meter(0);
  meter.note(event(EventType::connect, 100 * s));
  meter.note(event(EventType::connect, 98 * s));
  EXPECT_EQ(meter.count(route, 101 * s).opened, 2u);
  meter.note(event(EventType::connect, 89 * s)); // its slot is that of second 100
  EXPECT_EQ(meter.count(route, 101 * s).opened, 2u);
}

} // namespace
} // namespace bindlens::analysis::test
