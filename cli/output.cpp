#include "output.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <utility>

namespace bindlens::cli {
namespace {

constexpr size_t buffer_size = 64 * 1024;
constexpr size_t most_spooled = 64 * 1024 * 1024;
constexpr size_t usual_width = 80;
constexpr size_t narrowest_text = 40;
constexpr size_t widest_text = 100;

std::optional<size_t> width_from_environment() {
  const char* columns = std::getenv("COLUMNS");
  if (columns == nullptr) return std::nullopt;
  const std::string_view text(columns);
  size_t width = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), width);
  if (error != std::errc{} || end != text.data() + text.size() || width == 0) return std::nullopt;
  return width;
}

size_t terminal_width(int fd) {
  if (const auto width = width_from_environment()) return *width;
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return usual_width;
}

bool wants_color(bool is_terminal) {
  const char* no_color = std::getenv("NO_COLOR");
  if (no_color != nullptr && *no_color != '\0') return false;
  const char* term = std::getenv("TERM");
  return is_terminal && term != nullptr && std::string_view(term) != "dumb";
}

std::string colored(bool on, std::string_view code, std::string_view text) {
  if (!on) return std::string(text);
  std::string out = "\033[";
  out += code;
  out += 'm';
  out += text;
  out += "\033[0m";
  return out;
}

} // namespace

size_t Style::text_width() const {
  if (width == 0) return usual_width;
  return std::clamp(width, narrowest_text, widest_text);
}

std::string Style::critical(std::string_view text) const {
  return colored(color, "1;31", text);
}
std::string Style::warning(std::string_view text) const {
  return colored(color, "33", text);
}
std::string Style::good(std::string_view text) const {
  return colored(color, "32", text);
}

Style style_of(int fd, ColorMode mode) {
  const bool is_terminal = ::isatty(fd) == 1;
  Style s;
  s.width = is_terminal ? terminal_width(fd) : 0;
  s.color = mode == ColorMode::automatic ? wants_color(is_terminal) : mode == ColorMode::always;
  return s;
}

bool Output::write(std::string_view text) {
  if (gone_ || !result_) return false;
  if (buffer_.size() + text.size() > buffer_size && !flush()) return false;
  // What is large goes out as it came, without another copy.
  if (text.size() >= buffer_size) return write_out(text);
  buffer_ += text;
  return true;
}

bool Output::flush() {
  if (buffer_.empty()) return !gone_ && result_.has_value();
  const bool ok = write_out(buffer_);
  buffer_.clear();
  return ok;
}

void Output::finish() {
  flush();
  if (pager_ && !gone_ && result_) write_to(pager_->fd(), std::exchange(spool_, {}));
  pager_.reset();
}

bool Output::write_out(std::string_view text) {
  if (!pagers_.empty())
    if (auto started = Pager::start(std::exchange(pagers_, {})))
      pager_.emplace(std::move(*started));
  return pager_ ? write_to_pager(text) : write_to(fd_, text);
}

// One write; takes what was written off the front. False when there is no use in
// going on.
bool Output::write_some(int fd, std::string_view& text) {
  const ssize_t n = ::write(fd, text.data(), text.size());
  if (n >= 0) {
    text.remove_prefix(static_cast<size_t>(n));
    return true;
  }
  if (errno == EINTR || errno == EAGAIN) return true;
  if (errno == EPIPE)
    gone_ = true;
  else
    result_ = fail_errno("cannot write the answer");
  return false;
}

bool Output::write_to(int fd, std::string_view text) {
  while (!text.empty()) {
    pollfd room{.fd = fd, .events = POLLOUT, .revents = 0};
    ::poll(&room, 1, -1); // a pager's pipe does not block
    if (!write_some(fd, text)) return false;
  }
  return true;
}

// Who reads the first page for a while must not make the daemon wait, which would
// end the connection: the answer is taken as it comes, and kept here.
bool Output::write_to_pager(std::string_view text) {
  if (spool_.size() > most_spooled && !write_to(pager_->fd(), std::exchange(spool_, {})))
    return false;
  spool_ += text;
  std::string_view rest = spool_;
  for (size_t before = rest.size() + 1; !rest.empty() && rest.size() < before;) {
    before = rest.size();
    if (!write_some(pager_->fd(), rest)) return false;
  }
  spool_.erase(0, spool_.size() - rest.size());
  return true;
}

} // namespace bindlens::cli
