// The threads of the core: one pool, started when work first needs it, kept as long as the process lives.
//
// Whoever waits for work takes part in it. So a thread that cannot be started (ulimit -u, ulimit -v) costs speed and
// nothing else, and work may hand out work of its own. A child process after fork() has none of its parent's threads;
// it gets a pool of its own.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>

namespace glassmill {

class Pool;

// `wanted`, or one thread for every processor if that is 0.
unsigned num_threads(unsigned wanted);

using Work = std::function<void(unsigned thread, std::size_t item)>;

// Calls work(thread, item) for every item below `count` on up to `threads` threads, the caller among them. Every thread
// has its own number below `threads`, and takes the next item when it has done one. The first exception stops the other
// threads and is thrown here.
void parallel(std::size_t count, unsigned threads, const Work& work);

// The same in the background, from the constructor on.
class Task {
public:
    Task(std::size_t count, unsigned threads, Work work);
    ~Task();  // drops the items that no thread has taken, waits for the others
    Task(const Task&) = delete;

    // Takes part in what is left, waits for the other threads, and throws what the work threw.
    // Throws std::runtime_error if it is lost.
    void finish();
    // True in a process that was forked after the constructor: the threads are the parent's, the work stays half done.
    bool lost() const;

private:
    friend class Pool;
    friend void parallel(std::size_t count, unsigned threads, const Work& work);
    Task(std::size_t count, unsigned threads, unsigned invited, Work work);

    void run(unsigned thread);

    Work work_;
    std::size_t count_;
    std::atomic<std::size_t> next_{0};
    Pool* pool_;  // its lock guards what follows
    unsigned threads_;
    unsigned invited_;      // the pool's threads join while fewer than these have joined
    unsigned joined_ = 0;   // also the number of the next thread to join
    unsigned running_ = 0;  // threads of the pool that are at work
    std::condition_variable all_left_;
    std::exception_ptr failure_;
};

}  // namespace glassmill
