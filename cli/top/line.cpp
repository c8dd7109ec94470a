#include "line.h"

#include "../text.h"

#include <utility>

namespace bindlens::cli::top {

Line& Line::add(std::string_view text, Look look) {
  if (text.empty()) return *this;
  if (!spans_.empty() && spans_.back().look == look)
    spans_.back().text += text;
  else
    spans_.push_back({std::string(text), look});
  return *this;
}

Line& Line::fill(size_t width, Look look, std::string_view with) {
  std::string text;
  for (size_t i = this->width(); i < width; ++i)
    text += with;
  return add(text, look);
}

Line& Line::limit(size_t width) {
  size_t left = width;
  for (size_t i = 0; i < spans_.size(); ++i) {
    const size_t w = display_width(spans_[i].text);
    // The last span that fits must leave room for the mark when there are more.
    if (w > left || (w == left && i + 1 < spans_.size())) {
      std::string text = w > left ? spans_[i].text : spans_[i].text + " ";
      spans_[i].text = cut(text, left);
      spans_.resize(i + 1);
      break;
    }
    left -= w;
  }
  return *this;
}

Line& Line::cover(size_t width, Look look) {
  fill(width);
  std::string whole = text();
  spans_ = {{std::move(whole), look}};
  return *this;
}

size_t Line::width() const {
  size_t n = 0;
  for (const Span& s : spans_)
    n += display_width(s.text);
  return n;
}

std::string Line::text() const {
  std::string all;
  for (const Span& s : spans_)
    all += s.text;
  return all;
}

std::string to_ascii(std::string_view text) {
  constexpr std::pair<std::string_view, char> likenesses[] = {
      {"▁", '_'}, {"▂", '.'}, {"▃", ':'}, {"▄", '-'}, {"▅", '='}, {"▆", '+'},
      {"▇", '*'}, {"█", '#'}, {"▉", '#'}, {"▊", '#'}, {"▋", '#'}, {"▌", '#'},
      {"▍", '.'}, {"▎", '.'}, {"▏", '.'}, {"…", '~'}, {"─", '-'}, {"▲", '^'},
      {"▼", 'v'}, {"░", '.'}, {"·", '-'}, {"×", 'x'}, {"→", '>'}};
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t length = 1;
    while (i + length < text.size() &&
           (static_cast<unsigned char>(text[i + length]) & 0xc0) == 0x80)
      ++length;
    char c = '?';
    if (length == 1 && static_cast<unsigned char>(text[i]) < 0x80) c = text[i];
    for (const auto& [drawn, like] : likenesses)
      if (text.substr(i, length) == drawn) c = like;
    out += c;
    i += length;
  }
  return out;
}

} // namespace bindlens::cli::top
