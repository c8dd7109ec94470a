#include <bindlens/protocol/time_text.h>

#include <charconv>
#include <chrono>
#include <ctime>
#include <optional>

namespace bindlens::protocol {
namespace {

constexpr WallNs ns_per_second = 1'000'000'000;

// Takes parts off the front of a text; any mismatch is nullopt / false.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  bool skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Exactly `count` digits.
  std::optional<int> digits(size_t count) {
    if (rest_.size() < count) return std::nullopt;
    int value = 0;
    for (const char c : rest_.substr(0, count)) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + (c - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }
  std::optional<int64_t> number() {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{} || rest_.front() == '-') return std::nullopt;
    rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
    return value;
  }
  std::string_view word() {
    size_t n = 0;
    while (n < rest_.size() && rest_[n] >= 'a' && rest_[n] <= 'z')
      ++n;
    const auto w = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return w;
  }
  // ".5" and the like, as nanoseconds; 0 when there is none.
  std::optional<int64_t> fraction() {
    if (!skip('.')) return 0;
    int64_t value = 0;
    int64_t unit = ns_per_second;
    size_t n = 0;
    for (; n < rest_.size() && rest_[n] >= '0' && rest_[n] <= '9'; ++n) {
      unit /= 10;
      value += unit * (rest_[n] - '0');
    }
    if (n == 0) return std::nullopt;
    rest_.remove_prefix(n);
    return value;
  }

 private:
  std::string_view rest_;
};

struct TimeOfDay {
  int hour = 0, minute = 0, second = 0;
  int64_t nanos = 0;
};

std::optional<std::chrono::year_month_day> scan_date(Scanner& in) {
  const auto y = in.digits(4);
  if (!y || !in.skip('-')) return std::nullopt;
  const auto m = in.digits(2);
  if (!m || !in.skip('-')) return std::nullopt;
  const auto d = in.digits(2);
  if (!d) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*y),
                                         std::chrono::month(static_cast<unsigned>(*m)),
                                         std::chrono::day(static_cast<unsigned>(*d)));
  // What fits into nanoseconds since 1970.
  if (!date.ok() || *y < 1970 || *y > 2261) return std::nullopt;
  return date;
}

// HH:MM[:SS[.fraction]]
std::optional<TimeOfDay> scan_time_of_day(Scanner& in) {
  TimeOfDay t;
  const auto hour = in.digits(2);
  if (!hour || !in.skip(':')) return std::nullopt;
  const auto minute = in.digits(2);
  if (!minute) return std::nullopt;
  t.hour = *hour;
  t.minute = *minute;
  if (in.skip(':')) {
    const auto second = in.digits(2);
    const auto nanos = in.fraction();
    if (!second || !nanos) return std::nullopt;
    t.second = *second;
    t.nanos = *nanos;
  }
  if (t.hour > 23 || t.minute > 59 || t.second > 60) return std::nullopt;
  return t;
}

// What stands after the time in RFC 3339: seconds east of Greenwich.
std::optional<int64_t> scan_zone(Scanner& in) {
  if (in.skip('Z') || in.skip('z')) return 0;
  const int sign = in.skip('-') ? -1 : 1;
  if (sign == 1 && !in.skip('+')) return std::nullopt;
  const auto hours = in.digits(2);
  if (!hours || !in.skip(':')) return std::nullopt;
  const auto minutes = in.digits(2);
  if (!minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 3600 + *minutes * 60);
}

WallNs local_time(std::tm day, const TimeOfDay& t) {
  day.tm_hour = t.hour;
  day.tm_min = t.minute;
  day.tm_sec = t.second;
  day.tm_isdst = -1;
  return std::mktime(&day) * ns_per_second + t.nanos;
}

std::tm local_day(WallNs now, int days_back) {
  const std::time_t seconds = now / ns_per_second;
  std::tm day{};
  ::localtime_r(&seconds, &day);
  day.tm_mday -= days_back; // mktime normalises
  return day;
}

