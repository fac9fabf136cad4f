// Suffix arrays of token ids: every place of a text, in the order of what follows there. Sorted once, then searched
// from disk: where a sequence of ids occurs, and how much of it occurs anywhere.
//
// A part is a text of at most `kMostIds` ids, so that a position takes 3 bytes; a longer text is several parts.
// A suffix ends with its part, and comes before those that go on after the same ids.
#pragma once

#include <cstddef>
#include <cstdint>

namespace glassmill::trace {

constexpr std::size_t kMostIds = std::size_t{1} << 24;
constexpr std::size_t kPositionBytes = 3;

// Sorts the suffixes of `size` ids, each below `alphabet`, by induction (SA-IS: Nong, Zhang and Chan 2009), in linear
// time whatever the text. `order` has room for `size` numbers; their first 3 * size bytes are then the positions, 3
// bytes each, little-endian.
template <class Id>
void sort_suffixes(const Id* ids, std::size_t size, std::size_t alphabet, std::int32_t* order);

// Some suffixes that are next to each other in the order.
struct Range {
    std::size_t first, last;  // one after the last
};

// A sorted part.
template <class Id>
class Part {
public:
    Part(const Id* ids, const unsigned char* positions, std::size_t size)
        : ids_(ids), positions_(positions), size_(size) {}

    // How many of the `length` ids at `query` occur somewhere, one after the other, from the first on.
    // Throws std::runtime_error if a position is not in the text: the file is damaged.
    std::size_t longest(const std::uint32_t* query, std::size_t length) const;

    // The suffixes that start with all of them.
    Range find(const std::uint32_t* query, std::size_t length) const;

private:
    std::size_t position(std::size_t rank) const;
    template <bool kUpper>
    std::size_t bound(const std::uint32_t* query, std::size_t length, std::size_t first) const;

    const Id* ids_;
    const unsigned char* positions_;
    std::size_t size_;
};

}  // namespace glassmill::trace
