// A function over many items, on several threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace glassmill {

inline unsigned num_threads(unsigned wanted) {
    return wanted ? wanted : std::max(1u, std::thread::hardware_concurrency());
}

// Calls work(thread, item) for every item below `count`; threads take the next item when they are done with one. The
// first exception stops the others and is thrown here.
template <class Work>
void parallel(std::size_t count, unsigned threads, Work&& work) {
    threads = static_cast<unsigned>(std::min<std::size_t>(threads, count));
    std::atomic<std::size_t> next{0};
    std::exception_ptr failure;
    std::mutex lock;
    const auto loop = [&](unsigned thread) {
        try {
            for (std::size_t item; (item = next.fetch_add(1)) < count;) work(thread, item);
        } catch (...) {
            const std::lock_guard<std::mutex> guard(lock);
            if (!failure) failure = std::current_exception();
            next = count;
        }
    };
    std::vector<std::thread> others;
    for (unsigned thread = 1; thread < threads; ++thread) others.emplace_back(loop, thread);
    loop(0);
    for (std::thread& other : others) other.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace glassmill
