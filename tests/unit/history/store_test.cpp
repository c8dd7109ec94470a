#include "scene.h"

#include <fstream>
#include <random>
#include <set>
#include <sstream>

namespace bindlens::history::test {
namespace {

using model::EventType;
using model::State;

class StoreTest : public Scene {
 protected:
  // `n` sockets that were bound and released one after the other from `first` seconds on.
  std::vector<Item> lives(size_t n, double first) {
    std::vector<Item> items;
    for (size_t i = 0; i < n; ++i) {
      const model::Socket s = socket(++next_, 8080);
      for (const EventType type : {EventType::bind, EventType::release})
        items.emplace_back(event(type, first + static_cast<double>(i) * 1e-6, s));
    }
    return items;
  }
  std::string damage() { return value("PRAGMA integrity_check"); }

 private:
  model::SocketId next_ = 1000;
};

TEST_F(StoreTest, WritesTheLifeOfASocket) {
  open();
  write({event(EventType::bind, 1.5, socket(7, 8080)),
         event(EventType::listen, 1.6, socket(7, 8080, State::listen)),
         event(EventType::release, 1.7, socket(7, 8080, State::listen))});
  EXPECT_EQ(value("SELECT group_concat(type) FROM (SELECT type FROM events ORDER BY id)"),
            "start,bind,listen,release");
  EXPECT_EQ(number("SELECT count(*) FROM socket"), 1);
  EXPECT_EQ(number("SELECT released - since FROM socket"), 200'000'000);
  EXPECT_EQ(number("SELECT listened - since FROM socket"), 100'000'000);
  EXPECT_EQ(value("SELECT time FROM events WHERE type = 'bind'"), "2023-11-14T22:13:21.500000000Z");
  EXPECT_EQ(value("SELECT comm || addr || port FROM events WHERE type = 'release'"),
            "nginx127.0.0.18080");
  EXPECT_EQ(number("SELECT count(*) FROM process"), 0 + 3) << "three objects were three processes";
}

TEST_F(StoreTest, SharesOneRowOfAProcess) {
  open();
  const auto p = process();
  write({event(EventType::bind, 1, socket(1, 80), p), event(EventType::bind, 2, socket(2, 81), p)});
  EXPECT_EQ(number("SELECT count(*) FROM process"), 1);
  EXPECT_EQ(value("SELECT pid || comm || exe || user || unit || cgroup || ppid FROM processes"),
            "42nginx/usr/sbin/nginxwww-datanginx.service/system.slice/nginx.service1");
}

TEST_F(StoreTest, WritesAFailureWithEverythingThatWhyShows) {
  open();
  const model::Socket holder = socket(7, 8080, State::listen);
  auto f = std::make_shared<model::Failure>();
  f->id = 1;
  f->time = f->first_time = 2'000'000'000;
  f->error = EADDRINUSE;
  f->asked = {model::Address::any(model::Family::inet), 8080};
  f->process = process(50, "node");
  f->netns = holder.netns;
  f->rule = model::Rule::listener;
  f->explanation = "nginx listens";
  f->advice = {"stop nginx", "bind another address"};
  model::Blocker b;
  b.socket = holder;
  b.rule = model::Rule::listener;
  b.relation = model::Relation::requester_is_wildcard;
  b.bound_by = model::BoundBy::bind;
  b.bound_at = 1'000'000'000;
  b.binder = process();
  b.holders = {{process(), 6}, {process(43, "nginx"), 7}};
  b.holders_known = true;
  f->blockers = {b};
  model::Event e;
  e.type = EventType::fail;
  e.time = f->time;
  e.failure = f;
  write({event(EventType::bind, 1, holder), e}, 3);
  EXPECT_EQ(value("SELECT call || errno || addr || port || rule || comm || advice FROM failures"),
            "bind980.0.0.08080listenernodestop nginx\nbind another address");
  EXPECT_EQ(value("SELECT addr || port || state || rule || relation || bound_at FROM blocker"),
            "127.0.0.180801013" + std::to_string(offset + 1'000'000'000));
  EXPECT_EQ(value("SELECT group_concat(pid || ':' || fd) FROM holder JOIN process ON process.id = "
                  "holder.process ORDER BY n"),
            "42:6,43:7");
  // The same once more, and then the holder lets go.
  auto again = std::make_shared<model::Failure>(*f);
  again->count = 2;
  again->time = e.time = 2'500'000'000;
  e.failure = again;
  write({e, event(EventType::release, 2.7, holder)}, 3);
  EXPECT_EQ(value("SELECT count(*) || ',' || count || ',' || (wall - first_wall) FROM failure"),
            "1,2,500000000");
  EXPECT_EQ(number("SELECT count(*) FROM event WHERE type = 5"), 2);
  EXPECT_EQ(number("SELECT released FROM blocker"), offset + 2'700'000'000);
}

TEST_F(StoreTest, WritesGapsReusesAndFindings) {
  open();
  model::Event gap;
  gap.type = EventType::gap;
  gap.time = 2'000'000'000;
  gap.lost = 17;
  gap.since = 1'500'000'000;
  gap.cause = model::GapCause::queue;
  model::Event reuse = event(EventType::timewait_reuse, 2, socket(3, 443));
  auto r = std::make_shared<model::TimeWaitReuse>();
  r->kind = model::ReuseKind::syn;
  r->sockets = 4;
  reuse.reuse = r;
  model::Event audit;
  audit.type = EventType::audit;
  audit.time = 2'100'000'000;
  audit.resolved = true;
  auto finding = std::make_shared<model::Finding>();
  finding->id = model::FindingId::linger_zero;
  finding->port = 443;
  finding->summary = "closes with a reset";
  finding->deliveries = {{"10.0.0.1", "nginx[42]"}};
  finding->sockets.resize(1);
  finding->sockets[0].socket = socket(3, 443);
  audit.finding = finding;
  write({gap, reuse, audit});
  EXPECT_EQ(value("SELECT lost || ' ' || name || ' ' || (wall - since) FROM events e JOIN gap g ON "
                  "g.event = e.id JOIN name n ON n.kind = 'gap' AND n.value = g.cause"),
            "17 queue 500000000");
  EXPECT_EQ(value("SELECT kind || ',' || sockets FROM reuse"), "2,4");
  EXPECT_EQ(value("SELECT summary || (SELECT receiver FROM delivery) FROM finding"),
            "closes with a resetnginx[42]");
  EXPECT_EQ(value("SELECT port || flags FROM event WHERE type = 9"), "4431");
  EXPECT_EQ(number("SELECT count(*) FROM blocker WHERE finding IS NOT NULL"), 1);
}

TEST_F(StoreTest, WritesSharesOfAGroup) {
  open();
  SharesAt shares;
  shares.time = 2'000'000'000;
  shares.group.local.port = 80;
  shares.group.members.resize(1);
  shares.group.members[0].socket = socket(1, 80);
  shares.group.members[0].counters.accepted = 12;
  write({event(EventType::bind, 1, socket(1, 80)), shares});
  EXPECT_EQ(value("SELECT accepted || ',' || port || ',' || (datagrams IS NULL) FROM share"),
            "12,80,1");
}

// A host on which nothing happens but that a group works.
TEST_F(StoreTest, BoundsTheShares) {
  config.max_bytes = 4u << 20;
  config.max_age = std::chrono::seconds(10'000);
  open();
  SharesAt shares;
  shares.group.local.port = 80;
  shares.group.members.resize(1);
  shares.group.members[0].socket = socket(1, 80);
  write({event(EventType::bind, 1, socket(1, 80))});
  const std::vector<Item> batch(1000, Item(shares));
  for (int i = 0; i < 30; ++i)
    write(batch, 2 + i);
  EXPECT_EQ(number("SELECT count(*) FROM share"), 4096 + 1000) << "up to a batch more";
  EXPECT_EQ(number("SELECT count(*) FROM event WHERE type = 0"), 1);
  for (int i = 0; i < 3; ++i)
    write({}, 20'000 + i);
  EXPECT_EQ(number("SELECT count(*) FROM share"), 0) << "too old";
}

TEST_F(StoreTest, LearnsFromTheTableWhatNoEventTold) {
  open();
  model::Binding kept;
  kept.socket = socket(1, 80);
  model::Binding found;
  found.socket = socket(2, 81, State::listen);
  write({event(EventType::bind, 1, kept.socket), event(EventType::bind, 1.1, socket(3, 82)),
         TableAt{2'000'000'000, {kept, found}}});
  EXPECT_EQ(
      value("SELECT group_concat(port || ':' || (found IS 1) || (vanished IS 1)) FROM socket"),
      "80:00,82:01,81:10");
  // What the kernel's address of a socket names can have changed.
  found.socket = socket(2, 90);
  write({TableAt{3'000'000'000, {kept, found}}}, 3);
  EXPECT_EQ(number("SELECT vanished FROM socket WHERE port = 81"), 1);
  EXPECT_EQ(number("SELECT count(*) FROM socket WHERE released IS NULL"), 2);
}

TEST_F(StoreTest, NamesNamespaces) {
  open();
  write({event(EventType::bind, 1, socket(1, 80)), NamespaceName{4026531840, "web-1"}});
  EXPECT_EQ(value("SELECT name FROM namespace WHERE inode = 4026531840"), "web-1");
}

TEST_F(StoreTest, MarksAStartAfterAnUncleanEnd) {
  open();
  write({event(EventType::bind, 1, socket(1, 80))});
  store.reset(); // without close(), as when killed
  config.started = 5'000'000'000;
  open(5);
  EXPECT_EQ(value("SELECT group_concat(after_unclean) FROM run"), "0,1");
  EXPECT_EQ(number("SELECT released FROM socket"), offset + 2'000'000'000) << "when last seen";
  ASSERT_TRUE(store->close(at(6)));
  store.reset();
  config.started = 7'000'000'000;
  open(7);
  EXPECT_EQ(value("SELECT group_concat(after_unclean) FROM run"), "0,1,0");
  EXPECT_EQ(value("SELECT group_concat(type) FROM (SELECT type FROM events ORDER BY id)"),
            "start,bind,start,stop,start");
}

TEST_F(StoreTest, GoesOnWithItsRunAfterTrouble) {
  open();
  write({event(EventType::bind, 1, socket(1, 80))});
  store.reset();
  open(3);
  EXPECT_FALSE(store->is_new_run());
  EXPECT_EQ(number("SELECT count(*) FROM run"), 1);
}

// Monotonic time decides, whatever the wall clock was set to.
TEST_F(StoreTest, OrdersByTheMonotonicClockWhenTheClockIsSetBack) {
  open();
  write({event(EventType::bind, 10, socket(1, 80))}, 10);
  offset -= 3'600'000'000'000;
  write({event(EventType::release, 20, socket(1, 80))}, 20);
  EXPECT_EQ(value("SELECT group_concat(type) FROM (SELECT t.name AS type FROM event e JOIN clock c "
                  "ON c.id = e.clock JOIN name t ON t.kind = 'type' AND t.value = e.type WHERE "
                  "e.type <> 11 ORDER BY c.boot, e.wall - c.offset)"),
            "bind,release");
  EXPECT_LT(number("SELECT wall FROM event WHERE type = 4"),
            number("SELECT wall FROM event WHERE type = 0"));
  EXPECT_EQ(number("SELECT monotonic FROM events WHERE type = 'release'"), 20'000'000'000);
  boot = "another";
  store.reset();
  config.started = 1;
  open(1);
  write({event(EventType::bind, 2, socket(1, 80))}, 2);
  EXPECT_EQ(value("SELECT group_concat(boot) FROM (SELECT DISTINCT c.boot AS boot FROM event e "
                  "JOIN clock c ON c.id = e.clock ORDER BY e.id)"),
            "1,2");
}

TEST_F(StoreTest, StaysBelowItsSize) {
  config.max_bytes = 4u << 20;
  open();
  uint64_t largest = 0;
  for (int i = 0; i < 60; ++i) {
    write(lives(Store::batch_size(config.max_bytes) / 2, 2 + i), 3 + i);
    largest = std::max(largest, store->totals().bytes);
  }
  EXPECT_LE(largest, config.max_bytes);
  EXPECT_GT(largest, config.max_bytes / 2) << "it uses what it may";
  EXPECT_GT(number("SELECT min(id) FROM event"), 40'000) << "the oldest went";
  EXPECT_EQ(number("SELECT max(id) FROM event"), 60 * 1024 + 1) << "the newest are there";
  EXPECT_EQ(store->totals().rows, static_cast<uint64_t>(number("SELECT count(*) FROM event")));
  EXPECT_EQ(number("SELECT count(*) FROM event e LEFT JOIN socket s ON s.id = e.socket WHERE "
                   "e.socket IS NOT NULL AND s.id IS NULL"),
            0)
      << "no event lost its socket";
  EXPECT_EQ(number("SELECT count(*) FROM event e LEFT JOIN process p ON p.id = e.process WHERE "
                   "e.process IS NOT NULL AND p.id IS NULL"),
            0);
  EXPECT_EQ(number("SELECT count(*) FROM socket s LEFT JOIN process p ON p.id = s.binder WHERE "
                   "s.binder IS NOT NULL AND p.id IS NULL"),
            0);
  EXPECT_EQ(damage(), "ok");
}

TEST_F(StoreTest, GivesUpFailuresLast) {
  config.max_bytes = 4u << 20;
  open();
  auto f = std::make_shared<model::Failure>();
  f->id = 1;
  f->process = process();
  f->asked.port = 8080;
  f->time = f->first_time = 1'500'000'000;
  model::Event e;
  e.type = EventType::fail;
  e.time = f->time;
  e.failure = f;
  write({e});
  for (int i = 0; i < 40; ++i)
    write(lives(512, 2 + i), 3 + i);
  ASSERT_GT(number("SELECT min(id) FROM event WHERE type <> 5"), 5000);
  EXPECT_EQ(number("SELECT count(*) FROM failure"), 1);
  EXPECT_EQ(number("SELECT count(*) FROM event WHERE type = 5"), 1);
  EXPECT_EQ(value("SELECT comm FROM failures"), "nginx") << "with its process";
}

TEST_F(StoreTest, DeletesWhatIsTooOld) {
  config.max_age = std::chrono::seconds(100);
  open();
  write(lives(10, 2), 3);
  write(lives(10, 90), 91);
  EXPECT_EQ(number("SELECT count(*) FROM event WHERE type = 0"), 20);
  write({}, 120);
  EXPECT_EQ(number("SELECT count(*) FROM event WHERE type = 0"), 10);
  EXPECT_EQ(number("SELECT count(*) FROM socket"), 10);
  // Setting the clock to another year makes nothing of this boot old.
  offset += 365LL * 86'400 * 1'000'000'000;
  write({}, 121);
  EXPECT_EQ(number("SELECT count(*) FROM event WHERE type = 0"), 10);
}

TEST_F(StoreTest, AddsUpWhatIsCounted) {
  open();
  const Counted some{28'333'334, 4026531840, model::Proto::tcp, 8080, model::BoundBy::bind, 500};
  write({some, Counted{28'333'334, 4026531840, model::Proto::tcp, 8081, model::BoundBy::bind, 1}});
  write({some});
  EXPECT_EQ(number("SELECT count FROM short_lived WHERE port = 8080"), 1000);
  EXPECT_EQ(number("SELECT count(*) FROM short_lived"), 2);
  EXPECT_EQ(number("SELECT minute * 60 FROM short_lived WHERE port = 8081"), 1'700'000'040);
  EXPECT_EQ(number("SELECT inode FROM namespace n JOIN short_lived s ON s.namespace = n.id WHERE "
                   "port = 8080"),
            4026531840);
}

TEST_F(StoreTest, CanBeReadWhileItIsWritten) {
  open();
  write({event(EventType::bind, 1, socket(1, 80))});
  auto reader = Database::open(file(), Database::Mode::read);
  ASSERT_TRUE(reader);
  reader->execute("BEGIN");
  Statement count(*reader, "SELECT count(*) FROM event");
  ASSERT_TRUE(count.bind().step());
  EXPECT_EQ(count.integer(0), 2);
  count.reset();
  write({event(EventType::bind, 2, socket(2, 81))}, 3);
  ASSERT_TRUE(count.bind().step());
  EXPECT_EQ(count.integer(0), 2) << "a transaction sees one moment";
  count.reset();
  reader->execute("COMMIT");
  ASSERT_TRUE(count.bind().step());
  EXPECT_EQ(count.integer(0), 3);
}

TEST_F(StoreTest, RefusesANewerFileAndLeavesItAlone) {
  open();
  store.reset();
  auto db = Database::open(file(), Database::Mode::write);
  ASSERT_TRUE(db);
  db->execute("PRAGMA user_version = " + std::to_string(schema_version + 1));
  const auto refused = Store::open(config, at(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Trouble::Kind::refused);
  EXPECT_NE(refused.error().text.find("newer bindlensd"), std::string::npos)
      << refused.error().text;
  EXPECT_EQ(number("PRAGMA user_version"), schema_version + 1);
}

TEST_F(StoreTest, RefusesADatabaseOfAnotherProgram) {
  auto db = Database::open(file(), Database::Mode::create);
  ASSERT_TRUE(db);
  db->execute("CREATE TABLE theirs(x); INSERT INTO theirs VALUES (1)");
  const auto refused = Store::open(config, at(2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, Trouble::Kind::refused);
  EXPECT_NE(refused.error().text.find("another program"), std::string::npos);
  EXPECT_EQ(number("SELECT count(*) FROM theirs"), 1);
}

TEST_F(StoreTest, SaysThatAFileIsDamaged) {
  open();
  write(lives(2000, 2), 3);
  store.reset();
  std::fstream bytes(file(), std::ios::in | std::ios::out | std::ios::binary);
  bytes.seekp(8192);
  bytes << std::string(20'000, 'x');
  bytes.close();
  const auto damaged = Store::open(config, at(4));
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().kind, Trouble::Kind::corrupt) << damaged.error().text;
}

TEST_F(StoreTest, SaysThatAFileIsNoDatabase) {
  std::ofstream(file()) << std::string(10'000, 'x');
  const auto damaged = Store::open(config, at(4));
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().kind, Trouble::Kind::corrupt) << damaged.error().text;
}

// docs/history.md names every table, and no other.
TEST_F(StoreTest, HasItsPage) {
  open();
  std::ostringstream page;
  page << std::ifstream(BINDLENS_HISTORY_PAGE).rdbuf();
  auto db = Database::open(file(), Database::Mode::read);
  ASSERT_TRUE(db);
  Statement tables(*db, "SELECT name FROM sqlite_schema WHERE type = 'table'");
  int n = 0;
  for (tables.bind(); tables.step(); ++n)
    EXPECT_NE(page.str().find("`" + tables.text(0)), std::string::npos) << tables.text(0);
  EXPECT_GT(n, 15);
}

} // namespace
} // namespace bindlens::history::test
