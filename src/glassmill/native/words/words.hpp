// The words of one text, counted once for all filters: the native twin of corpus/judge/words.py.
#pragma once

#include <string_view>
#include <vector>

#include "words/english.hpp"

namespace glassmill::english {

class Words {
public:
    Words(English& english, std::string_view text);

    std::size_t size() const { return hashes_.size(); }

    // Characters of the most frequent n-gram (the first of several), blanks included, times its number of occurrences.
    std::uint64_t top_ngram_characters(std::size_t n);
    // Characters in n-grams that occurred before. The search continues after each repeat.
    std::uint64_t duplicate_ngram_characters(std::size_t n);

    std::uint64_t num_words = 0;        // tokens that are more than punctuation
    std::uint64_t word_characters = 0;  // of these
    std::uint64_t num_alphabetic = 0;   // tokens with a letter
    std::uint64_t stop_words = 0;       // a bit for each stop word that occurs

private:
    const std::vector<std::uint64_t>& ngrams(std::size_t n);
    std::uint64_t characters(std::size_t first, std::size_t last) const { return ends_[last] - ends_[first]; }

    std::vector<std::uint64_t> hashes_;
    std::vector<std::uint64_t> ends_;  // characters before each token
    std::vector<std::uint64_t> ngrams_;
    std::size_t n_ = 0;
    std::size_t no_repeats_from_ = ~std::size_t{0};  // no n-gram of this length occurs twice
};

// The number of sentences in one line; counting stops at `enough`.
std::size_t count_sentences(English& english, std::string_view line, std::size_t enough);

}  // namespace glassmill::english
