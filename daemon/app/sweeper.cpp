#include "sweeper.h"

#include <boost/asio/post.hpp>

namespace bindlens::app {

void Sweeper::request(Done done) {
  waiting_.push_back(std::move(done));
  if (!busy_) start();
}

void Sweeper::start() {
  busy_ = true;
  running_ = std::exchange(waiting_, {});
  if (!pool_) pool_.emplace(1);
  boost::asio::post(*pool_, [this] {
    auto swept = kernel::sweep_owners(session_);
    Result result = swept ? Result(std::make_shared<kernel::OwnerMap>(*std::move(swept)))
                          : Result(std::unexpected(swept.error()));
    boost::asio::post(io_, [this, result = std::move(result)] { finished(result); });
  });
}

void Sweeper::finished(Result result) {
  busy_ = false;
  if (result) last_ = *result;
  const std::vector<Done> asked = std::exchange(running_, {});
  if (!waiting_.empty()) start();
  for (const Done& done : asked)
    done(result);
}

} // namespace bindlens::app
