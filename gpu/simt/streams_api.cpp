// The interface: streams, events and the device as a whole.
#include <chrono>
#include <memory>
#include <utility>

#include "gpu/simt/runtime.h"

using simt::call;
using simt::Device;
using simt::Failure;

cudaError_t cudaDeviceSynchronize() {
  return call([](Device& d) { d.synchronize(); });
}

cudaError_t cudaDeviceReset() {
  Device& d = simt::device();
  const std::lock_guard lock(d.mutex);
  d.streams.clear();
  while (!d.arena.live().empty()) {
    d.arena.free(d.arena.live().begin()->first);
  }
  d.sticky = d.last = d.described = cudaSuccess;
  d.shared_limits.clear();
  d.random = simt::Random(d.seed);
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return call([&](Device& d) { *stream = d.streams.create((flags & cudaStreamNonBlocking) == 0); });
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return call([&](Device& d) { d.streams.destroy(d.stream(stream, "cudaStreamDestroy")); });
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return call([&](Device& d) { d.synchronize(d.stream(stream, "cudaStreamSynchronize")); });
}

namespace {

/// A query may or may not let some work run, so polling until it is done ends.
template <class Done>
cudaError_t query(Device& d, Done done) {
  d.run_until(done, d.random.below(2));
  return done() ? cudaSuccess : cudaErrorNotReady;
}

simt::Event& require_event(Device& d, cudaEvent_t event, const char* function) {
  if (!d.events.contains(event)) {
    throw Failure{cudaErrorInvalidResourceHandle, "",
                  std::string(function) + ": the event was destroyed or never created"};
  }
  return *event;
}

}  // namespace

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  cudaError_t answer = cudaSuccess;
  const cudaError_t error = call([&](Device& d) {
    const simt::Stream* stream = d.stream(handle, "cudaStreamQuery");
    answer = query(d, [&] { return stream->queue.empty(); });
  });
  return error != cudaSuccess ? error : answer;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return call([&](Device& d) {
    // An event that was never recorded is not waited for.
    d.streams.enqueue(
        d.stream(stream, "cudaStreamWaitEvent"), [] {},
        require_event(d, event, "cudaStreamWaitEvent").latest);
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  return call([&](Device& d) {
    *event = new simt::Event;
    (*event)->timing = (flags & cudaEventDisableTiming) == 0;
    d.events.insert(*event);
  });
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return call([&](Device& d) {
    require_event(d, event, "cudaEventDestroy");
    d.events.erase(event);
    delete event;
  });
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return call([&](Device& d) {
    auto recording = std::make_shared<simt::Recording>();
    simt::Event& known = require_event(d, event, "cudaEventRecord");
    d.streams.enqueue(d.stream(stream, "cudaEventRecord"), [recording] {
      recording->done = true;
      recording->time = std::chrono::steady_clock::now();
    });
    known.latest = recording;
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  cudaError_t answer = cudaSuccess;
  const cudaError_t error = call([&](Device& d) {
    const auto latest = require_event(d, event, "cudaEventQuery").latest;
    answer = query(d, [&] { return latest == nullptr || latest->done; });
  });
  return error != cudaSuccess ? error : answer;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return call([&](Device& d) {
    const auto latest = require_event(d, event, "cudaEventSynchronize").latest;
    d.run_until([&] { return latest == nullptr || latest->done; });
  });
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  cudaError_t answer = cudaSuccess;
  const cudaError_t error = call([&](Device& d) {
    const simt::Event& first = require_event(d, start, "cudaEventElapsedTime");
    const simt::Event& second = require_event(d, end, "cudaEventElapsedTime");
    if (first.latest == nullptr || second.latest == nullptr || !first.timing || !second.timing) {
      throw Failure{cudaErrorInvalidResourceHandle, "",
                    "cudaEventElapsedTime: an event was not recorded, or was created without timing"};
    }
    if (!first.latest->done || !second.latest->done) {
      answer = cudaErrorNotReady;
      return;
    }
    *milliseconds =
        std::chrono::duration<float, std::milli>(second.latest->time - first.latest->time).count();
  });
  return error != cudaSuccess ? error : answer;
}
