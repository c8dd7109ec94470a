#include "journal.h"

#include <bindlens/journal/entry.h>

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <thread>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

namespace bindlens::app {

namespace {

using namespace std::chrono_literals;

// bindlensd(8), JOURNAL, has these figures.
constexpr uint32_t burst = 20;
constexpr MonoNs interval = 500'000'000;
constexpr auto tell_left_out_after = 5s;
constexpr size_t most_waiting = 64;
constexpr auto patience_at_end = 1s;

void send_now(std::vector<std::string>& entry) {
  std::vector<iovec> parts;
  for (std::string& field : entry)
    parts.push_back({field.data(), field.size()});
  // There is nobody to tell of an error but the journal.
  ::sd_journal_sendv(parts.data(), static_cast<int>(parts.size()));
}

} // namespace

bool is_under_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat st {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &st) != 0) return false;
  return std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino) == stream;
}

// Shared with the thread, which is left to itself when the journal does not read.
struct Journal::Sender {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::vector<std::string>> waiting;
  bool ending = false;
  bool ended = false;
  std::thread thread;

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [this] { return ending || !waiting.empty(); });
      if (waiting.empty()) break;
      std::vector<std::string> entry = std::move(waiting.front());
      waiting.pop_front();
      lock.unlock();
      send_now(entry);
      lock.lock();
    }
    ended = true;
    changed.notify_all();
  }
};

Journal::Journal(boost::asio::io_context& io, NetnsName netns_name)
    : netns_name_(std::move(netns_name)), limit_(burst, interval), later_(io),
      sender_(std::make_shared<Sender>()) {}

Journal::~Journal() {
  std::thread& thread = sender_->thread;
  if (!thread.joinable()) return;
  std::unique_lock lock(sender_->mutex);
  sender_->ending = true;
  sender_->changed.notify_all();
  const bool ended =
      sender_->changed.wait_for(lock, patience_at_end, [this] { return sender_->ended; });
  lock.unlock();
  ended ? thread.join() : thread.detach();
}

void Journal::tell(const model::Failure& f) {
  const bool full = [this] {
    const std::lock_guard lock(sender_->mutex);
    return sender_->waiting.size() >= most_waiting;
  }();
  if (full)
    limit_.leave_out();
  else if (limit_.admit(monotonic_now()))
    return send(journal::refusal_entry(f, netns_name_(f.netns), limit_.take_left_out()));
  tell_left_out_soon();
}

void Journal::tell_left_out_soon() {
  if (waits_) return;
  waits_ = true;
  later_.expires_after(tell_left_out_after);
  later_.async_wait([this](const boost::system::error_code& ec) {
    waits_ = false;
    if (ec || limit_.left_out() == 0) return;
    send(journal::left_out_entry(limit_.take_left_out()));
  });
}

void Journal::send(std::vector<std::string> entry) {
  const std::lock_guard lock(sender_->mutex);
  sender_->waiting.push_back(std::move(entry));
  // Made at the first entry: a thread keeps the capabilities it was made with.
  if (!sender_->thread.joinable())
    sender_->thread = std::thread([sender = sender_] { sender->run(); });
  sender_->changed.notify_all();
}

} // namespace bindlens::app
