// The interface: memory and copies.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "gpu/simt/observer.h"
#include "gpu/simt/runtime.h"

using simt::call;
using simt::Device;
using simt::Failure;
using simt::observer;

namespace {

void allocate(Device& d, void** pointer, std::size_t bytes, const char* function) {
  *pointer = nullptr;
  if (bytes == 0) {
    return;
  }
  *pointer = d.arena.allocate(bytes);
  if (*pointer == nullptr) {
    throw Failure{cudaErrorMemoryAllocation, "",
                  std::string(function) + ": " + std::to_string(bytes) + " bytes, where " +
                      std::to_string(d.arena.used()) + " of " + std::to_string(d.arena.limit()) +
                      " are in use"};
  }
}

void release(Device& d, const void* pointer, const char* function, const std::string& kind) {
  if (pointer != nullptr && !d.arena.free(pointer)) {
    throw Failure{
        cudaErrorInvalidValue, kind,
        std::string(function) + ": not the start of an allocation: " + simt::describe_address(pointer)};
  }
}

/// One copy, with what is known of both ends.
struct Copy {
  unsigned char* to;
  const unsigned char* from;
  std::size_t bytes;
  bool to_device, from_device;
  bool to_pinned, from_pinned;
};

Copy check(const Device& d, void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  Copy copy{static_cast<unsigned char*>(to),
            static_cast<const unsigned char*>(from),
            bytes,
            d.arena.contains(to),
            d.arena.contains(from),
            d.find_pinned(to) != nullptr,
            d.find_pinned(from) != nullptr};
  if (to == nullptr || from == nullptr) {
    throw Failure{cudaErrorInvalidValue, "", "cudaMemcpy: a null pointer"};
  }
  if (kind != cudaMemcpyDefault) {
    const bool says_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool says_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (says_to != copy.to_device || says_from != copy.from_device) {
      const bool wrong_to = says_to != copy.to_device;
      throw Failure{cudaErrorInvalidMemcpyDirection, "",
                    std::string("cudaMemcpy: the kind of the copy does not fit its ") +
                        (wrong_to ? "destination, " : "source, ") +
                        simt::describe_address(wrong_to ? to : from)};
    }
  }
  if (copy.to_device) {
    d.require_device_range(to, bytes, "cudaMemcpy: the destination");
  }
  if (copy.from_device) {
    d.require_device_range(from, bytes, "cudaMemcpy: the source");
  }
  return copy;
}

/// Runs later, in a stream. The memory may have been freed by then.
void run_copy(const Copy& copy) {
  const Device& d = simt::device();
  if (copy.to_device) {
    d.require_device_range(copy.to, copy.bytes, "the destination of a copy", "use after free");
  }
  if (copy.from_device) {
    d.require_device_range(copy.from, copy.bytes, "the source of a copy", "use after free");
  }
  const bool to_gone = copy.to_pinned && d.find_pinned(copy.to) == nullptr;
  if (to_gone || (copy.from_pinned && d.find_pinned(copy.from) == nullptr)) {
    throw Failure{cudaErrorIllegalAddress, "use after free",
                  std::string("use after free: pinned host memory was freed before the copy ") +
                      (to_gone ? "to" : "from") + " it had run"};
  }
  if (observer != nullptr && copy.from_device && copy.to_device) {
    observer->copied(copy.to, copy.from, copy.bytes);
  } else if (observer != nullptr && copy.from_device) {
    observer->require_written(copy.from, copy.bytes, "a copy to the host");
  } else if (observer != nullptr && copy.to_device) {
    observer->written(copy.to, copy.bytes);
  }
  std::memmove(copy.to, copy.from, copy.bytes);
}

/// The source is copied now, and its copy to the destination later.
void enqueue_staged(Device& d, simt::Stream* stream, const Copy& copy) {
  auto staging = std::make_shared<std::vector<unsigned char>>(copy.from, copy.from + copy.bytes);
  d.streams.enqueue(stream, [copy, staging] {
    Copy late = copy;
    late.from = staging->data();
    run_copy(late);
  });
}

void enqueue_memset(Device& d, void* pointer, int value, std::size_t bytes, simt::Stream* stream) {
  if (bytes == 0) {
    return;
  }
  d.require_device_range(pointer, bytes, "cudaMemset: the memory");
  d.streams.enqueue(stream, [pointer, value, bytes] {
    simt::device().require_device_range(pointer, bytes, "the memory of a memset", "use after free");
    if (observer != nullptr) {
      observer->written(pointer, bytes);
    }
    std::memset(pointer, value, bytes);
  });
}

}  // namespace

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return call([&](Device& d) { allocate(d, pointer, bytes, "cudaMalloc"); });
}

