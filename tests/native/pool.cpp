// The pool of threads: every item once, nested, with failures, without threads, over fork(). Prints what went wrong.
#include "base/pool.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define REAL_PROCESS 1  // the sanitizers start threads themselves, and stop at a fork with threads
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static std::atomic<int> threads_left{0};  // that can still be started

extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* options, void* (*start)(void*), void* argument) {
    using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
    static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
    return threads_left-- > 0 ? create(thread, options, start, argument) : EAGAIN;
}
#endif

using namespace glassmill;

namespace {

void require(bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "%s\n", what);
    std::_Exit(1);
}

// Plain integers: two threads with one number, or an item that two threads took, are a race that TSan reports.
void check_every_item_once(std::size_t count, unsigned threads) {
    std::vector<int> items(count), numbers(threads);
    parallel(count, threads, [&](unsigned thread, std::size_t item) { ++items.at(item), ++numbers.at(thread); });
    int total = 0;
    for (const int times : items) require(times == 1, "an item was not done once");
    for (const int done : numbers) total += done;
    require(total == static_cast<int>(count), "items are missing");
}

void check_nested() {
    std::atomic<int> leaves{0};
    parallel(5, 4, [&](unsigned, std::size_t) {
        parallel(5, 4, [&](unsigned, std::size_t) { parallel(5, 4, [&](unsigned, std::size_t) { ++leaves; }); });
    });
    require(leaves == 125, "nested work is missing");
}

// The items take their time: the others would be through before the exception has found its handler.
void check_failure() {
    std::atomic<int> done{0};
    try {
        parallel(100'000, 4, [&](unsigned, std::size_t item) {
            ++done;
            if (item == 20) throw std::domain_error("20");
            if (item > 20) std::this_thread::sleep_for(std::chrono::microseconds(50));
        });
        require(false, "a failure was lost");
    } catch (const std::domain_error&) {
    }
    require(done < 100'000, "the others went on after a failure");
}

void check_background() {
    std::vector<int> items(1000);
    const Work work = [&](unsigned, std::size_t item) { ++items[item]; };
    Task finished(items.size(), 3, work);
    finished.finish();
    for (const int times : items) require(times == 1, "an item was not done in the background");
    { const Task dropped(items.size(), 3, work); }
    for (const int times : items) require(times <= 2, "an item was done twice");
}

// Every item waits for the others, so that each needs a thread.
void check_at_once(unsigned threads) {
    std::atomic<unsigned> here{0};
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    parallel(threads, threads, [&](unsigned, std::size_t) {
        for (++here; here < threads && std::chrono::steady_clock::now() < end;) std::this_thread::yield();
    });
    require(std::chrono::steady_clock::now() < end, "threads are missing");
}

void check_all() {
    for (std::size_t count : {0, 1, 2, 3, 50, 999}) {
        for (unsigned threads : {1u, 2u, 3u, 7u}) check_every_item_once(count, threads);
    }
    check_nested();
    check_failure();
    check_background();
}

void check_many_callers() {
    std::vector<std::thread> callers;
    for (int i = 0; i < 3; ++i) {
        callers.emplace_back([] {
            for (int round = 0; round < 20; ++round) check_all();
        });
    }
    for (std::thread& caller : callers) caller.join();
}

#ifdef REAL_PROCESS
template <class Body>
void check_in_child(Body&& body) {
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);  // ends a child that waits for ever
        threads_left = 1000;
        body();
        check_at_once(3);
        std::_Exit(0);
    }
    int status = 1;
    waitpid(child, &status, 0);
    require(status == 0, "a forked child failed");
}

void check_lost(Task& task) {
    require(task.lost(), "a child believes in its parent's threads");
    try {
        task.finish();
        require(false, "a child finished its parent's work");
    } catch (const std::runtime_error&) {
    }
}

void check_fork() {
    check_in_child(check_all);
    std::atomic<bool> stop{false};
    std::thread busy([&] {
        while (!stop) check_every_item_once(2000, 4);
    });
    for (int i = 0; i < 50; ++i) check_in_child(check_all);
    stop = true;
    busy.join();
    std::optional<Task> task;
    task.emplace(100, 3, [](unsigned, std::size_t) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); });
    check_in_child([&] {
        check_lost(*task);
        task.reset();
        check_all();
    });
    task->finish();
}
#endif

}  // namespace

int main() {
#ifdef REAL_PROCESS
    check_all();
    threads_left = 1;
    check_at_once(2);
    check_all();
    threads_left = 1000;
    check_fork();
#endif
    check_at_once(4);
    check_many_callers();
}
