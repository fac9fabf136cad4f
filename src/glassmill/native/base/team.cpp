#include "base/team.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif
#ifndef _WIN32
#include <unistd.h>
#endif

namespace glassmill {
namespace {

constexpr unsigned kFewSleeps = 3, kFirstAlone = 8, kMostAlone = 256;
constexpr int kSpinsInRun = 3'000, kSpinsBetween = 6'000;  // 50 and 100 microseconds or so

void pause() {
#if defined(__x86_64__) || defined(_M_X64)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Whether it had to sleep.
bool wait_while(std::atomic<std::uint32_t>& value, std::uint32_t old, int spins) {
    for (int spin = 0; spin < spins; ++spin) {
        if (value.load(std::memory_order_acquire) != old) return false;
        pause();
    }
    while (value.load(std::memory_order_acquire) == old) value.wait(old, std::memory_order_acquire);
    return true;
}

long process() {
#ifdef _WIN32
    return 0;
#else
    return getpid();
#endif
}

}  // namespace

struct Team::State {
    alignas(64) std::atomic<std::uint32_t> round{0};
    alignas(64) std::atomic<std::uint32_t> arrived{0};
    alignas(64) std::atomic<std::uint32_t> phase{0};
    std::atomic<unsigned> sleeps{0};  // of members that waited for another, in this run
    Function function = nullptr;      // none: the threads end
    void* work = nullptr;
    std::vector<std::thread> threads;
    long owner = process();
};

Team::Team(unsigned threads) : wanted_(std::max(1u, threads)) {}

Team::~Team() {
    if (!state_ || state_->owner != process()) return;  // after a fork its threads are the parent's: left as it is
    state_->function = nullptr;
    state_->round.fetch_add(1, std::memory_order_release);
    state_->round.notify_all();
    for (std::thread& thread : state_->threads) thread.join();
    delete state_;
}

void Team::make_threads() {
    state_ = new State;
    members_ = std::make_unique<Member[]>(wanted_);
    size_ = 1;
    state_->threads.reserve(wanted_);
    State& state = *state_;
    try {
        for (unsigned member = 1; member < wanted_; ++member) {
            state.threads.emplace_back([this, &state, member] {
                for (std::uint32_t round = 0;; ++round) {
                    wait_while(state.round, round, kSpinsBetween);
                    if (!state.function) return;
                    state.function(state.work, member);
                    meet();
                }
            });
            ++size_;
        }
    } catch (const std::exception&) {  // no memory for it, or too many in this process
    }
}

void Team::start(Function function, void* work, bool brief) {
    if (wanted_ == 1) return function(work, 0);
    if (brief && alone_) {
        --alone_;
        const unsigned size = std::exchange(size_, 1u);
        function(work, 0);
        size_ = size;
        return;
    }
    if (!state_ || state_->owner != process()) make_threads();
    if (size_ == 1) return function(work, 0);
    state_->function = function, state_->work = work;
    state_->sleeps.store(0, std::memory_order_relaxed);
    state_->round.fetch_add(1, std::memory_order_release);
    state_->round.notify_all();
    function(work, 0);
    meet();
    if (!brief) return;
    if (state_->sleeps.load(std::memory_order_relaxed) < kFewSleeps) {
        next_alone_ = 0;
    } else {
        alone_ = next_alone_ = std::min(std::max(kFirstAlone, 2 * next_alone_), kMostAlone);
    }
}

void Team::meet() {
    const unsigned size = size_;  // read before arriving: whoever is last may go on to a run of another size
    if (size == 1) return;
    State& state = *state_;
    const std::uint32_t phase = state.phase.load(std::memory_order_relaxed);
    if (state.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
        state.arrived.store(0, std::memory_order_relaxed);
        state.phase.store(phase + 1, std::memory_order_release);
        state.phase.notify_all();
    } else if (wait_while(state.phase, phase, kSpinsInRun)) {
        state.sleeps.fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace glassmill
