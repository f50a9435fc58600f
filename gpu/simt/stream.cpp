#include "gpu/simt/stream.h"

#include <algorithm>
#include <utility>

namespace simt {

Stream* Streams::create(bool blocking) {
  streams_.push_back(std::make_unique<Stream>());
  streams_.back()->blocking = blocking;
  return streams_.back().get();
}

/// Work that it still holds will run, as on a device.
void Streams::destroy(Stream* stream) {
  stream->destroyed = true;
}

bool Streams::valid(const Stream* stream) const {
  return std::any_of(streams_.begin(), streams_.end(),
                     [stream](const auto& known) { return known.get() == stream && !known->destroyed; });
}

void Streams::enqueue(Stream* stream, std::function<void()> run, std::shared_ptr<const Recording> after) {
  stream->queue.push_back({std::move(run), std::move(after), ++count_});
}

bool Streams::may_run(const Stream& stream) const {
  if (stream.queue.empty()) {
    return false;
  }
  const Work& work = stream.queue.front();
  if (work.after != nullptr && !work.after->done) {
    return false;
  }
  const auto earlier = [&work](const Stream& other) {
    return !other.queue.empty() && other.queue.front().number < work.number;
  };
  if (&stream == &legacy_) {
    return std::none_of(streams_.begin(), streams_.end(),
                        [&](const auto& other) { return other->blocking && earlier(*other); });
  }
  return !(stream.blocking && earlier(legacy_));
}

bool Streams::run_one(Random& random) {
  std::vector<Stream*> ready;
  if (may_run(legacy_)) {
    ready.push_back(&legacy_);
  }
  for (const auto& stream : streams_) {
    if (may_run(*stream)) {
      ready.push_back(stream.get());
    }
  }
  if (ready.empty()) {
    return false;
  }
  Stream* chosen = ready[random.below(ready.size())];
  const Work work = std::move(chosen->queue.front());
  chosen->queue.pop_front();
  std::erase_if(streams_, [](const auto& stream) { return stream->destroyed && stream->queue.empty(); });
  work.run();
  return true;
}

bool Streams::idle() const {
  return legacy_.queue.empty() && std::all_of(streams_.begin(), streams_.end(),
                                              [](const auto& stream) { return stream->queue.empty(); });
}

void Streams::clear() {
  legacy_.queue.clear();
  for (const auto& stream : streams_) {
    stream->queue.clear();
  }
}

}  // namespace simt
