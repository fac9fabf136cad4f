#include "base/pool.hpp"

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#ifndef _WIN32
#include <pthread.h>
#endif

namespace glassmill {

// Never destroyed: its threads may still be at work when the process exits.
class Pool {
public:
    void add(Task& task) {
        const std::lock_guard<std::mutex> guard(lock_);
        while (size_ < task.invited_ && start_thread()) {
        }
        tasks_.push_back(&task);
        for (unsigned i = 0; i < task.invited_; ++i) work_came_.notify_one();
    }

    void finish(Task& task, bool take_part) {
        std::unique_lock<std::mutex> lock(lock_);
        if (take_part && task.joined_ < task.threads_) {
            task.invited_ = task.threads_;
            join(task, lock);
        }
        tasks_.erase(std::find(tasks_.begin(), tasks_.end(), &task));
        task.all_left_.wait(lock, [&] { return task.running_ == 0; });
    }

    void keep_failure(Task& task) {
        const std::lock_guard<std::mutex> guard(lock_);
        if (!task.failure_) task.failure_ = std::current_exception();
    }

private:
    bool start_thread() {
        try {
            std::thread([this] { serve(); }).detach();
        } catch (const std::exception&) {  // no memory for it, or too many in this process: the next task tries again
            return false;
        }
        ++size_;
        return true;
    }

    // What every thread does. One that is pinned to a processor, or spins for a while before it sleeps, starts here.
    void serve() {
        std::unique_lock<std::mutex> lock(lock_);
        for (;;) {
            const auto open = std::find_if(tasks_.begin(), tasks_.end(),
                                           [](const Task* task) { return task->joined_ < task->invited_; });
            if (open == tasks_.end()) {
                work_came_.wait(lock);
                continue;
            }
            Task& task = **open;
            ++task.running_;
            join(task, lock);
            if (--task.running_ == 0) task.all_left_.notify_one();
        }
    }

    static void join(Task& task, std::unique_lock<std::mutex>& lock) {
        const unsigned thread = task.joined_++;
        lock.unlock();
        task.run(thread);
        lock.lock();
    }

    std::mutex lock_;
    std::condition_variable work_came_;
    std::vector<Task*> tasks_;
    unsigned size_ = 0;
};

namespace {

Pool* pool = new Pool;

#ifndef _WIN32
// In the child: the old pool's lock may be held by a thread that does not exist there, so nothing touches it again.
[[maybe_unused]] const int watched = pthread_atfork(nullptr, nullptr, [] { pool = new Pool; });
#endif

}  // namespace

unsigned num_threads(unsigned wanted) { return wanted ? wanted : std::max(1u, std::thread::hardware_concurrency()); }

void parallel(std::size_t count, unsigned threads, const Work& work) {
    if (std::min<std::size_t>(count, threads) <= 1) {
        for (std::size_t item = 0; item < count; ++item) work(0, item);
        return;
    }
    threads = static_cast<unsigned>(std::min<std::size_t>(count, threads));
    Task(count, threads, threads - 1, std::cref(work)).finish();
}

Task::Task(std::size_t count, unsigned threads, Work work) : Task(count, threads, threads, std::move(work)) {}

Task::Task(std::size_t count, unsigned threads, unsigned invited, Work work)
    : work_(std::move(work)), count_(count), pool_(pool), threads_(threads), invited_(invited) {
    pool_->add(*this);
}

Task::~Task() {
    next_ = count_;
    if (pool_ && !lost()) pool_->finish(*this, false);
}

void Task::finish() {
    if (lost()) throw std::runtime_error("this process was forked while work was in progress; that work is lost here");
    pool_->finish(*this, true);
    pool_ = nullptr;
    if (failure_) std::rethrow_exception(failure_);
}

bool Task::lost() const { return pool_ && pool_ != pool; }

void Task::run(unsigned thread) {
    try {
        for (std::size_t item; (item = next_.fetch_add(1)) < count_;) work_(thread, item);
    } catch (...) {
        next_ = count_;  // the others stop
        pool_->keep_failure(*this);
    }
}

}  // namespace glassmill
