#include <bindlens/model/address.h>

#include <gtest/gtest.h>

namespace bindlens::model {
namespace {

Address address(std::string_view text) {
  const auto a = parse_address(text);
  EXPECT_TRUE(a) << text;
  return a.value_or(Address{});
}

TEST(Address, PrintsWhatItRead) {
  for (const std::string_view text :
       {"0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "2001:db8::5:1",
        "::ffff:192.0.2.1", "::ffff:0.0.0.0"})
    EXPECT_EQ(to_string(address(text)), text);
}

TEST(Address, PrintsTheShortFormOfRfc5952) {
  // 4.1 leading zeros, 4.2.1 as short as possible, 4.2.2 not one field alone,
  // 4.2.3 the longest run, the first of two equal ones, 4.3 lower case.
  EXPECT_EQ(to_string(address("2001:0DB8:0000:0000:0000:0000:0000:0001")), "2001:db8::1");
  EXPECT_EQ(to_string(address("2001:db8:0:0:0:0:2:1")), "2001:db8::2:1");
  EXPECT_EQ(to_string(address("2001:db8::1:1:1:1:1")), "2001:db8:0:1:1:1:1:1");
  EXPECT_EQ(to_string(address("2001:0:0:1:0:0:0:1")), "2001:0:0:1::1");
  EXPECT_EQ(to_string(address("2001:db8:0:0:1:0:0:1")), "2001:db8::1:0:0:1");
  EXPECT_EQ(to_string(address("2001:DB8::AAAA")), "2001:db8::aaaa");
}

TEST(Address, StarIsAnyIpv4Address) {
  EXPECT_EQ(address("*"), Address::any(Family::inet));
  EXPECT_TRUE(address("*").is_wildcard());
}

TEST(Address, RefusesWhatIsNoAddress) {
  using namespace std::string_view_literals;
  for (const std::string_view text : {""sv,
                                      "1.2.3"sv,
                                      "1.2.3.4.5"sv,
                                      "256.0.0.1"sv,
                                      "01.2.3.4"sv,
                                      "localhost"sv,
                                      "eth0"sv,
                                      " 127.0.0.1"sv,
                                      "127.0.0.1 "sv,
                                      "127.0.0.1/8"sv,
                                      ":"sv,
                                      ":::"sv,
                                      "1::2::3"sv,
                                      "12345::"sv,
                                      "fe80::1%eth0"sv,
                                      "[::1]"sv,
                                      "**"sv,
                                      "0x7f.0.0.1"sv,
                                      "127.0.0.1\0"sv,
                                      "::1\0x"sv,
                                      "1111:2222:3333:4444:5555:6666:7777:8888:9999"sv})
    EXPECT_FALSE(parse_address(text)) << text;
  EXPECT_FALSE(parse_address(std::string(100'000, '1')));
}

TEST(Address, KnowsTheWildcardInAllItsForms) {
  for (const std::string_view text : {"0.0.0.0", "::", "::ffff:0.0.0.0"})
    EXPECT_TRUE(address(text).is_wildcard()) << text;
  for (const std::string_view text : {"0.0.0.1", "::1", "::ffff:0.0.0.1", "::1.0.0.0"})
    EXPECT_FALSE(address(text).is_wildcard()) << text;
}

TEST(Address, KnowsTheMappedFormFromTheCompatibleOne) {
  EXPECT_TRUE(address("::ffff:10.0.0.1").is_v4_mapped());
  EXPECT_FALSE(address("::10.0.0.1").is_v4_mapped());
  EXPECT_FALSE(address("10.0.0.1").is_v4_mapped());
  EXPECT_EQ(address("::ffff:10.0.0.1").as_v4(), Address::v4(10, 0, 0, 1));
  EXPECT_EQ(address("10.0.0.1").as_v4(), Address::v4(10, 0, 0, 1));
  EXPECT_FALSE(address("::10.0.0.1").as_v4());
  EXPECT_NE(address("::ffff:10.0.0.1"), address("10.0.0.1")) << "two claims of one socket table";
}

TEST(Address, KnowsLoopbackAndMulticast) {
  for (const std::string_view text : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(address(text).is_loopback()) << text;
  for (const std::string_view text : {"128.0.0.1", "::2", "::", "1::1", "::ffff:1.0.0.127"})
    EXPECT_FALSE(address(text).is_loopback()) << text;
  for (const std::string_view text :
       {"224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"})
    EXPECT_TRUE(address(text).is_multicast()) << text;
  for (const std::string_view text : {"223.255.255.255", "240.0.0.1", "fe80::1"})
    EXPECT_FALSE(address(text).is_multicast()) << text;
}

TEST(Port, IsADecimalNumberOf16Bits) {
  EXPECT_EQ(parse_port("0"), 0);
  EXPECT_EQ(parse_port("80"), 80);
  EXPECT_EQ(parse_port("65535"), 65535);
}

TEST(Port, RefusesEverythingElse) {
  for (const std::string_view text : {"", "65536", "99999999999999999999", "-1", "+80", "http",
                                      "80x", " 80", "80 ", "8 0", "0x50", "8e1", "80.0"})
    EXPECT_FALSE(parse_port(text)) << text;
}

TEST(Endpoint, PrintsWhatItRead) {
  for (const std::string_view text :
       {"192.0.2.1:80", "0.0.0.0:0", "[::1]:443", "[::]:65535", "[::ffff:10.0.0.1]:8080"}) {
    const auto e = parse_endpoint(text);
    ASSERT_TRUE(e) << text;
    EXPECT_EQ(to_string(*e), text);
  }
  const auto star = parse_endpoint("*:80");
  ASSERT_TRUE(star);
  EXPECT_EQ(to_string(*star), "0.0.0.0:80");
}

TEST(Endpoint, RefusesWhatIsNone) {
  for (const std::string_view text : {"",
                                      ":",
                                      ":80",
                                      "80",
                                      "192.0.2.1",
                                      "192.0.2.1:",
                                      "192.0.2.1:65536",
                                      "192.0.2.1:-1",
                                      "192.0.2.1:http",
                                      "1.2.3:80",
                                      "::1:80",
                                      "::1",
                                      "[::1]",
                                      "[::1]:",
                                      "[::1]80",
                                      "[::1:80",
                                      "::1]:80",
                                      "[192.0.2.1]:80",
                                      "[]:80",
                                      "[*]:80",
                                      "[[::1]]:80",
                                      "localhost:80"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

} // namespace
} // namespace bindlens::model
