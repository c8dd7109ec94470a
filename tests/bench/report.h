#pragma once

#include <string>
#include <vector>

namespace bindlens::bench {

// Repeated measurements of one thing, in seconds unless said otherwise.
class Samples {
 public:
  void add(double value) { values_.push_back(value); }
  void add(const Samples& more) {
    values_.insert(values_.end(), more.values_.begin(), more.values_.end());
  }
  [[nodiscard]] bool empty() const { return values_.empty(); }
  [[nodiscard]] size_t size() const { return values_.size(); }
  [[nodiscard]] double last() const { return values_.back(); }
  [[nodiscard]] double min() const;
  [[nodiscard]] double median() const;
  [[nodiscard]] double max() const;
  // A tenth of them are below. What else the machine does only adds to a sample, and on a
  // busy one it is most of the median.
  [[nodiscard]] double low() const;
  // Each to the one of `base` that was measured beside it, in the same round: what the
  // machine does for longer than a round is in both.
  [[nodiscard]] Samples over(const Samples& base) const;

 private:
  std::vector<double> values_;
};

enum class Unit { seconds, milliseconds, microseconds };
// "median 12.3 ms (11.0 to 15.9, a tenth below 11.2)"; the tenth only of a hundred and more
[[nodiscard]] std::string describe(const Samples& samples, Unit unit);
[[nodiscard]] std::string number(double value, int digits);
// "96,000"
[[nodiscard]] std::string thousands(size_t n);

// Collects one line per figure that has to be reached, and prints what is
// measured on the way.
class Report {
 public:
  void heading(const std::string& what);
  void detail(const std::string& text);
  void line(std::string what, std::string measured, std::string must_reach, bool reached);
  void print() const;

 private:
  struct Line {
    std::string what, measured, must_reach;
    bool reached;
  };
  std::vector<Line> lines_;
};

} // namespace bindlens::bench
