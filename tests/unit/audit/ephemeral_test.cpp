// Ports of the ephemeral range; it is 40000-40009 here.

#include "scene.h"

namespace bindlens::audit::test {
namespace {

const model::Process server = process(10, "server");

TEST(EphemeralOverlap, ServiceInsideTheRange) {
  const auto told = [](const holds& h, auto... reserved) {
    Scene scene;
    scene.facts.reserved_ports = std::vector<rules::PortRange>{reserved...};
    scene.add(h, {server});
    return scene.told();
  };
  const auto listens = [](const char* at) { return holds(at).listening().uid(0); };
  EXPECT_EQ(told(listens("0.0.0.0:40000")), Strings{"warning ephemeral-overlap 40000"});
  EXPECT_EQ(told(listens("0.0.0.0:40009")), Strings{"warning ephemeral-overlap 40009"});
  EXPECT_EQ(told(holds("0.0.0.0:40001").udp().uid(0)), Strings{"info ephemeral-overlap 40001"});
  EXPECT_EQ(told(listens("0.0.0.0:39999")), Strings{});
  EXPECT_EQ(told(listens("0.0.0.0:40010")), Strings{});
  EXPECT_EQ(told(listens("0.0.0.0:40001"), rules::PortRange{40001, 40001}), Strings{});
  EXPECT_EQ(told(listens("0.0.0.0:40001").with(SocketFlag::port_locked, false)), Strings{});
  EXPECT_EQ(told(holds("0.0.0.0:40001").udp().connected("127.0.0.1:9")), Strings{});
}

TEST(EphemeralOverlap, NothingIsSaidWithoutTheSysctls) {
  Scene scene;
  scene.add(holds("0.0.0.0:40000").listening().uid(0), {server});
  scene.facts.reserved_ports.reset();
  EXPECT_EQ(scene.told(), Strings{});
  scene.facts.reserved_ports.emplace();
  scene.facts.local_port_range.reset();
  EXPECT_EQ(scene.told(), Strings{});
}

// So many connections to one server, each from a port of its own.
void connect(Scene& scene, int count, const char* to, int first = 40000) {
  for (int i = 0; i < count; ++i) {
    const std::string from = "10.0.0.5:" + std::to_string(first + i);
    scene.add(holds(from.c_str()).child(to), {server});
    model::Bucket& b = scene.bucket(static_cast<uint16_t>(first + i));
    b.fastreuse = b.fastreuseport = -1;
  }
}

TEST(EphemeralExhaustion, IsCountedPerDestination) {
  const auto told = [](int to_one, int to_other) {
    Scene scene;
    connect(scene, to_one, "10.0.0.9:5432");
    connect(scene, to_other, "10.0.0.8:5432");
    return scene.told();
  };
  EXPECT_EQ(told(7, 7), Strings{});
  EXPECT_EQ(told(8, 0), Strings{"warning ephemeral-near-exhaustion 0"});
  EXPECT_EQ(told(10, 7), Strings{"critical ephemeral-near-exhaustion 0"});
}

TEST(EphemeralExhaustion, CountsPortsThatOthersHaveBound) {
  Scene scene;
  connect(scene, 6, "10.0.0.9:5432");
  EXPECT_EQ(scene.told(), Strings{});
  for (const char* at : {"10.0.0.5:40008", "10.0.0.5:40009"})
    scene.add(holds(at).with(SocketFlag::port_locked, false), {server});
  EXPECT_EQ(scene.told(), Strings{"warning ephemeral-near-exhaustion 0"});
  const auto f = scene.run()[0];
  EXPECT_EQ(f.summary, "8 of 10 ephemeral ports from 10.0.0.5 to 10.0.0.9:5432 are in use");
  EXPECT_EQ(f.subject, "tcp 10.0.0.5 to 10.0.0.9:5432 server");
}

TEST(EphemeralExhaustion, ReservedPortsAreNotThere) {
  Scene scene;
  connect(scene, 7, "10.0.0.9:5432");
  scene.facts.reserved_ports->push_back({40008, 40009});
  EXPECT_EQ(scene.told(), Strings{"warning ephemeral-near-exhaustion 0"}) << "7 of 8";
}

TEST(EphemeralExhaustion, OfUdpAndOfBoundPorts) {
  const auto told = [](bool udp, int count) {
    Scene scene;
    for (int i = 0; i < count; ++i) {
      const std::string at = "0.0.0.0:" + std::to_string(40000 + i);
      holds h(at.c_str());
      h.with(SocketFlag::port_locked, false);
      scene.add(udp ? h.udp() : h, {server});
    }
    return scene.told();
  };
  for (const bool udp : {true, false}) {
    EXPECT_EQ(told(udp, 7), Strings{});
    EXPECT_EQ(told(udp, 8), Strings{"warning ephemeral-near-exhaustion 0"});
    EXPECT_EQ(told(udp, 10), Strings{"critical ephemeral-near-exhaustion 0"});
  }
}

} // namespace
} // namespace bindlens::audit::test
