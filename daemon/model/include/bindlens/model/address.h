#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bindlens::model {

enum class Family : uint8_t { inet, inet6 };

// An IPv4 or IPv6 address in network byte order. IPv4 uses the first four
// bytes, the others are zero, so that equal addresses compare equal.
struct Address {
  Family family = Family::inet;
  std::array<uint8_t, 16> bytes{};

  auto operator<=>(const Address&) const = default;

  // 0.0.0.0, :: and ::ffff:0.0.0.0 (what a bind to "any" can look like).
  [[nodiscard]] bool is_wildcard() const;
  [[nodiscard]] bool is_v4_mapped() const; // ::ffff:a.b.c.d, the wildcard form included
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] bool is_multicast() const;
  // The IPv4 address inside a v4-mapped one; itself when it is IPv4.
  [[nodiscard]] std::optional<Address> as_v4() const;

  [[nodiscard]] static Address any(Family family);
  [[nodiscard]] static Address v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
};

struct Endpoint {
  Address addr;
  uint16_t port = 0; // host byte order, 0 = none
  auto operator<=>(const Endpoint&) const = default;
};

// "192.0.2.1", "::1" (RFC 5952). nullopt when the text is no address; names are
// never looked up. "*" is 0.0.0.0.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);
[[nodiscard]] std::string to_string(const Address& a);
void append_to(std::string& out, const Address& a);

// Decimal, 0 to 65535, digits only.
[[nodiscard]] std::optional<uint16_t> parse_port(std::string_view text);

// "192.0.2.1:80", "[::1]:80", "*:80".
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text);
[[nodiscard]] std::string to_string(const Endpoint& e);

} // namespace bindlens::model