/// Waits for all work, as a device does.
cudaError_t cudaFree(void* pointer) {
  return call([&](Device& d) {
    d.synchronize();
    release(d, pointer, "cudaFree", "");
  });
}

cudaError_t cudaMallocAsync(void** pointer, std::size_t bytes, cudaStream_t stream) {
  return call([&](Device& d) {
    d.stream(stream, "cudaMallocAsync");
    allocate(d, pointer, bytes, "cudaMallocAsync");
  });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  return call([&](Device& d) {
    d.streams.enqueue(d.stream(stream, "cudaFreeAsync"),
                      [&d, pointer] { release(d, pointer, "cudaFreeAsync", "invalid free"); });
  });
}

struct simt::MemoryPool {};

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t* pool, int device) {
  return call([&](Device&) {
    static simt::MemoryPool the_pool;
    if (device != 0)
      throw Failure{cudaErrorInvalidDevice, "", "cudaDeviceGetDefaultMemPool: there is only device 0"};
    *pool = &the_pool;
  });
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, cudaMemPoolAttr attribute, void* value) {
  return call([&](Device&) {
    if (pool == nullptr || attribute != cudaMemPoolAttrReleaseThreshold || value == nullptr) {
      throw Failure{cudaErrorInvalidValue, "",
                    "cudaMemPoolSetAttribute: no such pool or attribute, or no value"};
    }
  });
}

cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return call([&](Device& d) {
    *pointer = ::operator new(bytes);
    std::memset(*pointer, 0xff, bytes);
    auto* begin = static_cast<unsigned char*>(*pointer);
    d.pinned.emplace(begin, simt::Allocation{begin, bytes, ++d.pinned_count});
  });
}

cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned) {
  return cudaMallocHost(pointer, bytes);
}

cudaError_t cudaFreeHost(void* pointer) {
  return call([&](Device& d) {
    if (pointer != nullptr && d.pinned.erase(static_cast<unsigned char*>(pointer)) == 0) {
      throw Failure{cudaErrorInvalidValue, "",
                    "cudaFreeHost: not the start of pinned memory: " + simt::describe_address(pointer)};
    }
    ::operator delete(pointer);
  });
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  return call([&](Device& d) {
    *total_bytes = d.arena.limit();
    *free_bytes = d.arena.limit() - std::min(d.arena.used(), d.arena.limit());
  });
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return call([&](Device& d) {
    if (bytes == 0) {
      return;
    }
    const Copy copy = check(d, to, from, bytes, kind);
    simt::Stream* stream = d.streams.legacy();
    if (copy.to_device && !copy.from_device && !copy.from_pinned) {
      // The host may go on when the source has been copied to staging memory.
      d.synchronize(stream);
      enqueue_staged(d, stream, copy);
      return;
    }
    d.streams.enqueue(stream, [copy] { run_copy(copy); });
    if (!copy.to_device || !copy.from_device) {
      d.synchronize(stream);
    }
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t handle) {
  return call([&](Device& d) {
    simt::Stream* stream = d.stream(handle, "cudaMemcpyAsync");
    if (bytes == 0) {
      return;
    }
    const Copy copy = check(d, to, from, bytes, kind);
    if (copy.to_device && !copy.from_device && !copy.from_pinned) {
      enqueue_staged(d, stream, copy);
      return;
    }
    d.streams.enqueue(stream, [copy] { run_copy(copy); });
    const bool pageable = (!copy.to_device && !copy.to_pinned) || (!copy.from_device && !copy.from_pinned);
    if (pageable || (!copy.to_device && !copy.from_device)) {
      d.synchronize(stream);
    }
  });
}

cudaError_t cudaMemset(void* pointer, int value, std::size_t bytes) {
  return call([&](Device& d) { enqueue_memset(d, pointer, value, bytes, d.streams.legacy()); });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, std::size_t bytes, cudaStream_t stream) {
  return call(
      [&](Device& d) { enqueue_memset(d, pointer, value, bytes, d.stream(stream, "cudaMemsetAsync")); });
}
