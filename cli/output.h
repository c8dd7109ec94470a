#pragma once

#include "pager.h"

#include <bindlens/util/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bindlens::cli {

enum class ColorMode : uint8_t { automatic, always, never };

// How text may look. Colour tells how severe something is and nothing else.
struct Style {
  size_t width = 0; // columns of the terminal; 0 = not a terminal: nothing is cut
  bool color = false;

  // For running text, which is wrapped and not cut: also without a terminal,
  // and never in lines too long to read.
  [[nodiscard]] size_t text_width() const;
  [[nodiscard]] std::string critical(std::string_view text) const; // red
  [[nodiscard]] std::string warning(std::string_view text) const;  // yellow
  [[nodiscard]] std::string good(std::string_view text) const;     // green
};

// From the terminal that `fd` is, COLUMNS, NO_COLOR and TERM.
[[nodiscard]] Style style_of(int fd, ColorMode mode);

// Buffered writing. A reader that has gone away (EPIPE) is no error: gone()
// then tells to stop.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}
  // Through a pager, which is started when there is something to show.
  Output(int fd, std::vector<PagerCommand> pagers) : fd_(fd), pagers_(std::move(pagers)) {}

  // Without the pager: for what has no end.
  void write_directly() { pagers_.clear(); }

  // False when there is no use in going on.
  bool write(std::string_view text);
  bool flush();
  [[nodiscard]] bool gone() const { return gone_; }
  // Anything but a reader that has gone: a full disk, say.
  [[nodiscard]] const Result<void>& result() const { return result_; }
  // Writes out what is buffered and waits until the reader has quit the pager.
  void finish();

 private:
  bool write_out(std::string_view text);
  bool write_to(int fd, std::string_view text);
  bool write_to_pager(std::string_view text);
  bool write_some(int fd, std::string_view& text);

  int fd_;
  std::vector<PagerCommand> pagers_; // to be tried at the first write
  std::optional<Pager> pager_;
  std::string spool_; // what the pager does not take yet
  std::string buffer_;
  bool gone_ = false;
  Result<void> result_;
};

} // namespace bindlens::cli
