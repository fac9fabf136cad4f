// MinHash keys of a text: the native twin of corpus/dedup.py, in one pass from characters to keys.
//
// In: a text as Python holds it. Out: its words as they count for likeness, joined by blanks; then the key of them all,
// and one key a band. What stands for a character is asked of Python, 256 characters at a time, once each: so case,
// accents and digits are those of its Unicode tables.
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

// By character of a page: what stands for it (letters as they are, '0' for a digit, ' ' between words), or nothing
// where its neighbours decide.
using Page = std::vector<std::optional<std::string>>;

// Text to words. One thread at a time.
class Folding {
public:
    // `read_page(number)` tells the page of the characters from 256 * number on.
    explicit Folding(std::function<Page(std::uint32_t)> read_page);

    // The words of `text` with a blank between them; `scratch` holds them, with 16 readable bytes behind. Nothing if
    // some character depends on its neighbours.
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
    std::string parts_;  // what stands for characters, end to end
    Byte ascii_[128];
};

struct Family {
    std::vector<std::uint64_t> multipliers, summands;  // of every hash function, band by band
    std::size_t bands, rows, ngram;
};

// Words to keys. One thread at a time.
class Hasher {
public:
    explicit Hasher(Family family);

    // The key of all words, then one a band. 16 bytes behind `words` must be readable.
    std::vector<std::uint64_t> keys(std::string_view words, bool near);

private:
    struct Slot {
        Key key;
        std::uint64_t hash;
    };

    std::uint64_t word_hash(const Byte* word, std::size_t length);
    void read_shingles(std::string_view words);

    Family family_;
    std::vector<Slot> slots_;  // hashes of short words; a newer one takes the place of an older
    std::vector<std::uint64_t> hashes_;
    std::vector<std::uint32_t> low_, high_;  // halves of the shingles' hashes
};

}  // namespace glassmill::dedup
