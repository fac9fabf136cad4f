// Training byte-level BPE. In: documents. Out: merges, in order.
//
// First every piece of the text is counted, on any number of threads, and the text is dropped; then the pairs of
// neighbours inside the distinct pieces are merged, most frequent first. Counts are 64 bits wide. The result depends
// on the text alone, not on the number of threads or on the order of the documents.
#pragma once

#include <functional>
#include <vector>

#include "base/hash.hpp"
#include "base/text.hpp"
#include "bpe/split.hpp"

namespace glassmill {

// Distinct pieces and how often each was seen.
class Counter {
public:
    explicit Counter(Rules rules);

    void count(Utf8 text);
    void add(const Byte* piece, std::size_t length, std::uint64_t times);
    void add_all(const Counter& other);
    Counter emptied() const { return Counter(rules_); }

    std::uint64_t bytes = 0;   // of text seen
    std::uint64_t pieces = 0;  // seen, repeated ones included
    std::size_t distinct() const { return num_short_ + num_long_; }

    template <class Visit>
    void visit(Visit&& visit_piece) const {  // visit_piece(bytes, length, times)
        for (const Short& entry : short_) {
            if (!entry.times) continue;
            visit_piece(reinterpret_cast<const Byte*>(&entry.key), static_cast<std::size_t>(entry.key.high >> 56),
                        entry.times);
        }
        for (const Long& entry : long_) {
            if (entry.times)
                visit_piece(arena_.data() + entry.begin, static_cast<std::size_t>(entry.length), entry.times);
        }
    }

private:
    struct Short {
        Key key;
        std::uint64_t times;
    };
    struct Long {
        std::uint64_t hash, begin, length, times;
    };

    void add_short(const Key& key, std::uint64_t hash, std::uint64_t times);
    void add_long(const Byte* piece, std::size_t length, std::uint64_t times);
    void grow_short();
    void grow_long();

    Rules rules_;
    std::vector<Short> short_;
    std::vector<Long> long_;
    std::vector<Byte> arena_;  // the long pieces
    std::size_t num_short_ = 0, num_long_ = 0;
};

struct Merge {
    std::uint32_t left, right;  // bytes are 0..255, the k-th merge makes 256 + k
    std::uint64_t count;        // how often the pair occurred in the text
};

enum class TieBreak {
    bytes,  // of equally frequent pairs the lower ids first, a byte's id being its value: rustbpe, bpeasy
    hf,     // the same, a byte's id being its place in GPT-2's byte alphabet: Hugging Face's tokenizers
};

// Called from time to time with the number of merges so far; false stops the training.
using Progress = std::function<bool(std::size_t)>;

std::vector<Merge> merge_pairs(const Counter& counter, std::size_t num_merges, TieBreak tie_break,
                               const Progress& progress);

}  // namespace glassmill
