#include <algorithm>
#include <stdexcept>
#include <vector>

#include "trace/suffixes.hpp"

namespace glassmill::trace {
namespace {

constexpr std::int32_t kEmpty = -1;
constexpr std::int32_t kAhead = 24;  // entries of the order whose text is fetched before it is needed

inline void fetch([[maybe_unused]] const void* address) {
#if defined(__GNUC__)
    __builtin_prefetch(address);
#endif
}

// Sorts the suffixes of one text; for the names of its substrings, a text of their own, it sorts another.
//
// A suffix is small if the one after it is larger, else large. The places where a small one follows a large one
// ("starts") cut the text into substrings. The order of the suffixes at the starts induces that of all others: read
// from the left, every sorted suffix puts a large one before it into place; from the right, a small one.
template <class Id>
class Sorter {
public:
    Sorter(const Id* text, std::int32_t size, std::int32_t alphabet, std::int32_t* order)
        : text_(text), size_(size), order_(order), starts_((static_cast<std::size_t>(size) + 63) / 64) {
        ends_.resize(static_cast<std::size_t>(alphabet));
        for (std::int32_t i = 0; i < size; ++i) ++ends_[text[i]];
        std::int32_t sum = 0;
        for (std::int32_t& end : ends_) end = sum += end;
        places_.resize(ends_.size());
    }

    void sort() {
        mark_starts();
        std::fill_n(order_, size_, kEmpty);
        places_ = ends_;
        for (std::int32_t i = 0; i < size_; ++i) {
            if (is_start(i)) order_[--places_[text_[i]]] = i;
        }
        induce();
        if (num_starts_ > 0) sort_starts();
    }

private:
    void mark_starts() {
        bool small = false;  // nothing follows the last one, and nothing is smaller
        for (std::int32_t i = size_ - 2; i >= 0; --i) {
            const bool before = text_[i] < text_[i + 1] || (text_[i] == text_[i + 1] && small);
            if (small && !before) {
                starts_[static_cast<std::size_t>(i + 1) / 64] |= std::uint64_t{1} << ((i + 1) % 64);
                ++num_starts_;
            }
            small = before;
        }
    }

    bool is_start(std::int32_t i) const { return starts_[static_cast<std::size_t>(i) / 64] >> (i % 64) & 1; }

    void induce() {
        for (std::size_t id = 0; id < ends_.size(); ++id) places_[id] = id ? ends_[id - 1] : 0;
        order_[places_[text_[size_ - 1]]++] = size_ - 1;
        for (std::int32_t rank = 0; rank < size_; ++rank) {
            if (rank + kAhead < size_) fetch(text_ + std::max(order_[rank + kAhead], 1) - 1);
            const std::int32_t before = order_[rank] - 1;
            if (before >= 0 && text_[before] >= text_[before + 1]) order_[places_[text_[before]]++] = before;
        }
        places_ = ends_;
        for (std::int32_t rank = size_ - 1; rank >= 0; --rank) {
            if (rank >= kAhead) fetch(text_ + std::max(order_[rank - kAhead], 1) - 1);
            const std::int32_t before = order_[rank] - 1;
            if (before < 0) continue;
            const Id id = text_[before], next = text_[before + 1];
            if (id < next || (id == next && rank >= places_[id])) order_[--places_[id]] = before;
        }
    }

    // Their substrings are in order: names them, sorts the text of names if two have one name, and induces the rest.
    void sort_starts() {
        const std::int32_t count = num_starts_;
        std::int32_t found = 0;
        for (std::int32_t rank = 0; rank < size_; ++rank) {
            if (is_start(order_[rank])) order_[found++] = order_[rank];
        }
        std::int32_t* const names = order_ + (size_ - count);  // in the order of the text
        const std::int32_t num_names = name_substrings(names);
        if (num_names < count) {
            Sorter<std::int32_t>(names, count, num_names, order_).sort();
        } else {
            for (std::int32_t i = 0; i < count; ++i) order_[names[i]] = i;
        }
        std::int32_t* start = names;
        for (std::int32_t i = 0; i < size_; ++i) {
            if (is_start(i)) *start++ = i;
        }
        for (std::int32_t i = 0; i < count; ++i) order_[i] = names[order_[i]];
        std::fill(order_ + count, order_ + size_, kEmpty);
        places_ = ends_;
        for (std::int32_t i = count - 1; i >= 0; --i) {
            const std::int32_t position = order_[i];
            order_[i] = kEmpty;
            order_[--places_[text_[position]]] = position;
        }
        induce();
    }

    // Equal substrings get equal names, later ones larger names. Starts are never neighbours, so half a position is a
    // place of its own in the free part of the order.
    std::int32_t name_substrings(std::int32_t* names) {
        const std::int32_t count = num_starts_;
        std::fill(order_ + count, order_ + size_, kEmpty);
        std::int32_t name = 0, last = order_[0];
        order_[count + last / 2] = 0;
        for (std::int32_t rank = 1; rank < count; ++rank) {
            const std::int32_t position = order_[rank];
            if (!equal_substrings(last, position)) ++name;
            order_[count + position / 2] = name;
            last = position;
        }
        std::int32_t* to = names + count;
        for (std::int32_t i = size_ - 1; i >= count; --i) {
            if (order_[i] != kEmpty) *--to = order_[i];
        }
        return name + 1;
    }

    bool equal_substrings(std::int32_t a, std::int32_t b) const {
        for (std::int32_t length = 0;; ++length, ++a, ++b) {
            if (std::max(a, b) >= size_ || text_[a] != text_[b]) return false;
            if (length > 0 && (is_start(a) || is_start(b))) return is_start(a) && is_start(b);
        }
    }

    const Id* text_;
    std::int32_t size_;
    std::int32_t* order_;
    std::vector<std::uint64_t> starts_;  // a bit for every position
    std::int32_t num_starts_ = 0;
    std::vector<std::int32_t> ends_;    // of every id's suffixes in the order
    std::vector<std::int32_t> places_;  // where the next of them goes
};

}  // namespace

template <class Id>
void sort_suffixes(const Id* ids, std::size_t size, std::size_t alphabet, std::int32_t* order) {
    if (size > kMostIds) throw std::invalid_argument("a part has too many ids");
    if (size == 0) return;
    if (*std::max_element(ids, ids + size) >= alphabet) throw std::invalid_argument("an id is not in the vocabulary");
    Sorter<Id>(ids, static_cast<std::int32_t>(size), static_cast<std::int32_t>(alphabet), order).sort();
    auto* const packed = reinterpret_cast<unsigned char*>(order);
    for (std::size_t rank = 0; rank < size; ++rank) {
        const auto position = static_cast<std::uint32_t>(order[rank]);
        for (std::size_t byte = 0; byte < kPositionBytes; ++byte) {
            packed[kPositionBytes * rank + byte] = static_cast<unsigned char>(position >> (8 * byte));
        }
    }
}

template void sort_suffixes(const std::uint16_t*, std::size_t, std::size_t, std::int32_t*);
template void sort_suffixes(const std::uint32_t*, std::size_t, std::size_t, std::int32_t*);

}  // namespace glassmill::trace
