// Sockets that hold a port and should not, and what their connections leave.

#include "scene.h"

namespace bindlens::audit::test {
namespace {

const model::Process server = process(10, "server");

TEST(Holding, BoundForLongWithoutListening) {
  const auto told = [](MonoNs bound_at, const holds& h) {
    Scene scene;
    scene.add(h, {server}).bound_at = bound_at;
    return scene.told();
  };
  const Strings finding{"warning bound-not-listening 8080"};
  EXPECT_EQ(told(940 * second, holds("0.0.0.0:8080")), finding) << "60 s";
  EXPECT_EQ(told(941 * second, holds("0.0.0.0:8080")), Strings{});
  EXPECT_EQ(told(0, holds("0.0.0.0:8080")), finding) << "before the daemon";
  EXPECT_EQ(told(0, holds("0.0.0.0:8080").listening()), Strings{});
  EXPECT_EQ(told(0, holds("0.0.0.0:8080").udp()), Strings{});
  EXPECT_EQ(told(0, holds("0.0.0.0:8080").connected("127.0.0.1:9")), Strings{});
  EXPECT_EQ(told(0, holds("0.0.0.0:8080").with(SocketFlag::kernel)), Strings{});
  EXPECT_EQ(told(0, holds("0.0.0.0:8080").with(SocketFlag::port_locked, false)), Strings{});
}

model::Blocker& leak(Scene& scene, const model::Process& holder) {
  model::Blocker& b = scene.add(holds("0.0.0.0:8080").listening(), {holder});
  b.binder = std::make_shared<const model::Process>(server);
  b.binder_exited = true;
  return b;
}

TEST(Holding, LeakedIntoALaterProgramOfAnotherFile) {
  Scene scene;
  leak(scene, process(20, "sleep"));
  EXPECT_EQ(scene.told(), Strings{"warning leaked-descriptor 8080"});
  EXPECT_EQ(scene.run()[0].summary,
            "tcp 0.0.0.0:8080 is held by sleep[20], left over from server[10], which is gone");
}

TEST(Holding, NotLeakedWhenItWasMeant) {
  const auto told = [](auto change) {
    Scene scene;
    model::Blocker& b = leak(scene, process(20, "sleep"));
    change(b);
    return scene.told();
  };
  const auto hold = [](model::Process p) {
    return [p](model::Blocker& b) {
      b.holders[0].process = std::make_shared<const model::Process>(p);
    };
  };
  EXPECT_EQ(told(hold(process(20, "server"))), Strings{}) << "went to the background";
  model::Process upgraded = process(20, "server");
  upgraded.exe = "/opt/server";
  EXPECT_EQ(told(hold(upgraded)), Strings{}) << "replaced itself";
  EXPECT_EQ(told(hold(process(5, "sleep"))), Strings{}) << "older: a helper bound for it";
  EXPECT_EQ(told(hold(process(20, "conmon"))), Strings{});
  EXPECT_EQ(told(hold(process(10, "sleep"))), Strings{}) << "exec: the same process";
  EXPECT_EQ(told([](model::Blocker& b) { b.binder_exited = false; }), Strings{});
  EXPECT_EQ(told([](model::Blocker& b) { b.holders.clear(); }), Strings{});
  EXPECT_EQ(told([](model::Blocker& b) { b.holders_known = false; }), Strings{});
  EXPECT_EQ(
      told([](model::Blocker& b) {
        b.holders.push_back({std::make_shared<const model::Process>(process(21, "server")), 3});
      }),
      Strings{})
      << "the server's own child has it, too";
}

TEST(Holding, LoginUserOnAPrivilegedPort) {
  const auto told = [](const char* at, uint32_t uid) {
    Scene scene;
    scene.add(holds(at).listening().uid(uid), {server});
    return scene.told();
  };
  EXPECT_EQ(told("0.0.0.0:80", 1000), Strings{"info privileged-by-unprivileged 80"});
  EXPECT_EQ(told("0.0.0.0:1023", 1000), Strings{"info privileged-by-unprivileged 1023"});
  EXPECT_EQ(told("0.0.0.0:1024", 1000), Strings{});
  EXPECT_EQ(told("0.0.0.0:80", 999), Strings{});
  EXPECT_EQ(told("0.0.0.0:80", 0), Strings{});
  EXPECT_EQ(told("0.0.0.0:80", 60000), Strings{"info privileged-by-unprivileged 80"});
  EXPECT_EQ(told("0.0.0.0:80", 60001), Strings{});
  EXPECT_EQ(told("0.0.0.0:80", 65534), Strings{});
  EXPECT_EQ(told("0.0.0.0:80", 100000), Strings{}) << "root of an unprivileged container";
}

TEST(Closing, ListenerWithLingerOfZero) {
  Scene scene;
  scene.add(holds("0.0.0.0:80").listening().uid(0).with(SocketFlag::linger), {server});
  EXPECT_EQ(scene.told(), Strings{"warning linger-zero 80"});
  scene.bucket(80).sockets[0].linger = 5;
  EXPECT_EQ(scene.told(), Strings{});
}

TEST(Closing, TimeWaitThatRefusesTheNextBind) {
  const auto told = [](const holds& listener, const holds& waiting) {
    Scene scene;
    scene.add(listener.socket().uid == 1000 ? holds(listener).uid(0) : listener, {server});
    scene.add(waiting);
    return scene.told();
  };
  const Strings finding{"warning time-wait-blocks-restart 8080"};
  const holds any = holds("0.0.0.0:8080").listening();
  const holds waiting = holds("127.0.0.1:8080").time_wait(41'000);
  EXPECT_EQ(told(any, waiting), finding);
  EXPECT_EQ(told(holds(any).reuseaddr(), holds(waiting).reuseaddr()), Strings{});
  EXPECT_EQ(told(holds(any).reuseaddr(), waiting), Strings{})
      << "the connection is older than the setting: the listener has learnt";
  EXPECT_EQ(told(holds(any).reuseport(), holds(waiting).reuseport()), Strings{});
  EXPECT_EQ(told(holds("127.0.0.2:8080").listening(), waiting), Strings{}) << "another address";
}

TEST(Closing, SaysForHowLong) {
  Scene scene;
  scene.add(holds("0.0.0.0:80").listening().uid(0), {server});
  scene.add(holds("127.0.0.1:80").time_wait(41'000));
  scene.add(holds("127.0.0.1:80").time_wait(12'000));
  const auto found = scene.run();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].summary,
            "a restart of server[10] on tcp 0.0.0.0:80 would fail with EADDRINUSE for 41 s");
  EXPECT_EQ(found[0].sockets.size(), 3u);
}

TEST(Order, TheMostSevereFirst) {
  Scene scene;
  scene.add(holds("0.0.0.0:80").listening().uid(1000), {server}); // info
  scene.add(holds("0.0.0.0:81").listening().uid(0).with(SocketFlag::linger), {server});
  scene.add(holds("0.0.0.0:53").udp().reuseaddr().uid(1000), {process(20, "other")});
  scene.add(holds("0.0.0.0:53").udp().reuseaddr().uid(0), {server});
  EXPECT_EQ(scene.told(),
            (Strings{"critical udp-shared-port 53", "warning linger-zero 81",
                     "info privileged-by-unprivileged 80", "info privileged-by-unprivileged 53"}));
}

} // namespace
} // namespace bindlens::audit::test
