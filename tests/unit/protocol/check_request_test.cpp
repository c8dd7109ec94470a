#include <bindlens/protocol/check_request.h>

#include <gtest/gtest.h>

namespace bindlens::protocol {
namespace {

Result<uint32_t> resolve_user(std::string_view name) {
  if (name == "www-data") return 33;
  return fail("there is no user '" + std::string(name) + "'");
}

std::expected<CheckRequest, FieldError> parsed(std::string_view json) {
  return parse_check_request(json, resolve_user);
}

std::string field_at_fault(std::string_view json) {
  const auto r = parsed(json);
  return r ? "accepted" : r.error().field;
}

TEST(CheckRequest, ReadsEveryMember) {
  const auto r = parsed(R"({"proto":"tcp","addr":"::1","port":8080,"reuseaddr":true,
      "reuseport":true,"v6only":false,"listen":true,"uid":"www-data","dev":"eth0","freebind":true,
      "transparent":true,"netns":4026531840,"os":"freebsd"})");
  ASSERT_TRUE(r.has_value()) << r.error().field << r.error().text;
  EXPECT_EQ(r->at, *model::parse_endpoint("[::1]:8080"));
  EXPECT_TRUE(r->reuseaddr && r->reuseport && r->listen && r->freebind && r->transparent);
  EXPECT_EQ(r->v6only, false);
  EXPECT_EQ(r->uid, 33u);
  EXPECT_EQ(r->dev, "eth0");
  EXPECT_EQ(r->netns, "4026531840");
  EXPECT_EQ(r->os, "freebsd");
}

TEST(CheckRequest, StarIsAnyAddressOfTheFamilyMeant) {
  EXPECT_EQ(parsed(R"({"proto":"udp","addr":"*","port":0})")->at,
            *model::parse_endpoint("0.0.0.0:0"));
  EXPECT_EQ(parsed(R"({"v6only":true,"proto":"udp","addr":"*","port":0})")->at,
            *model::parse_endpoint("[::]:0"));
}

TEST(CheckRequest, NamesWhatIsWrong) {
  EXPECT_EQ(field_at_fault(""), "");
  EXPECT_EQ(field_at_fault("[]"), "");
  EXPECT_EQ(field_at_fault("{"), "");
  EXPECT_EQ(field_at_fault(R"({"addr":"*","port":1})"), "proto");
  EXPECT_EQ(field_at_fault(R"({"proto":"tcp","port":1})"), "addr");
  EXPECT_EQ(field_at_fault(R"({"proto":"tcp","addr":"*"})"), "port");
  EXPECT_EQ(field_at_fault(R"({"proto":"mptcp","addr":"*","port":1})"), "proto");
  EXPECT_EQ(field_at_fault(R"({"proto":"tcp","addr":"1.2.3","port":1})"), "addr");
  for (const char* port : {"65536", "-1", "\"80\"", "1.5", "null"})
    EXPECT_EQ(field_at_fault(R"({"proto":"tcp","addr":"*","port":)" + std::string(port) + "}"),
              "port");
  const auto with = [](const std::string& member) {
    return R"({"proto":"tcp","addr":"*","port":1,)" + member + "}";
  };
  EXPECT_EQ(field_at_fault(with(R"("reuseaddr":1)")), "reuseaddr");
  EXPECT_EQ(field_at_fault(with(R"("uid":-1)")), "uid");
  EXPECT_EQ(field_at_fault(with(R"("uid":4294967296)")), "uid");
  EXPECT_EQ(field_at_fault(with(R"("uid":"nobody-here")")), "uid");
  EXPECT_EQ(field_at_fault(with(R"("dev":"")")), "dev");
  EXPECT_EQ(field_at_fault(with(R"("netns":true)")), "netns");
  EXPECT_EQ(field_at_fault(with(R"("os":"dos")")), "os");
  EXPECT_EQ(field_at_fault(with(R"("reuse":true)")), "reuse");
  EXPECT_EQ(field_at_fault(R"({"proto":"tcp","addr":"1.2.3.4","port":1,"v6only":true})"), "v6only");
  EXPECT_EQ(field_at_fault(R"({"proto":"udp","addr":"*","port":1,"listen":true})"), "listen");
}

TEST(CheckRequest, SurvivesTextThatIsNoUtf8) {
  EXPECT_EQ(field_at_fault("{\"proto\":\"\xff\xfe\"}"), "");
}

TEST(CheckBody, IsReadBack) {
  CheckArguments a;
  a.proto = "tcp";
  a.addr_port = "[::1]:443";
  a.reuseport = true;
  a.v6only = true;
  a.uid = "www-data";
  a.netns = "web-1";
  const auto body = check_body(a);
  ASSERT_TRUE(body.has_value());
  const auto r = parsed(*body);
  ASSERT_TRUE(r.has_value()) << r.error().text;
  EXPECT_EQ(r->at, *model::parse_endpoint("[::1]:443"));
  EXPECT_TRUE(r->reuseport);
  EXPECT_FALSE(r->reuseaddr);
  EXPECT_EQ(r->v6only, true);
  EXPECT_EQ(r->uid, 33u);
  EXPECT_EQ(r->netns, "web-1");
}

TEST(CheckBody, RefusesBeforeAnythingIsSent) {
  const auto field = [](std::string proto, std::string at) {
    CheckArguments a;
    a.proto = std::move(proto);
    a.addr_port = std::move(at);
    const auto body = check_body(a);
    return body ? "accepted" : body.error().field;
  };
  EXPECT_EQ(field("sctp", "*:80"), "PROTO");
  for (const char* bad : {"80", "*:65536", "*:-1", "*:http", "::1:80", "1.2.3:80", "", ":"})
    EXPECT_EQ(field("tcp", bad), "ADDR:PORT") << bad;
  EXPECT_EQ(field("tcp", "*:0"), "accepted");
}

} // namespace
} // namespace bindlens::protocol