std::optional<WallNs> parse_date_time(std::string_view text) {
  Scanner in(text);
  const auto date = scan_date(in);
  if (!date) return std::nullopt;
  std::tm day{};
  day.tm_year = static_cast<int>(date->year()) - 1900;
  day.tm_mon = static_cast<int>(static_cast<unsigned>(date->month())) - 1;
  day.tm_mday = static_cast<int>(static_cast<unsigned>(date->day()));
  if (in.at_end()) return local_time(day, {});
  if (!in.skip(' ') && !in.skip('T') && !in.skip('t')) return std::nullopt;
  const auto time = scan_time_of_day(in);
  if (!time) return std::nullopt;
  if (in.at_end()) return local_time(day, *time);
  const auto zone = scan_zone(in);
  if (!zone || !in.at_end()) return std::nullopt;
  const auto days = std::chrono::sys_days(*date).time_since_epoch().count();
  const int64_t seconds =
      int64_t{days} * 86400 + time->hour * 3600 + time->minute * 60 + time->second - *zone;
  return seconds * ns_per_second + time->nanos;
}

std::optional<int64_t> unit_seconds(std::string_view unit) {
  struct Unit {
    std::string_view name;
    int64_t seconds;
  };
  static constexpr Unit units[] = {
      {"s", 1},       {"sec", 1},       {"second", 1},     {"seconds", 1}, {"m", 60},
      {"min", 60},    {"minute", 60},   {"minutes", 60},   {"h", 3600},    {"hr", 3600},
      {"hour", 3600}, {"hours", 3600},  {"d", 86400},      {"day", 86400}, {"days", 86400},
      {"w", 604800},  {"week", 604800}, {"weeks", 604800},
  };
  for (const Unit& u : units)
    if (u.name == unit) return u.seconds;
  return std::nullopt;
}

// "10m", "1h30m", "2 hours ago", all with or without a leading "-".
std::optional<WallNs> parse_age(std::string_view text, WallNs now) {
  constexpr int64_t longest = int64_t{100} * 365 * 86400; // keeps the arithmetic in range
  if (text.ends_with(" ago")) text.remove_suffix(4);
  Scanner in(text);
  in.skip('-');
  int64_t total = 0;
  do {
    const auto n = in.number();
    in.skip(' ');
    const auto unit = unit_seconds(in.word());
    if (!n || !unit || *n > longest / *unit) return std::nullopt;
    total += *n * *unit;
    in.skip(' ');
  } while (!in.at_end() && total <= longest);
  if (total > longest) return std::nullopt;
  return now - total * ns_per_second;
}

std::optional<WallNs> parse_clock(std::string_view text, WallNs now) {
  Scanner in(text);
  const auto time = scan_time_of_day(in);
  if (!time || !in.at_end()) return std::nullopt;
  return local_time(local_day(now, 0), *time);
}

void append_padded(std::string& out, int64_t value, size_t width) {
  char digits[20];
  for (size_t i = width; i-- > 0; value /= 10)
    digits[i] = static_cast<char>('0' + value % 10);
  out.append(digits, width);
}

} // namespace

void append_rfc3339(std::string& out, WallNs t) {
  int64_t seconds = t / ns_per_second;
  int64_t nanos = t % ns_per_second;
  if (nanos < 0) {
    nanos += ns_per_second;
    --seconds;
  }
  using namespace std::chrono;
  const auto day = floor<days>(sys_seconds(std::chrono::seconds(seconds)));
  const year_month_day date(day);
  const int64_t in_day = seconds - int64_t{day.time_since_epoch().count()} * 86400;
  append_padded(out, static_cast<int>(date.year()), 4);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_padded(out, in_day / 3600, 2);
  out += ':';
  append_padded(out, in_day / 60 % 60, 2);
  out += ':';
  append_padded(out, in_day % 60, 2);
  out += '.';
  append_padded(out, nanos, 9);
  out += 'Z';
}

std::string to_rfc3339(WallNs t) {
  std::string out;
  append_rfc3339(out, t);
  return out;
}

Result<WallNs> parse_time(std::string_view text, WallNs now) {
  if (text == "now") return now;
  if (text == "today") return local_time(local_day(now, 0), {});
  if (text == "yesterday") return local_time(local_day(now, 1), {});
  if (const auto t = parse_date_time(text)) return *t;
  if (const auto t = parse_clock(text, now)) return *t;
  if (const auto t = parse_age(text, now)) return *t;
  return fail("'" + std::string(text) +
              "' is no time; accepted are 10m, 2h, 3d, HH:MM[:SS], YYYY-MM-DD [HH:MM[:SS]], "
              "RFC 3339, now, today and yesterday");
}

} // namespace bindlens::protocol
