#include "search_text.h"

#include <bindlens/rules/wording.h>

namespace bindlens::rules {

namespace {

std::string for_peer(const ExplainInput& in) {
  return in.request->op == Operation::connect ? " for " + to_string(in.request->peer) : "";
}

std::string range_of(const PortSearch& s) {
  return std::to_string(s.ports.first) + "-" + std::to_string(s.ports.last);
}

// "all 4 ports of 40000-40003 are"
std::string all_of_range(const PortSearch& s) {
  return s.range == 1 ? "the only port of " + range_of(s) + " is"
                      : "all " + std::to_string(s.range) + " ports of " + range_of(s) + " are";
}

std::string users_text(const std::vector<PortUsers::User>& users,
                       uint32_t PortUsers::User::*ports) {
  constexpr size_t most = 4;
  std::vector<std::string> parts;
  uint32_t rest = 0;
  for (const PortUsers::User& u : users) {
    if (u.*ports == 0) continue;
    if (parts.size() < most)
      parts.push_back(process_name(*u.process) + " (" + std::to_string(u.*ports) + ")");
    else
      rest += u.*ports;
  }
  if (rest != 0) parts.push_back("others (" + std::to_string(rest) + ")");
  return join(parts);
}

// "; the ports are held by app[12] (8) and by closed connections in TIME_WAIT (2)"
std::string held_by(const ExplainInput& in) {
  if (in.port_users == nullptr) return "";
  const PortUsers& all = *in.port_users;
  std::vector<std::string> parts;
  if (!all.users.empty()) parts.push_back(users_text(all.users, &PortUsers::User::ports));
  if (all.time_wait != 0)
    parts.push_back("closed connections in TIME_WAIT (" + std::to_string(all.time_wait) + ")");
  if (parts.empty()) return "";
  if (all.unknown != 0)
    parts.push_back("sockets of which nobody saw who made them (" + std::to_string(all.unknown) +
                    ")");
  std::string out = "; the ports are held by ";
  for (size_t i = 0; i < parts.size(); ++i)
    out += (i == 0 ? "" : ", and by ") + parts[i];
  return out;
}

// A search that would have found a port by the time it was looked at again.
std::string passed_text(const ExplainInput& in) {
  return "the kernel found no free port in " + range_of(in.verdict->search) + for_peer(in) +
         "; right afterwards there was one, so that it came free meanwhile, or the socket has a "
         "range of its own (IP_LOCAL_PORT_RANGE)";
}

} // namespace

std::string exhausted_text(const ExplainInput& in) {
  const PortSearch& s = in.verdict->search;
  if (s.range == 0) return "no free port was found in the range of local ports";
  if (!in.verdict->reproduced) return passed_text(in);
  std::string out = all_of_range(s) + " in use";
  if (s.reserved != 0) out += " or reserved (" + std::to_string(s.reserved) + ")";
  if (s.passed_over != 0)
    out += " or passed over, as the search does with one of an odd number of ports (" +
           std::to_string(s.passed_over) + ")";
  out += for_peer(in);
  if (in.request->op == Operation::connect && s.bound != 0)
    out += "; bind took " + std::to_string(s.bound) +
           " of them, and connect passes over those whatever the destination";
  return out + held_by(in);
}

std::string address_binders_text(const ExplainInput& in) {
  if (in.port_users == nullptr) return "";
  return users_text(in.port_users->users, &PortUsers::User::bound_to_address);
}

std::string reserved_text(const ExplainInput& in) {
  return all_of_range(in.verdict->search) +
         " reserved by ip_local_reserved_ports, and the kernel chooses none of those";
}

} // namespace bindlens::rules
