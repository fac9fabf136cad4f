// A few threads that work through the stages of one computation together, with a barrier of well under a microsecond
// between two stages. For work whose stages are too short for `parallel` (base/pool.hpp).
//
// Who waits spins for some microseconds and then sleeps, so that a processor with other work is given up soon. A member
// that is late loses its items to the others. A thread that cannot be started costs speed and nothing else; a child
// process after fork() gets threads of its own.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace glassmill {

class Team {
public:
    explicit Team(unsigned threads);  // at most; the caller of `run` is one of them
    ~Team();
    Team(const Team&) = delete;

    // Calls work(member) once for every member at the same time, the caller being member 0; `work` must not throw, and
    // every member must go through the same calls of `share` and `meet`. One caller at a time.
    //
    // `brief`: a few microseconds a stage. If members then kept each other waiting, because the processors have other
    // work, the caller does the next such runs alone: a processor that is shared costs more than it gives.
    template <class Work>
    void run(Work& work, bool brief = false) {
        start([](void* given, unsigned member) { (*static_cast<Work*>(given))(member); }, &work, brief);
    }
    // Members of the run that is in progress, or of the next one.
    unsigned size() const { return size_; }
    // Where a member's own part of `count` items begins; it ends where the next member's does.
    std::size_t begin(unsigned member, std::size_t count) const { return begin(member, count, size_); }

    // A stage of `run`: does(item) for every item below `count`, shared among the members; then all meet. Each has its
    // own part, the same one every time, and takes from the others' when it is through.
    template <class Does>
    void share(unsigned member, std::size_t count, Does&& does) {
        const unsigned size = size_;
        if (size == 1) {
            for (std::size_t item = 0; item < count; ++item) does(item);
            return;
        }
        Member& me = members_[member];
        const unsigned stage = me.stage++ & 1;
        for (unsigned other = 0; other < size; ++other) {
            const unsigned owner = (member + other) % size;
            const std::size_t first = begin(owner, count, size), end = begin(owner + 1, count, size) - first;
            std::atomic<std::size_t>& next = members_[owner].next[stage];
            if (other && next.load(std::memory_order_relaxed) >= end) continue;
            for (std::size_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < end;) {
                does(first + item);
            }
        }
        me.next[!stage].store(0, std::memory_order_relaxed);  // used one stage ago, and again in the next
        meet();
    }

    // Waits until every member is here.
    void meet();

private:
    using Function = void (*)(void* work, unsigned member);
    struct alignas(64) Member {
        std::atomic<std::size_t> next[2] = {0, 0};
        unsigned stage = 0;
    };
    struct State;

    static std::size_t begin(unsigned member, std::size_t count, unsigned size) { return count * member / size; }
    void start(Function function, void* work, bool brief);
    void make_threads();

    unsigned wanted_, size_ = 1;
    unsigned alone_ = 0, next_alone_ = 0;  // brief runs that the caller still does alone; those after the next failure
    std::unique_ptr<Member[]> members_;
    State* state_ = nullptr;
};

}  // namespace glassmill
