#include <algorithm>
#include <stdexcept>

#include "trace/suffixes.hpp"

namespace glassmill::trace {

template <class Id>
std::size_t Part<Id>::position(std::size_t rank) const {
    const unsigned char* bytes = positions_ + kPositionBytes * rank;
    const std::size_t found = bytes[0] | std::size_t{bytes[1]} << 8 | std::size_t{bytes[2]} << 16;
    if (found >= size_) throw std::runtime_error("a suffix starts after the end of its part");
    return found;
}

// Both searches skip the ids that the suffixes on both sides share with the query (Manber and Myers 1993, section 3).
template <class Id>
std::size_t Part<Id>::longest(const std::uint32_t* query, std::size_t length) const {
    std::size_t first = 0, last = size_, shared_below = 0, shared_above = 0;
    while (first < last) {
        const std::size_t middle = first + (last - first) / 2, from = position(middle);
        const std::size_t most = std::min(length, size_ - from);
        std::size_t shared = std::min(shared_below, shared_above);
        while (shared < most && ids_[from + shared] == query[shared]) ++shared;
        if (shared == length) return length;
        if (shared == most || ids_[from + shared] < query[shared]) {
            first = middle + 1, shared_below = shared;
        } else {
            last = middle, shared_above = shared;
        }
    }
    return std::max(shared_below, shared_above);
}

template <class Id>
template <bool kUpper>
std::size_t Part<Id>::bound(const std::uint32_t* query, std::size_t length, std::size_t first) const {
    std::size_t last = size_, shared_below = 0, shared_above = 0;
    while (first < last) {
        const std::size_t middle = first + (last - first) / 2, from = position(middle);
        const std::size_t most = std::min(length, size_ - from);
        std::size_t shared = std::min(shared_below, shared_above);
        while (shared < most && ids_[from + shared] == query[shared]) ++shared;
        const bool before = shared == length ? kUpper : shared == most || ids_[from + shared] < query[shared];
        if (before) {
            first = middle + 1, shared_below = shared;
        } else {
            last = middle, shared_above = shared;
        }
    }
    return first;
}

template <class Id>
Range Part<Id>::find(const std::uint32_t* query, std::size_t length) const {
    const std::size_t first = bound<false>(query, length, 0);
    return {first, bound<true>(query, length, first)};
}

template class Part<std::uint16_t>;
template class Part<std::uint32_t>;

}  // namespace glassmill::trace
