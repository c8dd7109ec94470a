#pragma once

#include <bindlens/util/fd.h>
#include <bindlens/util/result.h>

#include <string>

namespace bindlens::history {

// Makes the directory of the history if there is none: root's, readable by the group
// bindlens. Then takes it: while the descriptor is open, no other daemon gets it.
[[nodiscard]] Result<Fd> take_directory(const std::string& directory);

// Makes the file if there is none; fails when it is not this user's own.
[[nodiscard]] Result<void> prepare_file(const std::string& path);

// Renames a file that cannot be used, with what belongs to it, and returns its new name.
[[nodiscard]] Result<std::string> set_aside(const std::string& path, int64_t wall);

// Bytes of the file and what belongs to it.
[[nodiscard]] uint64_t size_on_disk(const std::string& path);

} // namespace bindlens::history
