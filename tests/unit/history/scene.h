#pragma once

// A directory for a history, events to write, and the file as SQL shows it.

#include <bindlens/history/history.h>
#include <bindlens/history/schema.h>

#include <gtest/gtest.h>

#include <charconv>
#include <filesystem>
#include <stdlib.h>

namespace bindlens::history::test {

class Scene : public testing::Test {
 protected:
  Scene() {
    std::string path = (std::filesystem::temp_directory_path() / "bindlens-XXXXXX").string();
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary directory");
    config.directory = path;
    config.started = 1'000'000'000;
  }
  ~Scene() override {
    std::error_code ignored;
    std::filesystem::remove_all(config.directory, ignored);
  }

  [[nodiscard]] std::string file() const { return config.directory + "/" + std::string(file_name); }
  // At `seconds` since the boot.
  [[nodiscard]] Clocks at(double seconds) const {
    return {boot, static_cast<MonoNs>(seconds * 1e9), offset};
  }
  void open(double seconds = 1) {
    auto opened = Store::open(config, at(seconds));
    ASSERT_TRUE(opened) << opened.error().text;
    store = *std::move(opened);
  }
  void write(const std::vector<Item>& items, double seconds = 2) {
    const auto done = store->write(items, at(seconds));
    ASSERT_TRUE(done) << done.error().text;
  }

  // The one value that the statement gives; "" for NULL and for no row. As a number,
  // -1 is that, or an error.
  [[nodiscard]] std::string value(const std::string& sql) const {
    auto db = Database::open(file(), Database::Mode::read);
    if (!db) return db.error().text;
    Statement s(*db, sql);
    const std::string found = s.bind().step() ? s.text(0) : db->error();
    return found;
  }
  [[nodiscard]] int64_t number(const std::string& sql) const {
    const std::string text = value(sql);
    int64_t n = -1;
    std::from_chars(text.data(), text.data() + text.size(), n);
    return n;
  }

  Config config;
  std::string boot = "2055c39c-e493-4a1b-8645-b2a0261d561d";
  int64_t offset = 1'700'000'000'000'000'000;
  std::unique_ptr<Store> store;
};

inline model::ProcessRef process(uint32_t pid = 42, const std::string& comm = "nginx") {
  auto p = std::make_shared<model::Process>();
  p->pid = pid;
  p->start_time = 5;
  p->uid = 33;
  p->user = "www-data";
  p->comm = comm;
  p->exe = "/usr/sbin/" + comm;
  p->cgroup = "/system.slice/" + comm + ".service";
  p->unit = comm + ".service";
  p->ppid = 1;
  return p;
}

inline model::Socket socket(model::SocketId id, uint16_t port,
                            model::State state = model::State::bound) {
  model::Socket s;
  s.id = id;
  s.cookie = id * 16;
  s.netns = 4026531840;
  s.uid = 33;
  s.local = {model::Address::v4(127, 0, 0, 1), port};
  s.flags.set(model::SocketFlag::reuseaddr);
  s.state = state;
  return s;
}

inline model::Event event(model::EventType type, double seconds, const model::Socket& s,
                          model::ProcessRef p = process()) {
  model::Event e;
  e.type = type;
  e.time = static_cast<MonoNs>(seconds * 1e9);
  e.socket = s;
  e.bound_by = model::BoundBy::bind;
  e.process = std::move(p);
  return e;
}

} // namespace bindlens::history::test
