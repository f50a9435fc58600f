#include "reference/linalg/parallel.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "reference/sampled.h"

namespace forgecheck::linalg {

std::int64_t thread_count() {
  const char* const asked = std::getenv("OMP_NUM_THREADS");
  const std::string_view text = asked == nullptr ? "" : asked;
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size() && count > 0) return count;
  return std::max<std::int64_t>(1, std::thread::hardware_concurrency());
}

void parallel_for(std::int64_t threads, std::int64_t count, const std::function<void(std::int64_t)>& body) {
  std::atomic<std::int64_t> next = 0;
  std::exception_ptr failure;
  std::mutex failing;
  const auto work = [&]() noexcept {
    try {
      for (std::int64_t i = next++; i < count; i = next++) body(i);
    } catch (...) {
      const std::lock_guard lock(failing);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  std::vector<std::jthread> others;
  try {
    while (std::ssize(others) + 1 < std::min(threads, count)) others.emplace_back(work);
  } catch (const std::system_error&) {
    // This thread does the rest.
  }
  work();
  others.clear();
  if (failure) std::rethrow_exception(failure);
}

void share_by_threads(std::int64_t work, std::int64_t count, const std::function<void(std::int64_t)>& body) {
  if (work < kThreadedWork) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  const Sampling::Pieces pieces;
  parallel_for(thread_count(), count, [&](std::int64_t i) {
    const Sampling::Piece piece(pieces, i);
    body(i);
  });
}

}  // namespace forgecheck::linalg
