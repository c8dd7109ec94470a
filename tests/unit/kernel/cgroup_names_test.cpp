#include <bindlens/kernel/processes.h>

#include <gtest/gtest.h>

namespace bindlens::kernel {
namespace {

const std::string id = "4bd4c2e1a0f94bd4c2e1a0f94bd4c2e1a0f94bd4c2e1a0f94bd4c2e1a0f90123";
const std::string inner_id(64, 'e');

struct Case {
  std::string path;
  std::string unit;
  std::string container;
};

void expect_names(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const CgroupNames names = names_in_cgroup(c.path);
    EXPECT_EQ(names.unit, c.unit) << c.path;
    EXPECT_EQ(names.container, c.container) << c.path;
  }
}

TEST(CgroupNames, OfSystemdUnits) {
  expect_names({
      {"/system.slice/nginx.service", "nginx.service", ""},
      {"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service", ""},
      {"/system.slice/cups.socket", "cups.socket", ""},
      {"/user.slice/user-1000.slice/session-2.scope", "session-2.scope", ""},
      {"/init.scope", "init.scope", ""},
  });
}

TEST(CgroupNames, TakeTheInnermostUnit) {
  expect_names({
      {"/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", "web.service", ""},
      {"/system.slice/web.service/workers/3", "web.service", ""},
  });
}

TEST(CgroupNames, OfDocker) {
  expect_names({
      {"/system.slice/docker-" + id + ".scope", "docker-" + id + ".scope", id},
      {"/docker/" + id, "", id},
      {"/docker/" + id + "/workers", "", id},
  });
}

TEST(CgroupNames, OfContainerdInKubernetes) {
  expect_names({
      {"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b2c_3d4e.slice/"
       "cri-containerd-" +
           id + ".scope",
       "cri-containerd-" + id + ".scope", id},
      {"/kubepods/burstable/pod1b2c-3d4e/" + id, "", id},
  });
}

TEST(CgroupNames, OfPodman) {
  expect_names({
      {"/machine.slice/libpod-" + id + ".scope/container", "libpod-" + id + ".scope", id},
      {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id + ".scope",
       "libpod-" + id + ".scope", id},
  });
}

TEST(CgroupNames, OfCriO) {
  expect_names({
      {"/kubepods.slice/kubepods-besteffort.slice/crio-" + id + ".scope", "crio-" + id + ".scope",
       id},
  });
}

TEST(CgroupNames, OfAServiceInsideAContainer) {
  expect_names({
      {"/system.slice/docker-" + id + ".scope/system.slice/nginx.service", "nginx.service", id},
      {"/docker/" + id + "/docker/" + inner_id, "", inner_id},
  });
}

TEST(CgroupNames, OfPathsThatSayNothing) {
  expect_names({
      {"", "", ""},
      {"/", "", ""},
      {"////", "", ""},
      {"/workers/3", "", ""},
      {"/system.slice/nginx.service.d", "", ""},
      {"/docker/" + id.substr(1), "", ""},
      {"/docker/" + id + "0", "", ""},
      {"/docker/" + std::string(64, 'E'), "", ""},
      {"/docker/" + std::string(64, 'g'), "", ""},
      {"/docker/-", "", ""},
  });
}

TEST(CgroupNames, OfPathsOfAnyForm) {
  expect_names({
      {"nginx.service", "nginx.service", ""},
      {"/system.slice/nginx.service/", "nginx.service", ""},
      {"//system.slice//nginx.service//", "nginx.service", ""},
      {"/../../system.slice/nginx.service", "nginx.service", ""},
      {id, "", id},
      {"/system.slice/my\\x2dweb.service", "my\\x2dweb.service", ""},
      {"/" + std::string(100'000, 'a') + ".service", std::string(100'000, 'a') + ".service", ""},
  });
}

} // namespace
} // namespace bindlens::kernel
