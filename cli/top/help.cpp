#include "view.h"

#include "../text.h"

#include <algorithm>

namespace bindlens::cli::top {
namespace {

void add_paragraph(std::vector<Line>& lines, std::string_view title, std::string_view text,
                   size_t width) {
  constexpr size_t indent = 2;
  constexpr size_t widest = 90;
  lines.emplace_back();
  lines.emplace_back(title, Look::strong);
  for (const std::string& part : wrap(text, std::min(width, widest) - std::min(width, indent)))
    lines.emplace_back(std::string(indent, ' ') + part);
}

} // namespace

std::vector<Line> help_lines(size_t width) {
  constexpr size_t key_width = 19;
  std::vector<Line> lines;
  for (const KeyHelp& k : key_help()) {
    Line line("  ");
    line.add(k.keys, Look::strong).fill(key_width);
    const size_t room = width - std::min(width, key_width);
    for (const std::string& part : wrap(k.text, std::max<size_t>(room, 20))) {
      lines.push_back(std::move(line.add(part)));
      line = Line(std::string(key_width, ' '));
    }
  }
  add_paragraph(lines, "Rates",
                "Calls per second, in the last sample above (a second, or what --interval says), "
                "and as the mean of ten seconds in the tables. binds counts automatic ones, too. "
                "A graph is as high as the largest value in it.",
                width);
  add_paragraph(lines, "Failures",
                "Refused calls, by port, rule and program, with who stood in the way. A program "
                "that is started again and again is one row. Red: within the last ten seconds.",
                width);
  add_paragraph(lines, "Findings", "What 'bindlens audit' says now, looked up now and then.",
                width);
  add_paragraph(lines, "Reuseport groups",
                "How the kernel spreads connections or datagrams among sockets with SO_REUSEPORT: "
                "a bar for each member's share; skew is the largest share divided by what it "
                "should be. stalled: a member does not take what it gets.",
                width);
  add_paragraph(lines, "Processes",
                "Who takes and gives back ports, by name. Ports that are given back count for who "
                "had bound them.",
                width);
  add_paragraph(lines, "lost",
                "Events that were lost in the kernel, or that this view could not read in time: "
                "then all figures are too low.",
                width);
  return lines;
}

} // namespace bindlens::cli::top
