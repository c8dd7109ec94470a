#include "hashed_group.h"

namespace bindlens::test {

namespace {

constexpr const char* address = "127.0.0.1";
constexpr uint16_t first_source = 20001;
constexpr uint16_t most_sources = 64; // that all hash to one member: 1 in 2^63

int member_of_group(Actor& by, uint16_t port) {
  const int fd = by.open(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  by.reuseport(fd);
  if (!by.bind(fd, address, port).ok() || !by.listen(fd, 64).ok())
    give_up("a member of a group cannot listen");
  return fd;
}

} // namespace

HashedGroup::HashedGroup(Actor& first, Actor& second, Actor& client, uint16_t port)
    : members_{&first, &second}, client_(client), port_(port) {
  for (size_t i = 0; i < members_.size(); ++i)
    listeners_[i] = member_of_group(*members_[i], port);
  for (uint16_t i = 0; i < most_sources && (sources_[0] == 0 || sources_[1] == 0); ++i) {
    const auto source = static_cast<uint16_t>(first_source + i);
    sources_.at(connect_and_reset(source)) = source;
  }
  if (sources_[0] == 0 || sources_[1] == 0) give_up("all source ports lead to one member");
}

int HashedGroup::connect_from(uint16_t source) {
  const int fd = client_.tcp();
  client_.reuseaddr(fd);
  client_.linger(fd, 0);
  if (!client_.bind(fd, address, source).ok() || !client_.connect(fd, address, port_).ok())
    give_up("a client of a group cannot connect");
  return fd;
}

int HashedGroup::accepted(size_t& member) {
  int fd = -1;
  const bool came = eventually([&] {
    for (member = 0; member < members_.size(); ++member)
      if ((fd = members_.at(member)->accept(listeners_.at(member)).value) >= 0) return true;
    return false;
  });
  if (!came) give_up("no member of a group was given a connection");
  return fd;
}

size_t HashedGroup::connect_and_reset(uint16_t source) {
  const int fd = connect_from(source);
  size_t member = 0;
  const int server = accepted(member);
  client_.close(fd);
  members_.at(member)->close(server);
  return member;
}

void HashedGroup::connect_to(size_t member, int times) {
  for (int i = 0; i < times; ++i)
    if (connect_and_reset(sources_.at(member)) != member)
      give_up("the same addresses and ports went to another member");
}

int HashedGroup::leave_waiting(size_t member) {
  return connect_from(sources_.at(member));
}

void HashedGroup::accept_all(size_t member) {
  Actor& by = *members_.at(member);
  for (;;) {
    const Outcome accepted = by.accept(listeners_.at(member));
    if (!accepted.ok()) return;
    by.close(accepted.value);
  }
}

} // namespace bindlens::test
