#include <bindlens/model/address.h>

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace bindlens::model {

namespace {

constexpr std::array<uint8_t, 12> mapped_prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool all_zero(const uint8_t* p, size_t n) {
  return std::all_of(p, p + n, [](uint8_t b) { return b == 0; });
}

} // namespace

bool Address::is_v4_mapped() const {
  return family == Family::inet6 &&
         std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes.begin());
}

bool Address::is_wildcard() const {
  if (is_v4_mapped()) return all_zero(&bytes[12], 4);
  return all_zero(bytes.data(), bytes.size());
}

bool Address::is_loopback() const {
  if (auto v4 = as_v4()) return v4->bytes[0] == 127;
  return all_zero(bytes.data(), 15) && bytes[15] == 1;
}

bool Address::is_multicast() const {
  if (auto v4 = as_v4()) return (v4->bytes[0] & 0xf0) == 0xe0;
  return bytes[0] == 0xff;
}

std::optional<Address> Address::as_v4() const {
  if (family == Family::inet) return *this;
  if (!is_v4_mapped()) return std::nullopt;
  return v4(bytes[12], bytes[13], bytes[14], bytes[15]);
}

Address Address::any(Family family) {
  return Address{family, {}};
}

Address Address::v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
  return Address{Family::inet, {a, b, c, d}};
}

std::optional<Address> parse_address(std::string_view text) {
  if (text == "*") return Address::any(Family::inet);
  if (text.empty() || text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  if (text.contains('\0')) return std::nullopt; // where inet_pton() would stop
  const std::string terminated(text);
  Address a;
  if (::inet_pton(AF_INET, terminated.c_str(), a.bytes.data()) == 1) return a;
  a.family = Family::inet6;
  if (::inet_pton(AF_INET6, terminated.c_str(), a.bytes.data()) == 1) return a;
  return std::nullopt;
}

void append_to(std::string& out, const Address& a) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(a.family == Family::inet ? AF_INET : AF_INET6, a.bytes.data(), text.data(),
              text.size());
  out += text.data();
}

std::string to_string(const Address& a) {
  std::string out;
  append_to(out, a);
  return out;
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  auto [rest, ec] = std::from_chars(text.data(), end, port);
  if (ec != std::errc{} || rest != end || text.empty()) return std::nullopt;
  return port;
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const auto addr = parse_address(host);
  const auto port = parse_port(text.substr(colon + 1));
  // Without brackets the last group of an IPv6 address would pass for a port.
  if (!addr || !port || bracketed != (addr->family == Family::inet6)) return std::nullopt;
  return Endpoint{*addr, *port};
}

std::string to_string(const Endpoint& e) {
  const bool v6 = e.addr.family == Family::inet6;
  std::string out = v6 ? "[" : "";
  append_to(out, e.addr);
  out += v6 ? "]:" : ":";
  return out + std::to_string(e.port);
}

} // namespace bindlens::model
