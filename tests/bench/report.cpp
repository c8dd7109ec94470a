#include "report.h"

#include <algorithm>
#include <cstdio>

namespace bindlens::bench {

double Samples::min() const {
  return *std::min_element(values_.begin(), values_.end());
}

double Samples::max() const {
  return *std::max_element(values_.begin(), values_.end());
}

double Samples::low() const {
  std::vector<double> sorted = values_;
  const auto tenth = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 10);
  std::nth_element(sorted.begin(), tenth, sorted.end());
  return *tenth;
}

Samples Samples::over(const Samples& base) const {
  Samples ratios;
  const size_t n = std::min(values_.size(), base.values_.size());
  for (size_t i = 0; i < n; ++i)
    ratios.add(values_[i] / base.values_[i]);
  return ratios;
}

double Samples::median() const {
  std::vector<double> sorted = values_;
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

std::string number(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string thousands(size_t n) {
  std::string text = std::to_string(n);
  for (size_t at = text.size(); at > 3; at -= 3)
    text.insert(at - 3, ",");
  return text;
}

std::string describe(const Samples& samples, Unit unit) {
  const double factor = unit == Unit::seconds ? 1 : unit == Unit::milliseconds ? 1e3 : 1e6;
  const std::string name = unit == Unit::seconds        ? " s"
                           : unit == Unit::milliseconds ? " ms"
                                                        : " us";
  return "median " + number(samples.median() * factor, 2) + name + " (" +
         number(samples.min() * factor, 2) + " to " + number(samples.max() * factor, 2) +
         (samples.size() < 100 ? ")"
                               : ", a tenth below " + number(samples.low() * factor, 2) + ")");
}

void Report::heading(const std::string& what) {
  std::printf("\n%s\n", what.c_str());
  std::fflush(stdout);
}

void Report::detail(const std::string& text) {
  std::printf("  %s\n", text.c_str());
  std::fflush(stdout);
}

void Report::line(std::string what, std::string measured, std::string must_reach, bool reached) {
  lines_.push_back({std::move(what), std::move(measured), std::move(must_reach), reached});
}

void Report::print() const {
  if (lines_.empty()) return;
  const Line head{"what", "measured", "must reach", true};
  size_t what = head.what.size();
  size_t measured = head.measured.size();
  size_t must = head.must_reach.size();
  for (const Line& l : lines_) {
    what = std::max(what, l.what.size());
    measured = std::max(measured, l.measured.size());
    must = std::max(must, l.must_reach.size());
  }
  const auto print_line = [&](const Line& l, const char* verdict) {
    std::printf("%-*s  %-*s  %-*s  %s\n", static_cast<int>(what), l.what.c_str(),
                static_cast<int>(measured), l.measured.c_str(), static_cast<int>(must),
                l.must_reach.c_str(), verdict);
  };
  std::printf("\n");
  print_line(head, "verdict");
  for (const Line& l : lines_)
    print_line(l, l.reached ? "reached" : "NOT REACHED");
}

} // namespace bindlens::bench
