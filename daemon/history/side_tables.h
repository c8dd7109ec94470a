#pragma once

#include <bindlens/history/database.h>
#include <bindlens/model/process.h>

#include <boost/unordered/unordered_flat_map.hpp>

#include <string>
#include <unordered_map>

namespace bindlens::history {

// Processes, namespaces and texts, which many rows refer to by number.
class SideTables {
 public:
  // A process in use has its last_event written again this seldom: it may be so far behind.
  static constexpr int64_t touch_after = 1'000;

  SideTables(Database& db, int64_t boot, int64_t run);

  // The row of a process, made when there is none; 0 for null. It stays for as
  // long as the newest event that refers to it.
  int64_t process(const model::ProcessRef& p, int64_t event);
  int64_t name_space(uint32_t inode);
  void set_name(uint32_t inode, const std::string& name);
  // What rows were remembered is of no use when some were deleted.
  void forget();

 private:
  struct Known {
    model::ProcessRef process; // keeps the address, which is the key, from being used again
    int64_t id = 0;
    int64_t noted = 0; // last_event of the row
  };
  std::optional<int64_t> text(const std::string& value); // nullopt for an empty one
  int64_t insert(const model::Process& p, int64_t event);

  int64_t boot_;
  int64_t run_;
  boost::unordered_flat_map<const model::Process*, Known> processes_;
  std::unordered_map<std::string, int64_t> texts_;
  boost::unordered_flat_map<uint32_t, int64_t> namespaces_;
  Statement insert_process_, touch_process_, insert_text_, find_text_;
  Statement insert_namespace_, find_namespace_, name_namespace_;
};

} // namespace bindlens::history
