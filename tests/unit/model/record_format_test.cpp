// docs/record-format.md says what record.h says: every offset, size and value.

#include <bindlens/record.h>

#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace bindlens {
namespace {

struct Field {
  size_t offset;
  size_t size;
  std::string name;
  auto operator<=>(const Field&) const = default;
};

struct Layout {
  size_t size = 0;
  std::vector<Field> fields; // in the order of the page
};

// What the page states.
struct Page {
  std::map<std::string, Layout> structs;
  std::map<std::string, std::map<std::string, unsigned long>> enums;
  std::string text;
};

Page read_page() {
  static const std::regex struct_head(R"(^### `struct (\w+)` \((\d+) bytes\)$)");
  static const std::regex enum_head(R"(^### `enum (\w+)`$)");
  static const std::regex field_row(R"(^\| (\d+) \| (\d+) \| `(\w+)` \|.*\|$)");
  static const std::regex value_row(R"(^\| (0x[0-9a-f]+|\d+) \| `(\w+)` \|.*\|$)");
  Page page;
  std::ifstream file(BINDLENS_RECORD_PAGE);
  EXPECT_TRUE(file) << BINDLENS_RECORD_PAGE;
  std::string of_struct;
  std::string of_enum;
  std::smatch m;
  for (std::string line; std::getline(file, line);) {
    page.text += line + "\n";
    if (std::regex_match(line, m, struct_head)) {
      of_struct = m[1], of_enum.clear();
      EXPECT_FALSE(page.structs.contains(of_struct)) << of_struct << " stands twice";
      page.structs[of_struct].size = std::stoul(m[2]);
    } else if (std::regex_match(line, m, enum_head)) {
      of_enum = m[1], of_struct.clear();
    } else if (line.starts_with("#")) {
      of_struct.clear(), of_enum.clear();
    } else if (!of_struct.empty() && std::regex_match(line, m, field_row)) {
      page.structs[of_struct].fields.push_back({std::stoul(m[1]), std::stoul(m[2]), m[3]});
    } else if (!of_enum.empty() && std::regex_match(line, m, value_row)) {
      page.enums[of_enum][m[2]] = std::stoul(m[1], nullptr, 0);
    }
  }
  return page;
}

#define FIELD(type, member)                                                                        \
  { offsetof(type, member), sizeof(type::member), #member }

const std::map<std::string, Layout>& header_structs() {
  static const std::map<std::string, Layout> all = {
      {"bl_header",
       {sizeof(bl_header),
        {FIELD(bl_header, version), FIELD(bl_header, type), FIELD(bl_header, hook),
         FIELD(bl_header, size), FIELD(bl_header, cpu), FIELD(bl_header, pad),
         FIELD(bl_header, seq), FIELD(bl_header, time)}}},
      {"bl_sock",
       {sizeof(bl_sock),
        {FIELD(bl_sock, sk),          FIELD(bl_sock, cookie),    FIELD(bl_sock, inode),
         FIELD(bl_sock, netns),       FIELD(bl_sock, uid),       FIELD(bl_sock, inode_uid),
         FIELD(bl_sock, dev),         FIELD(bl_sock, linger),    FIELD(bl_sock, backlog),
         FIELD(bl_sock, max_backlog), FIELD(bl_sock, file_refs), FIELD(bl_sock, flags),
         FIELD(bl_sock, tw_left_ms),  FIELD(bl_sock, port),      FIELD(bl_sock, peer_port),
         FIELD(bl_sock, family),      FIELD(bl_sock, protocol),  FIELD(bl_sock, state),
         FIELD(bl_sock, substate),    FIELD(bl_sock, addr),      FIELD(bl_sock, peer)}}},
      {"bl_task",
       {sizeof(bl_task),
        {FIELD(bl_task, cgroup), FIELD(bl_task, start_time), FIELD(bl_task, pid),
         FIELD(bl_task, tid), FIELD(bl_task, uid), FIELD(bl_task, pad), FIELD(bl_task, comm)}}},
      {"bl_call",
       {sizeof(bl_call),
        {FIELD(bl_call, h), FIELD(bl_call, sock), FIELD(bl_call, task), FIELD(bl_call, call),
         FIELD(bl_call, ret), FIELD(bl_call, flags), FIELD(bl_call, req_family),
         FIELD(bl_call, req_port), FIELD(bl_call, req_scope), FIELD(bl_call, req_addr)}}},
      {"bl_release",
       {sizeof(bl_release),
        {FIELD(bl_release, h), FIELD(bl_release, sk), FIELD(bl_release, netns),
         FIELD(bl_release, port), FIELD(bl_release, family), FIELD(bl_release, protocol),
         FIELD(bl_release, pid), FIELD(bl_release, flags), FIELD(bl_release, pad)}}},
      {"bl_reuse",
       {sizeof(bl_reuse),
        {FIELD(bl_reuse, h), FIELD(bl_reuse, sock), FIELD(bl_reuse, task), FIELD(bl_reuse, kind),
         FIELD(bl_reuse, flags), FIELD(bl_reuse, left_out)}}},
      {"bl_row",
       {sizeof(bl_row),
        {FIELD(bl_row, kind), FIELD(bl_row, udp_hash2), FIELD(bl_row, bucket),
         FIELD(bl_row, sock)}}},
      {"bl_bucket",
       {sizeof(bl_bucket),
        {FIELD(bl_bucket, netns), FIELD(bl_bucket, l3mdev), FIELD(bl_bucket, fastuid),
         FIELD(bl_bucket, count), FIELD(bl_bucket, port), FIELD(bl_bucket, fastreuse),
         FIELD(bl_bucket, fastreuseport), FIELD(bl_bucket, fast_family),
         FIELD(bl_bucket, fast_v6only), FIELD(bl_bucket, protocol), FIELD(bl_bucket, pad),
         FIELD(bl_bucket, fast_addr), FIELD(bl_bucket, pad2)}}},
      {"bl_holder",
       {sizeof(bl_holder), {FIELD(bl_holder, h), FIELD(bl_holder, call), FIELD(bl_holder, row)}}},
      {"bl_owner",
       {sizeof(bl_owner),
        {FIELD(bl_owner, sk), FIELD(bl_owner, pid), FIELD(bl_owner, fd), FIELD(bl_owner, cookie),
         FIELD(bl_owner, port), FIELD(bl_owner, peer_port)}}},
      {"bl_share_slot",
       {sizeof(bl_share_slot),
        {FIELD(bl_share_slot, cookie), FIELD(bl_share_slot, sk), FIELD(bl_share_slot, datagrams)}}},
      {"bl_share_key",
       {sizeof(bl_share_key), {FIELD(bl_share_key, sk), FIELD(bl_share_key, cookie)}}},
      {"bl_share",
       {sizeof(bl_share),
        {FIELD(bl_share, selected), FIELD(bl_share, queued), FIELD(bl_share, accepted),
         FIELD(bl_share, datagrams), FIELD(bl_share, migrated), FIELD(bl_share, last_accept),
         FIELD(bl_share, full_at), FIELD(bl_share, closed_at), FIELD(bl_share, peak),
         FIELD(bl_share, waiting), FIELD(bl_share, may_migrate), FIELD(bl_share, unused)}}},
      {"bl_member",
       {sizeof(bl_member),
        {FIELD(bl_member, sk),
         FIELD(bl_member, group),
         FIELD(bl_member, cookie),
         FIELD(bl_member, index),
         FIELD(bl_member, group_id),
         FIELD(bl_member, netns),
         FIELD(bl_member, drops),
         FIELD(bl_member, backlog),
         FIELD(bl_member, max_backlog),
         FIELD(bl_member, receive_queue),
         FIELD(bl_member, receive_buffer),
         FIELD(bl_member, incoming_cpu),
         FIELD(bl_member, program_id),
         FIELD(bl_member, port),
         FIELD(bl_member, members),
         FIELD(bl_member, closed),
         FIELD(bl_member, state),
         FIELD(bl_member, steering),
         FIELD(bl_member, migrates),
         FIELD(bl_member, pad),
         FIELD(bl_member, program)}}},
  };
  return all;
}

// The enums as the header writes them, so that a new value cannot be forgotten.
std::map<std::string, std::set<std::string>> names_in_header() {
  std::ifstream file(BINDLENS_RECORD_HEADER);
  EXPECT_TRUE(file) << BINDLENS_RECORD_HEADER;
  static const std::regex head(R"(^enum (\w+) \{$)");
  static const std::regex value(R"(^  (BL_\w+) = .*$)");
  std::map<std::string, std::set<std::string>> all;
  std::string current;
  std::smatch m;
  for (std::string line; std::getline(file, line);) {
    if (std::regex_match(line, m, head)) current = m[1];
    if (line == "};") current.clear();
    if (!current.empty() && std::regex_match(line, m, value)) all[current].insert(m[1]);
  }
  return all;
}

#define VALUE(name)                                                                                \
  { #name, static_cast < unsigned long>(name) }

const std::map<std::string, std::map<std::string, unsigned long>>& header_enums() {
  static const std::map<std::string, std::map<std::string, unsigned long>> all = {
      {"bl_record_type",
       {VALUE(BL_REC_BIND), VALUE(BL_REC_LISTEN), VALUE(BL_REC_CONNECT), VALUE(BL_REC_RELEASE),
        VALUE(BL_REC_STATE), VALUE(BL_REC_HOLDER), VALUE(BL_REC_REUSE)}},
      {"bl_hook",
       {VALUE(BL_HOOK_TRACEPOINT), VALUE(BL_HOOK_KPROBE), VALUE(BL_HOOK_TRAMPOLINE),
        VALUE(BL_HOOK_CGROUP)}},
      {"bl_sock_flag",
       {VALUE(BL_SF_REUSEADDR), VALUE(BL_SF_REUSEPORT), VALUE(BL_SF_V6ONLY),
        VALUE(BL_SF_FORCE_REUSE), VALUE(BL_SF_PORT_LOCKED), VALUE(BL_SF_ADDR_LOCKED),
        VALUE(BL_SF_CONNECT_BIND), VALUE(BL_SF_HAS_CB), VALUE(BL_SF_ORPHAN), VALUE(BL_SF_KERNEL),
        VALUE(BL_SF_LINGER), VALUE(BL_SF_FREEBIND), VALUE(BL_SF_TRANSPARENT),
        VALUE(BL_SF_BIND_NO_PORT), VALUE(BL_SF_TIMEWAIT), VALUE(BL_SF_MPTCP),
        VALUE(BL_SF_CLOSED_CB), VALUE(BL_SF_CONNECTED_ADDR)}},
      {"bl_call_flag",
       {VALUE(BL_CF_HOLDERS), VALUE(BL_CF_TRUNCATED), VALUE(BL_CF_TORN), VALUE(BL_CF_WAS_BOUND),
        VALUE(BL_CF_NO_ADDRESS), VALUE(BL_CF_IN_KERNEL), VALUE(BL_CF_TIME_WAIT)}},
      {"bl_reuse_kind", {VALUE(BL_REUSE_CONNECT), VALUE(BL_REUSE_SYN)}},
      {"bl_reuse_flag", {VALUE(BL_RF_TIMESTAMPS)}},
      {"bl_row_kind", {VALUE(BL_ROW_BUCKET), VALUE(BL_ROW_SLOT), VALUE(BL_ROW_SOCK)}},
      {"bl_steering", {VALUE(BL_STEERING_HASH), VALUE(BL_STEERING_CBPF), VALUE(BL_STEERING_EBPF)}},
      {"bl_loss", {VALUE(BL_LOSS_RING_FULL), VALUE(BL_LOSS_INFLIGHT_FULL)}},
  };
  return all;
}

TEST(RecordFormat, ThePageHasTheLayoutOfTheHeader) {
  const Page page = read_page();
  ASSERT_EQ(page.structs.size(), header_structs().size());
  for (const auto& [name, expected] : header_structs()) {
    ASSERT_TRUE(page.structs.contains(name)) << name;
    const Layout& stated = page.structs.at(name);
    EXPECT_EQ(stated.size, expected.size) << name;
    ASSERT_EQ(stated.fields.size(), expected.fields.size()) << name;
    for (size_t i = 0; i < expected.fields.size(); ++i) {
      EXPECT_EQ(stated.fields[i].name, expected.fields[i].name) << name;
      EXPECT_EQ(stated.fields[i].offset, expected.fields[i].offset)
          << name << "." << expected.fields[i].name;
      EXPECT_EQ(stated.fields[i].size, expected.fields[i].size)
          << name << "." << expected.fields[i].name;
    }
  }
}

// A member that neither the page nor the list above knows would leave a hole.
TEST(RecordFormat, NoByteIsLeftUnnamed) {
  for (const auto& [name, layout] : read_page().structs) {
    size_t end = 0;
    size_t last = 0;
    for (const Field& f : layout.fields) {
      EXPECT_TRUE(f.offset == end || f.offset == last) << name << "." << f.name;
      last = f.offset;
      end = f.offset + f.size;
    }
    EXPECT_EQ(end, layout.size) << name;
  }
}

TEST(RecordFormat, ThePageHasTheValuesOfTheHeader) {
  EXPECT_EQ(read_page().enums, header_enums());
}

TEST(RecordFormat, NoValueOfTheHeaderIsMissing) {
  const auto in_header = names_in_header();
  for (const auto& [name, values] : header_enums()) {
    ASSERT_TRUE(in_header.contains(name)) << name;
    std::set<std::string> listed;
    for (const auto& [value, number] : values)
      listed.insert(value);
    std::set<std::string> written = in_header.at(name);
    written.erase("BL_LOSS_COUNT"); // a number of values, not one of them
    EXPECT_EQ(listed, written) << name;
  }
}

TEST(RecordFormat, ThePageNamesTheVersion) {
  const std::string version = std::to_string(BL_RECORD_VERSION);
  const std::string text = read_page().text;
  EXPECT_NE(text.find("`BL_RECORD_VERSION` is " + version + "."), std::string::npos);
  EXPECT_NE(text.find("`version` is " + version + "."), std::string::npos);
}

} // namespace
} // namespace bindlens
