#include <bindlens/protocol/url.h>

#include <gtest/gtest.h>

namespace bindlens::protocol {
namespace {

TEST(Url, TakesATargetApart) {
  const auto t = parse_target("/v1/sockets?port=80,443&comm=a%20b&all&x=1=2");
  ASSERT_TRUE(t.has_value());
  EXPECT_EQ(t->path, "/v1/sockets");
  const std::vector<Parameter> expected = {
      {"port", "80,443"}, {"comm", "a b"}, {"all", ""}, {"x", "1=2"}};
  EXPECT_EQ(t->parameters, expected);
}

TEST(Url, TakesAbsoluteForm) {
  EXPECT_EQ(parse_target("http://localhost/v1/status")->path, "/v1/status");
  EXPECT_EQ(parse_target("http://localhost")->path, "/");
}

TEST(Url, LeavesPlusAlone) {
  EXPECT_EQ(parse_target("/?since=2026-03-01T00:00:00+02:00")->parameters[0].second,
            "2026-03-01T00:00:00+02:00");
}

TEST(Url, PassesOverEmptyParts) {
  EXPECT_TRUE(parse_target("/v1/sockets?")->parameters.empty());
  EXPECT_EQ(parse_target("/v1/sockets?&&a=1&")->parameters.size(), 1u);
}

TEST(Url, RefusesBrokenEscapes) {
  for (const char* bad : {"/?a=%", "/?a=%4", "/?a=%zz", "/?%g0=1"})
    EXPECT_FALSE(parse_target(bad).has_value()) << bad;
}

TEST(Url, MakesWhatItReads) {
  const std::vector<Parameter> odd = {{"comm", "a b&c=%?#\"\n"}, {"addr", "::1"}, {"unit", "ü@1"}};
  const auto back = parse_target(make_target("/v1/sockets", odd));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->parameters, odd);
  EXPECT_EQ(make_target("/v1/status", {}), "/v1/status");
  EXPECT_EQ(make_target("/x", {{"p", "1 2"}}), "/x?p=1%202");
}

} // namespace
} // namespace bindlens::protocol
