#include "json_text.h"

namespace bindlens::protocol {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD"; // U+FFFD

constexpr bool is_plain(unsigned char c) {
  return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

bool is_continuation(unsigned char c) {
  return (c & 0xc0) == 0x80;
}

// Length of the well-formed UTF-8 sequence that `text` starts with (Unicode
// table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF); 0 = none.
size_t utf8_length(std::string_view text) {
  const auto at = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(0);
  };
  const unsigned char lead = at(0);
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  size_t length = 0;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  }
  if (length == 0 || at(1) < low || at(1) > high) return 0;
  for (size_t i = 2; i < length; ++i)
    if (!is_continuation(at(i))) return 0;
  return length;
}

void append_control(std::string& out, unsigned char c) {
  constexpr std::string_view hex = "0123456789abcdef";
  switch (c) {
  case '"':
    out += "\\\"";
    return;
  case '\\':
    out += "\\\\";
    return;
  case '\n':
    out += "\\n";
    return;
  case '\r':
    out += "\\r";
    return;
  case '\t':
    out += "\\t";
    return;
  default:
    out += "\\u00";
    out += hex[c >> 4];
    out += hex[c & 15];
  }
}

} // namespace

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  size_t plain = 0; // start of what can be copied as it is
  size_t i = 0;
  while (i < text.size()) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (is_plain(c)) {
      ++i;
      continue;
    }
    if (c >= 0x80) {
      if (const size_t length = utf8_length(text.substr(i)); length != 0) {
        i += length;
        continue;
      }
    }
    out.append(text, plain, i - plain);
    if (c >= 0x80)
      out += replacement;
    else
      append_control(out, c);
    plain = ++i;
  }
  out.append(text, plain, i - plain);
  out += '"';
}

} // namespace bindlens::protocol
