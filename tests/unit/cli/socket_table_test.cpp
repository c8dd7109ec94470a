#include "screens.h"

#include "text.h"
#include "views.h"

#include <gtest/gtest.h>

#include <sstream>

namespace bindlens::cli {
namespace {

using namespace protocol;
using test::view_of;

constexpr WallNs second = 1'000'000'000;
constexpr WallNs now = 1'772'334'667 * second;
constexpr uint32_t own = 1;

SocketView nginx() {
  SocketView s;
  s.proto = "tcp";
  s.family = "inet";
  s.addr = "0.0.0.0";
  s.port = 443;
  s.state = "LISTEN";
  s.reuseport = true;
  s.netns = own;
  s.backlog = {12, 511};
  s.bound_at = now - 3 * 86400 * second;
  const ProcessView p = view_of(813, "nginx", 7, "nginx.service");
  s.holders = {p, p, p};
  return s;
}

SocketView envoy() {
  SocketView s;
  s.proto = "tcp";
  s.family = "inet6";
  s.addr = "2001:db8:1234:5678:9abc:def0:1234:5678";
  s.port = 8080;
  s.state = "LISTEN";
  s.v6only = true;
  s.netns = 2;
  s.netns_name = "web-1";
  s.backlog = {0, 128};
  s.bound_at = now - 7200 * second;
  s.holders = {view_of(77, "envoy", 9)};
  s.holders->front().container = "a1b2c3d4e5f6a7b8c9d0";
  return s;
}

SocketView java() {
  SocketView s = nginx();
  s.addr = "127.0.0.1";
  s.port = 8080;
  s.state = "BOUND";
  s.reuseaddr = true;
  s.reuseport = false;
  s.backlog.reset();
  s.bound_at = now - 12 * second;
  s.holders = {view_of(990, "java", 44, "app@2.service")};
  return s;
}

std::string rendered(const std::vector<SocketView>& sockets, size_t width, bool wide = false) {
  SocketTable table({.wide = wide, .now = now, .own_netns = own});
  for (const auto& s : sockets)
    table.add(s);
  return table.render({.width = width});
}

TEST(SocketTable, InAPipe) {
  EXPECT_EQ(
      rendered({envoy(), java(), nginx()}, 0),
      R"(PROTO  ADDRESS                                        STATE   FLAGS      BACKLOG  PROCESS             UNIT/CONTAINER  AGE  NETNS
tcp    0.0.0.0:443                                    LISTEN  reuseport  12/511   nginx[813] fd 7 +2  nginx.service   3d   -
tcp    127.0.0.1:8080                                 BOUND   reuseaddr  -        java[990] fd 44     app@2.service   12s  -
tcp6   [2001:db8:1234:5678:9abc:def0:1234:5678]:8080  LISTEN  v6only     0/128    envoy[77] fd 9      a1b2c3d4e5f6    2h   web-1
)");
}

TEST(SocketTable, At132Columns) {
  EXPECT_EQ(rendered({nginx(), java(), envoy()}, 132), rendered({nginx(), java(), envoy()}, 0));
}

TEST(SocketTable, At80ColumnsWithoutOtherNamespaces) {
  EXPECT_EQ(rendered({nginx(), java()}, 80),
            R"(PROTO  ADDRESS         STATE   FLAGS      BACKLOG  PROCESS             AGE
tcp    0.0.0.0:443     LISTEN  reuseport  12/511   nginx[813] fd 7 +2  3d
tcp    127.0.0.1:8080  BOUND   reuseaddr  -        java[990] fd 44     12s
)");
}

TEST(SocketTable, At60Columns) {
  EXPECT_EQ(rendered({nginx(), java()}, 60),
            R"(PROTO  ADDRESS         STATE   PROCESS             AGE
tcp    0.0.0.0:443     LISTEN  nginx[813] fd 7 +2  3d
tcp    127.0.0.1:8080  BOUND   java[990] fd 44     12s
)");
}

TEST(SocketTable, FitsEveryWidth) {
  for (const bool wide : {false, true})
    for (size_t width = 30; width < 200; ++width) {
      std::istringstream lines(rendered({nginx(), java(), envoy()}, width, wide));
      for (std::string line; std::getline(lines, line);)
        EXPECT_LE(display_width(line), width) << line;
    }
}

TEST(SocketTable, NamesWhoHasNoProcess) {
  SocketView kernel = java();
  kernel.kernel = true;
  kernel.holders->clear();
  SocketView unknown = java();
  unknown.holders.reset();
  SocketView orphan = java();
  orphan.orphan = true;
  orphan.holders->clear();
  SocketView unlisted = unknown;
  unlisted.binder = view_of(5, "python");
  EXPECT_NE(rendered({kernel}, 0).find("  kernel  "), std::string::npos);
  EXPECT_NE(rendered({unknown}, 0).find("  unknown  "), std::string::npos);
  EXPECT_NE(rendered({orphan}, 0).find("  none  "), std::string::npos);
  EXPECT_NE(rendered({unlisted}, 0).find("  by python[5]  "), std::string::npos);
}

TEST(SocketTable, ShowsPeersWhenThereAreSome) {
  EXPECT_EQ(rendered({nginx()}, 0).find("PEER"), std::string::npos);
  SocketView connected = nginx();
  connected.state = "ESTABLISHED";
  connected.peer = "192.0.2.77:51234";
  EXPECT_NE(rendered({connected}, 0).find("PEER"), std::string::npos);
}

TEST(SocketTable, ShowsMoreWhenWide) {
  SocketView s = nginx();
  s.user = "www-data";
  s.bound_by = "bind";
  s.bucket.emplace();
  s.bucket->open_to = "reuseport";
  s.bucket->open_uid = 33;
  s.cookie = "1a2b";
  const std::string text = rendered({s}, 0, true);
  for (const char* part : {"USER", "OPEN TO", "www-data", "reuseport", "1a2b"})
    EXPECT_NE(text.find(part), std::string::npos) << part;
}

} // namespace
} // namespace bindlens::cli
