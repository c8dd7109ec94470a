#pragma once

#include <bindlens/model/failure.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bindlens::journal {

// What systemd's journal gets of a refused call, as "NAME=value": bindlensd(8), JOURNAL,
// lists the fields. `left_out` refusals before this one were not told.
[[nodiscard]] std::vector<std::string>
refusal_entry(const model::Failure& f, const std::string& netns_name, uint64_t left_out);
// For when no other refusal comes to tell it with.
[[nodiscard]] std::vector<std::string> left_out_entry(uint64_t left_out);

} // namespace bindlens::journal
