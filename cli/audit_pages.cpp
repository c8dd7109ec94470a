#include "audit_pages.h"

namespace bindlens::cli {
namespace {

constexpr std::string_view mark = "\n## ";

// Pages are headed by an id; a heading of words is part of the introduction.
bool is_id(std::string_view heading) {
  return heading.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") ==
         std::string_view::npos;
}

struct Page {
  std::string_view id, text;
};

std::vector<Page> pages() {
  const std::string_view document = audit_document();
  std::vector<Page> all;
  for (size_t at = document.find(mark); at != std::string_view::npos;) {
    const size_t next = document.find(mark, at + 1);
    const std::string_view text = document.substr(at + 1, next - at - 1);
    const size_t begin = mark.size() - 1;
    const std::string_view heading = text.substr(begin, text.find('\n') - begin);
    if (is_id(heading)) all.push_back({heading, text});
    at = next;
  }
  return all;
}

} // namespace

std::optional<std::string_view> audit_page(std::string_view id) {
  for (const Page& p : pages())
    if (p.id == id) return p.text;
  return std::nullopt;
}

std::vector<std::string_view> audit_page_ids() {
  std::vector<std::string_view> ids;
  for (const Page& p : pages())
    ids.push_back(p.id);
  return ids;
}

} // namespace bindlens::cli
