// MinHash keys of a text, in one pass from characters to keys: the native twin of corpus/dedup/keys.py.
//
// In: a text as Python stores it. Out: its normalised words, joined by blanks; then a key of the whole text and a key
// per band. How a character is normalised comes from Python, once for each page of 256 characters, so that case,
// accents and digits follow Python's Unicode tables.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/text.hpp"

namespace glassmill::dedup {

// The replacement of every character of a page (letters themselves, '0' for a digit, ' ' between words), or nothing
// where it depends on the character's neighbours.
using Page = std::vector<std::optional<std::string>>;

// Text to words. For one thread at a time.
class Folding {
public:
    // `read_page(number)` returns the page of the characters from 256 * number on.
    explicit Folding(std::function<Page(std::uint32_t)> read_page);

    // The words of `text`, separated by blanks, in `scratch`, with 16 readable bytes after them. Nothing if some
    // character depends on its neighbours.
    std::optional<std::string_view> words(const Text& text, Buffer<Byte>& scratch);

private:
    struct Entry {
        std::uint32_t begin;
        std::uint32_t length;
    };
    struct Known {
        Entry entries[256];
    };

    template <class Unit>
    std::optional<std::string_view> fold(const Unit* text, std::size_t length, Buffer<Byte>& scratch);
    const Entry& entry(std::uint32_t point);

    std::function<Page(std::uint32_t)> read_page_;
    std::vector<std::unique_ptr<Known>> pages_;
    std::string parts_;  // the replacements, end to end
    Byte ascii_[128];
};

struct Family {
    std::vector<std::uint64_t> multipliers, summands;  // of every hash function, band by band
    std::size_t bands, rows, ngram;
};

// Words to keys. For one thread at a time.
class Hasher {
public:
    explicit Hasher(Family family);

    // The key of the whole text, then one per band. 16 bytes after `words` must be readable.
    std::vector<std::uint64_t> keys(std::string_view words, bool near);

private:
    struct Slot {
        Key key;
        std::uint64_t hash;
    };

    std::uint64_t word_hash(const Byte* word, std::size_t length);
    void read_shingles(std::string_view words);

    Family family_;
    std::vector<Slot> slots_;  // hashes of short words; newer ones replace older ones
    std::vector<std::uint64_t> hashes_;
    std::vector<std::uint32_t> low_, high_;  // halves of the shingles' hashes
};

}  // namespace glassmill::dedup
