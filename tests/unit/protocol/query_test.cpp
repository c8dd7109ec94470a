#include <bindlens/protocol/query.h>

#include <gtest/gtest.h>

#include <algorithm>

namespace bindlens::protocol {
namespace {

std::expected<FilterSpec, FieldError> parsed(Listing listing, std::vector<Parameter> parameters) {
  constexpr WallNs now = 1'772'334'667'000'000'000;
  return parse_filter(listing, parameters, now);
}

std::string complaint(const std::string& name, const std::string& value,
                      Listing listing = Listing::sockets) {
  const auto spec = parsed(listing, {{name, value}});
  if (spec) return "accepted";
  EXPECT_EQ(spec.error().field, name);
  return spec.error().text;
}

TEST(Query, ReadsEveryField) {
  const auto spec = parsed(Listing::sockets, {{"proto", "tcp,udp"},
                                              {"port", "80,443,8000-8100"},
                                              {"addr", "[::1]"},
                                              {"state", "listen,BOUND"},
                                              {"pid", "7"},
                                              {"comm", "nginx"},
                                              {"uid", "www-data"},
                                              {"netns", "web-1"},
                                              {"unit", "nginx.service"},
                                              {"container", "a1b2"},
                                              {"limit", "0"},
                                              {"all", "1"},
                                              {"wide", "true"}});
  ASSERT_TRUE(spec.has_value()) << spec.error().field << spec.error().text;
  EXPECT_EQ(spec->protos, (std::vector{model::Proto::tcp, model::Proto::udp}));
  ASSERT_EQ(spec->ports.size(), 3u);
  EXPECT_EQ(spec->ports[2].first, 8000);
  EXPECT_EQ(spec->ports[2].last, 8100);
  EXPECT_EQ(spec->addr, model::parse_address("::1"));
  EXPECT_EQ(spec->states, (std::vector{model::State::listen, model::State::bound}));
  EXPECT_EQ(spec->pid, 7u);
  EXPECT_EQ(spec->comm, "nginx");
  EXPECT_EQ(spec->uid, "www-data");
  EXPECT_EQ(spec->netns, "web-1");
  EXPECT_EQ(spec->unit, "nginx.service");
  EXPECT_EQ(spec->container, "a1b2");
  EXPECT_EQ(spec->limit, 0u);
  EXPECT_TRUE(spec->all);
  EXPECT_TRUE(spec->wide);
}

TEST(Query, ReadsDestinations) {
  const auto to = [](const char* text) {
    const auto spec = parsed(Listing::ports, {{"to", text}});
    EXPECT_TRUE(spec.has_value()) << text;
    return spec ? spec->to : FilterSpec::Destination{};
  };
  EXPECT_EQ(to("10.0.0.9:80").addr, model::parse_address("10.0.0.9"));
  EXPECT_EQ(to("10.0.0.9:80").port, 80);
  EXPECT_EQ(to("[fd00::9]:80").addr, model::parse_address("fd00::9"));
  EXPECT_EQ(to("[fd00::9]:80").port, 80);
  EXPECT_EQ(to("10.0.0.9").addr, model::parse_address("10.0.0.9"));
  EXPECT_EQ(to("10.0.0.9").port, 0);
  EXPECT_EQ(to("fd00::9").addr, model::parse_address("fd00::9"));
  EXPECT_EQ(to("[fd00::9]").addr, model::parse_address("fd00::9"));
  EXPECT_EQ(to(":80").port, 80);
  EXPECT_EQ(to(":80").addr, std::nullopt);
  EXPECT_EQ(to("*:80").addr, std::nullopt);
  for (const char* bad : {"", ":", "*", ":0", "10.0.0.9:0", "10.0.0.9:http", "web:80", "80"})
    EXPECT_NE(complaint("to", bad, Listing::ports), "accepted") << bad;
  EXPECT_NE(complaint("to", "10.0.0.9", Listing::sockets), "accepted");
}

TEST(Query, ListsMayBeRepeated) {
  const auto spec = parsed(Listing::sockets, {{"port", "80"}, {"port", "443"}});
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->ports.size(), 2u);
}

TEST(Query, OthersMayNot) {
  const auto spec = parsed(Listing::sockets, {{"pid", "1"}, {"pid", "2"}});
  ASSERT_FALSE(spec.has_value());
  EXPECT_EQ(spec.error().field, "pid");
}

TEST(Query, NamesThePortThatIsNone) {
  for (const char* bad : {"65536", "-1", "http", "8000-", "-", "9-1", "", "80,", "1.5", " 80",
                          "0x50", "80-65536", "99999999999999999999"})
    EXPECT_NE(complaint("port", bad).find("is no port"), std::string::npos) << bad;
  EXPECT_NE(complaint("port", "80,http,443").find("'http'"), std::string::npos);
}

TEST(Query, NamesTheAddressThatIsNone) {
  for (const char* bad : {"1.2.3", "1.2.3.4.5", "localhost", "", "::1::", "300.1.1.1", "[::1"})
    EXPECT_NE(complaint("addr", bad).find("is no address"), std::string::npos) << bad;
}

TEST(Query, RefusesOtherMalformedValues) {
  EXPECT_NE(complaint("proto", "sctp").find("tcp, udp, udplite, mptcp"), std::string::npos);
  EXPECT_NE(complaint("proto", "tcp,").find("''"), std::string::npos);
  EXPECT_NE(complaint("state", "OPEN").find("LISTEN"), std::string::npos);
  for (const char* bad : {"0", "-1", "x", "", "4294967296"})
    EXPECT_NE(complaint("pid", bad).find("is no process id"), std::string::npos) << bad;
  for (const char* bad : {"-1", "4294967296", "1.5"})
    EXPECT_NE(complaint("uid", bad).find("is no user"), std::string::npos) << bad;
  for (const char* name : {"comm", "uid", "netns", "unit", "container"})
    EXPECT_NE(complaint(name, "").find("is empty"), std::string::npos) << name;
  EXPECT_NE(complaint("limit", "-1").find("is no count"), std::string::npos);
  EXPECT_NE(complaint("all", "maybe").find("1, true, yes"), std::string::npos);
  EXPECT_NE(complaint("since", "soon", Listing::events).find("is no time"), std::string::npos);
  EXPECT_NE(complaint("type", "bound", Listing::events).find("autobind"), std::string::npos);
  EXPECT_NE(complaint("rule", "none-such", Listing::failures).find("RULES"), std::string::npos);
}

TEST(Query, KnowsWhichListingTakesWhat) {
  EXPECT_NE(complaint("since", "1h").find("is not known here"), std::string::npos);
  EXPECT_NE(complaint("prot", "tcp").find("proto, port"), std::string::npos);
  EXPECT_NE(complaint("state", "LISTEN", Listing::failures).find("not known"), std::string::npos);
  EXPECT_EQ(complaint("rule", "listener", Listing::failures), "accepted");
  EXPECT_EQ(complaint("follow", "", Listing::events), "accepted");
  EXPECT_NE(complaint("follow", "1", Listing::sockets).find("not known"), std::string::npos);
}

TEST(Query, RefusesWhatContradictsItself) {
  const auto backwards =
      parsed(Listing::events, {{"since", "2026-03-01"}, {"until", "2026-02-01"}});
  ASSERT_FALSE(backwards.has_value());
  EXPECT_EQ(backwards.error().field, "since");
  const auto endless = parsed(Listing::events, {{"follow", "1"}, {"until", "now"}});
  ASSERT_FALSE(endless.has_value());
  EXPECT_EQ(endless.error().field, "until");
}

class Resolve : public testing::Test {
 protected:
  Resolvers resolvers{.user = [](std::string_view t) -> Result<uint32_t> {
                        if (t == "www-data") return 33;
                        return fail("there is no user '" + std::string(t) + "'", ENOENT);
                      },
                      .netns = [](std::string_view t) -> Result<uint32_t> {
                        if (t == "web-1") return 4026532000;
                        return fail("there is no namespace '" + std::string(t) + "'", ENOENT);
                      }};
};

TEST_F(Resolve, TurnsNamesIntoNumbers) {
  FilterSpec spec;
  spec.uid = "www-data";
  spec.netns = "web-1";
  spec.since = wall_time_of(5'000'000'000);
  spec.until = 0; // long before the boot
  const auto filter = resolve(spec, resolvers);
  ASSERT_TRUE(filter.has_value());
  EXPECT_EQ(filter->uid, 33u);
  EXPECT_EQ(filter->netns, 4026532000u);
  EXPECT_NEAR(static_cast<double>(*filter->since), 5e9, 1e9);
  EXPECT_EQ(filter->until, 0u);
}

TEST_F(Resolve, NamesTheFieldThatCannotBe) {
  FilterSpec spec;
  spec.netns = "web-2";
  const auto filter = resolve(spec, resolvers);
  ASSERT_FALSE(filter.has_value());
  EXPECT_EQ(filter.error().field, "netns");
  EXPECT_NE(filter.error().text.find("'web-2'"), std::string::npos);
}

} // namespace
} // namespace bindlens::protocol
