#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bindlens::cli {

struct Column {
  std::string title;
  bool keep_end = false; // when cut, the end stays: the port of an address
  size_t least = 0;      // narrowest it may become; 0 = it does not shrink
  int drop_turn = 0;     // 1 is left out first; 0 = never
};

// Rows of cells under titles, fitted to a width: the widest columns shrink
// first; when all are at their least, columns are left out in their turn.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as columns. Control characters are replaced.
  void add(std::vector<std::string> cells);
  // Lines with newlines; `width` 0 = as wide as it is.
  [[nodiscard]] std::string render(size_t width) const;

 private:
  struct Layout {
    std::vector<size_t> shown;  // indices of columns
    std::vector<size_t> widths; // by column
    [[nodiscard]] size_t total() const;
  };
  [[nodiscard]] Layout natural() const;
  [[nodiscard]] Layout fitted(size_t width) const;
  void shrink(Layout& layout, size_t width) const;
  [[nodiscard]] bool drop_one(Layout& layout) const;
  void append_line(std::string& out, const Layout& layout, size_t width,
                   const std::vector<std::string>& cells) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

} // namespace bindlens::cli
