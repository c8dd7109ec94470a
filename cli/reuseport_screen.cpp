#include "phrases.h"
#include "screens.h"
#include "text.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace bindlens::cli {
namespace {

using protocol::GroupView;
using protocol::MemberView;

constexpr size_t indent = 2;
constexpr size_t gap = 2;
constexpr size_t widest_owner = 28;
constexpr size_t narrowest_bar = 6;
constexpr size_t usual_bar = 24;
constexpr size_t widest_bar = 40;

std::string percent(double share) {
  const auto tenths = std::lround(share * 1000);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

std::string pace(double per_second) {
  if (per_second > 0 && per_second < 9.95) {
    const auto tenths = std::lround(per_second * 10);
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + "/s";
  }
  return thousands(static_cast<uint64_t>(std::llround(std::max(per_second, 0.0)))) + "/s";
}

std::string left(const std::string& text, size_t width) {
  const size_t used = display_width(text);
  return used < width ? text + std::string(width - used, ' ') : text;
}

std::string right(const std::string& text, size_t width) {
  const size_t used = display_width(text);
  return used < width ? std::string(width - used, ' ') + text : text;
}

// Who a member is; the descriptor where one process has several.
std::vector<std::string> names_of(const GroupView& g) {
  std::map<uint32_t, size_t> members_of;
  for (const MemberView& m : g.members)
    if (const auto* owner = first_owner(m.socket)) ++members_of[owner->pid];
  std::vector<std::string> names;
  for (const MemberView& m : g.members) {
    const auto* owner = first_owner(m.socket);
    std::string name = owner != nullptr ? process_text(*owner) : owner_text(m.socket);
    if (owner != nullptr && members_of[owner->pid] > 1 && owner->fd)
      name += " fd " + std::to_string(*owner->fd);
    names.push_back(std::move(name));
  }
  return names;
}

// What the largest share is drawn as: the whole width.
double scale_of(const GroupView& g) {
  double scale = 0;
  for (const MemberView& m : g.members)
    scale = std::max({scale, m.share.value_or(0), m.expected_share.value_or(0)});
  return scale;
}

// The share, and what is missing to the expected one.
std::string share_bar(const MemberView& m, double scale, size_t width, bool utf8) {
  static constexpr std::string_view eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  if (scale <= 0) return std::string(width, ' ');
  const auto parts = [&](double share, size_t of) {
    const auto n = std::llround(share / scale * static_cast<double>(width * of));
    return std::min(static_cast<size_t>(n), width * of);
  };
  const size_t steps = utf8 ? 8 : 1;
  const size_t filled = parts(m.share.value_or(0), steps);
  std::string bar;
  size_t cells = filled / steps;
  for (size_t i = 0; i < cells; ++i)
    bar += utf8 ? "█" : "#";
  if (filled % steps != 0) {
    bar += eighths[filled % steps];
    ++cells;
  }
  for (const size_t end = parts(m.expected_share.value_or(0), 1); cells < end; ++cells)
    bar += utf8 ? "░" : ".";
  return bar + std::string(width - cells, ' ');
}

std::string queue_text(const MemberView& m) {
  if (m.socket.backlog)
    return "queue " + std::to_string(m.socket.backlog->current) + "/" +
           std::to_string(m.socket.backlog->max);
  if (m.receive_queue && m.receive_buffer && *m.receive_buffer != 0)
    return "buffer " +
           std::to_string(
               std::min<uint64_t>(100, uint64_t{100} * *m.receive_queue / *m.receive_buffer)) +
           " %";
  return "";
}

std::string losses_text(const MemberView& m) {
  std::string text;
  const auto add = [&](std::optional<uint64_t> n, std::string_view word) {
    if (n.value_or(0) == 0) return;
    text += (text.empty() ? "" : "  ") + std::string(word) + " " + thousands(*n);
  };
  add(m.drops, "dropped");
  add(m.migrated, "migrated");
  add(m.lost_at_close, "lost");
  return text;
}

// One member as texts, and the widest of each.
struct Row {
  std::string name, share, expected, pace, queue, losses;
};

class Members {
 public:
  Members(const GroupView& g, const Style& style, bool utf8)
      : group_(g), style_(style), utf8_(utf8), scale_(scale_of(g)),
        one_expected_(common_share(g).has_value()) {
    const auto names = names_of(g);
    for (size_t i = 0; i < g.members.size(); ++i)
      add(g.members[i], names[i]);
  }

  [[nodiscard]] std::string render() const {
    const size_t head = indent + name_ + gap + gap + share_;
    const size_t tail = tail_width();
    const size_t width = style_.width;
    std::string out;
    if (width == 0) return lines(usual_bar, false);
    if (width >= head + tail + narrowest_bar)
      return lines(std::min(widest_bar, width - head - tail), false);
    return lines(width >= head + narrowest_bar ? std::min(widest_bar, width - head) : 0, true);
  }

  // The expected share of all, where it is one.
  static std::optional<double> common_share(const GroupView& g) {
    std::optional<double> common;
    for (const MemberView& m : g.members) {
      if (!m.expected_share && !m.share) continue;
      if (!m.expected_share) return std::nullopt;
      if (common && std::abs(*common - *m.expected_share) > 1e-5) return std::nullopt;
      common = m.expected_share;
    }
    return common;
  }

 private:
  void add(const MemberView& m, const std::string& name) {
    Row r;
    r.name = style_.width == 0 ? name : cut(name, widest_owner);
    r.share = m.share ? percent(*m.share) : "-";
    if (!one_expected_ && m.expected_share) r.expected = "of " + percent(*m.expected_share);
    if (m.per_second) r.pace = pace(*m.per_second);
    r.queue = queue_text(m);
    r.losses = losses_text(m);
    name_ = std::max(name_, display_width(r.name));
    share_ = std::max(share_, r.share.size());
    expected_ = std::max(expected_, r.expected.size());
    pace_ = std::max(pace_, r.pace.size());
    queue_ = std::max(queue_, r.queue.size());
    losses_ = std::max(losses_, r.losses.size());
    rows_.push_back(std::move(r));
  }

  [[nodiscard]] size_t tail_width() const {
    size_t sum = 0;
    for (const size_t w : {expected_, pace_, queue_, losses_})
      if (w != 0) sum += gap + w;
    return sum;
  }

  // The columns behind the share, those that are empty for all left out.
  [[nodiscard]] std::string tail(const Row& r) const {
    std::string out;
    const auto add_column = [&](const std::string& text, size_t width, bool to_right) {
      if (width == 0) return;
      out += std::string(gap, ' ') + (to_right ? right(text, width) : left(text, width));
    };
    add_column(r.expected, expected_, true);
    add_column(r.pace, pace_, true);
    add_column(r.queue, queue_, false);
    add_column(r.losses, losses_, false);
    return out.substr(0, out.find_last_not_of(' ') + 1);
  }

  [[nodiscard]] std::string lines(size_t bar, bool two) const {
    std::string out;
    for (size_t i = 0; i < rows_.size(); ++i) {
      const Row& r = rows_[i];
      std::string line = std::string(indent, ' ') + left(r.name, name_);
      if (bar != 0)
        line += std::string(gap, ' ') + share_bar(group_.members[i], scale_, bar, utf8_);
      line += std::string(gap, ' ') + right(r.share, share_);
      if (!two) line += tail(r);
      out += style_.width == 0 ? marked(i, line) : marked(i, cut(line, style_.width));
      if (two) out += below(i, r);
    }
    return out;
  }

  // What has no room beside the share: in as few lines as hold it whole.
  [[nodiscard]] std::string below(size_t i, const Row& r) const {
    constexpr size_t deeper = 2 * indent;
    std::string out;
    std::string line;
    for (const std::string* text : {&r.expected, &r.pace, &r.queue, &r.losses}) {
      if (text->empty()) continue;
      if (!line.empty() && deeper + line.size() + gap + text->size() > style_.width)
        out += marked(i, std::string(deeper, ' ') + std::exchange(line, {}));
      line += (line.empty() ? "" : std::string(gap, ' ')) + *text;
    }
    return line.empty() ? out : out + marked(i, std::string(deeper, ' ') + line);
  }

  [[nodiscard]] std::string marked(size_t i, const std::string& line) const {
    return (group_.members[i].stalled ? style_.critical(line) : line) + "\n";
  }

  const GroupView& group_;
  const Style& style_;
  bool utf8_;
  double scale_;
  bool one_expected_;
  std::vector<Row> rows_;
  size_t name_ = 0, share_ = 0, expected_ = 0, pace_ = 0, queue_ = 0, losses_ = 0;
};

std::string steering_text(const GroupView& g) {
  if (g.steering == "hash") return "kernel hash";
  std::string text = g.steering == "cbpf" ? "classic BPF program" : "BPF program";
  return g.program.empty() ? text : text + " " + plain(g.program);
}

std::string facts_text(const GroupView& g, uint32_t own_netns) {
  std::string text = count_of(g.members.size(), "member");
  if (g.closed != 0) text += " and " + std::to_string(g.closed) + " closed";
  if (g.at.uid) text += ", user " + (g.at.user.empty() ? std::to_string(*g.at.uid) : g.at.user);
  text += ", " + steering_text(g);
  if (g.members.size() > 1)
    if (const auto share = Members::common_share(g)) text += ", " + percent(*share) + " expected";
  if (!g.at.dev.empty()) text += ", dev " + plain(g.at.dev);
  if (g.at.v6only.value_or(false)) text += ", v6only";
  if (g.migrates) text += ", migrates";
  if (g.at.netns != own_netns) text += ", netns " + netns_text(g.at);
  return text;
}

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

std::string verdict_text(const GroupView& g) {
  if (g.verdict == "skewed") return upper(g.verdict);
  if (g.verdict != "stalled") return g.verdict;
  constexpr size_t most = 2;
  std::string text = upper(g.verdict);
  const auto names = names_of(g);
  size_t stalled = 0;
  for (size_t i = 0; i < names.size(); ++i)
    if (g.members[i].stalled && ++stalled <= most) text += (stalled == 1 ? ": " : ", ") + names[i];
  if (stalled > most) text += " and " + std::to_string(stalled - most) + " more";
  return text;
}

std::string colored(const std::string& verdict, const std::string& text, const Style& style) {
  if (verdict == "stalled") return style.critical(text);
  return verdict == "skewed" ? style.warning(text) : text;
}

std::string headline(const GroupView& g, const Style& style, uint32_t own_netns) {
  constexpr std::string_view between = "   ";
  const std::string address = socket_text(g.at);
  const std::string facts = facts_text(g, own_netns);
  const std::string verdict = verdict_text(g);
  const auto line = [&](const std::string& text) {
    return text +
           (verdict.empty() ? "" : std::string(between) + colored(g.verdict, verdict, style));
  };
  const size_t one_line =
      address.size() + display_width(facts) + display_width(verdict) + 2 * between.size();
  if (style.width == 0 || one_line <= style.width)
    return line(address + std::string(between) + facts) + "\n";
  if (address.size() + between.size() + display_width(verdict) > style.width)
    return address + "\n" + colored(g.verdict, cut("  " + verdict, style.width), style) + "\n" +
           paragraph(facts, indent, 0, style);
  return line(address) + "\n" + paragraph(facts, indent, 0, style);
}

// Programs that share a port without knowing of each other look like one group.
std::string programs_text(const GroupView& g) {
  std::map<std::string, size_t> programs;
  for (const MemberView& m : g.members)
    if (const auto* owner = first_owner(m.socket))
      ++programs[plain(owner->exe.empty() ? owner->comm : owner->exe)];
  programs.erase("");
  if (programs.size() < 2) return "";
  std::string text = "Different programs share this port: ";
  std::string_view separator;
  for (const auto& [program, members] : programs) {
    text += separator;
    text += program + " (" + count_of(members, "member") + ")";
    separator = ", ";
  }
  return text + ".";
}

} // namespace

std::string group_screen(const GroupView& g, const Style& style, const GroupLook& look) {
  std::string out = headline(g, style, look.own_netns) + Members(g, style, look.utf8).render();
  if (const std::string programs = programs_text(g); !programs.empty())
    out += paragraph(programs, indent, 0, style);
  if (!g.explanation.empty()) out += paragraph(g.explanation, indent, 0, style);
  for (const std::string& sentence : g.advice)
    out += paragraph("- " + sentence, indent, 2, style);
  return out;
}

} // namespace bindlens::cli
