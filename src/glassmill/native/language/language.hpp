// The label that a fastText model gives a line of text: the rows of its words and n-grams, summed, down a binary tree.
//
// In: a line of UTF-8. Out: labels with probabilities, the best first. Source: Joulin et al. 2016 (arXiv
// 1607.01759, 2.1 hierarchical softmax; 1612.03651, the compressed file), Bojanowski et al. 2017 (1607.04606, 3.2
// n-grams). Sums use fastText's order and precision, so the numbers are the same. corpus/judge/language_model.py reads
// the file.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/unicode.hpp"

namespace glassmill::language {

constexpr std::size_t kWidth = 16;  // numbers in a row; other models are refused
using Row = float[kWidth];

struct Tables {
    std::vector<float> rows;  // of the words, then of the buckets that were kept
    std::unordered_map<std::string, std::uint32_t> words;
    std::vector<std::uint32_t> buckets, bucket_rows;  // a kept bucket, and its row
    std::uint32_t num_buckets;                        // before most were dropped
    std::size_t shortest, longest;                    // n-grams, in characters
    std::vector<float> questions;                     // a row for every inner node of the tree
    std::vector<std::uint32_t> children;              // two for every inner node: a label, or num_labels + inner node
};

struct Guess {
    std::uint32_t label;
    float log_probability;
};

// For one thread at a time: it caches the rows of words.
class Model {
public:
    explicit Model(Tables tables);

    // The `count` likeliest labels, best first.
    std::vector<Guess> guess(std::string_view line, std::size_t count);

private:
    struct Slot {
        std::uint64_t hash;
        std::uint32_t word, length, first, count;
    };
    struct Bucket {
        std::uint32_t key, row;
    };

    void hidden_of(std::string_view line, Row& hidden);
    const Slot& rows_of(std::string_view word);
    void append_rows(std::string_view word, std::vector<std::uint32_t>& rows) const;
    void append_bucket(std::uint32_t hash, std::vector<std::uint32_t>& rows) const;
    void search(std::uint32_t node, float score, const Row& hidden, std::size_t count, std::vector<Guess>& best) const;
    void forget();

    Tables tables_;
    std::uint32_t num_labels_;
    std::vector<Bucket> kept_;  // hash table of the buckets that were kept
    std::vector<Slot> slots_;   // hash table of words
    std::size_t used_ = 0;
    std::string words_;                     // cached words, end to end
    std::vector<std::uint32_t> sequence_;   // their rows
    std::vector<std::uint32_t> long_rows_;  // of the last word that was too long for the cache
    Slot long_word_{};
};

}  // namespace glassmill::language
