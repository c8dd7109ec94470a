#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

// Appending JSON to a string. Everything the daemon says goes through here:
// what comes from the kernel (a comm, a path) may hold any bytes, and the
// answer must be valid UTF-8 JSON all the same.
namespace bindlens::protocol {

// The text in quotes. Control characters are escaped; bytes that are not UTF-8
// become U+FFFD.
void append_quoted(std::string& out, std::string_view text);

template <typename Int>
void append_number(std::string& out, Int value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, static_cast<size_t>(end - digits));
}

// Writes one object, member by member, in the order of the calls. Keys are
// literals of ours and are not escaped.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  // Carries on inside an object that already has members.
  struct Inside {};
  ObjectWriter(std::string& out, Inside) : out_(out), separator_(",\"") {}
  void end() { out_ += '}'; }

  // Where the value of `key` has to be appended.
  std::string& value(std::string_view key) {
    out_ += separator_;
    separator_ = ",\"";
    out_ += key;
    out_ += "\":";
    return out_;
  }
  void text(std::string_view key, std::string_view text) { append_quoted(value(key), text); }
  // Left out when empty: not known.
  void known_text(std::string_view key, std::string_view text) {
    if (!text.empty()) this->text(key, text);
  }
  // For text of ours that needs no escaping.
  void word(std::string_view key, std::string_view word) {
    std::string& out = value(key);
    out += '"';
    out += word;
    out += '"';
  }
  template <typename Int>
  void number(std::string_view key, Int n) {
    append_number(value(key), n);
  }
  void flag(std::string_view key, bool on) { value(key) += on ? "true" : "false"; }
  // Left out when false: for what is remarkable only when it is so.
  void remark(std::string_view key, bool on) {
    if (on) flag(key, true);
  }

 private:
  std::string& out_;
  std::string_view separator_ = "\"";
};

// "[" items "]", each appended by `append(out, item)`.
template <typename Range, typename Append>
void append_array(std::string& out, const Range& items, Append append) {
  out += '[';
  bool first = true;
  for (const auto& item : items) {
    if (!first) out += ',';
    first = false;
    append(out, item);
  }
  out += ']';
}

} // namespace bindlens::protocol
