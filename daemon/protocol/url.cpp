#include <bindlens/protocol/url.h>

#include <optional>

namespace bindlens::protocol {
namespace {

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return std::nullopt;
}

Result<std::string> decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto high = i + 1 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
    const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
    if (!high || !low) return fail("broken %-escape in '" + std::string(text) + "'");
    out += static_cast<char>(*high * 16 + *low);
    i += 2;
  }
  return out;
}

bool needs_no_escape(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("-._~,:/@").find(c) != std::string_view::npos;
}

void append_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789ABCDEF";
  for (const char c : text) {
    if (needs_no_escape(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += hex[byte >> 4];
    out += hex[byte & 15];
  }
}

// The part of an absolute-form target after scheme and host.
std::string_view origin_form(std::string_view target) {
  constexpr std::string_view scheme = "http://";
  if (!target.starts_with(scheme)) return target;
  const size_t slash = target.find('/', scheme.size());
  return slash == std::string_view::npos ? "/" : target.substr(slash);
}

} // namespace

Result<Target> parse_target(std::string_view target) {
  target = origin_form(target);
  const size_t mark = target.find('?');
  Target out{std::string(target.substr(0, mark)), {}};
  if (mark == std::string_view::npos) return out;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const size_t amp = rest.find('&');
    const std::string_view item = rest.substr(0, amp);
    rest = amp == std::string_view::npos ? std::string_view() : rest.substr(amp + 1);
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    auto name = decode(item.substr(0, equals));
    auto value = decode(equals == std::string_view::npos ? "" : item.substr(equals + 1));
    if (!name) return std::unexpected(name.error());
    if (!value) return std::unexpected(value.error());
    out.parameters.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

std::string make_target(std::string_view path, const std::vector<Parameter>& parameters) {
  std::string out(path);
  char separator = '?';
  for (const auto& [name, value] : parameters) {
    out += separator;
    append_encoded(out, name);
    out += '=';
    append_encoded(out, value);
    separator = '&';
  }
  return out;
}

} // namespace bindlens::protocol
