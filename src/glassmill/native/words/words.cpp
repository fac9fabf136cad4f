#include "words/words.hpp"

#include <bit>

namespace glassmill::english {
namespace {

constexpr std::uint64_t kPrime = 0x9E3779B97F4A7C15ull, kMix = 0xBF58476D1CE4E5B9ull;

// A hash table from hashes to numbers, of fixed capacity.
class Counts {
public:
    explicit Counts(std::size_t most) : slots_(std::bit_ceil(most * 2 + 2)) {}

    std::uint32_t& operator[](std::uint64_t hash) {
        const std::uint64_t key = hash | 1;
        std::size_t at = ((hash ^ (hash >> 32)) * kMix >> 20) & (slots_.size() - 1);
        while (slots_[at].key && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
        slots_[at].key = key;
        return slots_[at].number;
    }

private:
    struct Slot {
        std::uint64_t key = 0;
        std::uint32_t number = 0;
    };
    std::vector<Slot> slots_;
};

}  // namespace

Words::Words(English& english, std::string_view text) {
    hashes_.reserve(text.size() / 5);
    ends_.reserve(text.size() / 5);
    ends_.push_back(0);
    english.each(text, [this](const Token& token) {
        hashes_.push_back(token.hash);
        ends_.push_back(ends_.back() + token.characters);
        if (token.traits & kWord) ++num_words, word_characters += token.characters;
        num_alphabetic += (token.traits & kAlphabetic) != 0;
        if (token.stop) stop_words |= std::uint64_t{1} << (token.stop - 1);
        return true;
    });
}

const std::vector<std::uint64_t>& Words::ngrams(std::size_t n) {
    if (n < n_ || n_ == 0) ngrams_ = hashes_, n_ = 1;
    for (; n_ < n; ++n_) {
        if (ngrams_.size() > 0) ngrams_.pop_back();
        for (std::size_t i = 0; i < ngrams_.size(); ++i) ngrams_[i] = ngrams_[i] * kPrime + hashes_[i + n_];
    }
    return ngrams_;
}

std::uint64_t Words::top_ngram_characters(std::size_t n) {
    if (n == 0 || hashes_.size() < n) return 0;
    if (n >= no_repeats_from_) return characters(0, n) + n - 1;
    const std::vector<std::uint64_t>& grams = ngrams(n);
    Counts counts(grams.size());
    std::uint32_t most = 0;
    for (const std::uint64_t gram : grams) most = std::max(most, ++counts[gram]);
    std::size_t first = 0;
    while (counts[grams[first]] != most) ++first;
    if (most == 1) no_repeats_from_ = n;
    return (characters(first, first + n) + n - 1) * most;
}

std::uint64_t Words::duplicate_ngram_characters(std::size_t n) {
    if (n == 0 || hashes_.size() < n || n >= no_repeats_from_) return 0;
    const std::vector<std::uint64_t>& grams = ngrams(n);
    Counts seen(grams.size());
    std::uint64_t found = 0;
    for (std::size_t place = 0; place < grams.size();) {
        std::uint32_t& number = seen[grams[place]];
        if (number++) {
            found += characters(place, place + n);
            place += n;
        } else {
            ++place;
        }
    }
    if (found == 0) no_repeats_from_ = n;
    return found;
}

std::size_t count_sentences(English& english, std::string_view line, std::size_t enough) {
    std::size_t sentences = 0;
    bool ended = true;  // the first token begins a sentence
    bool first = true;
    english.each(line, [&](const Token& token) {
        const bool ends = (token.traits & kEndsSentence) != 0;
        if (first || (ended && !ends && !(token.traits & kOnlyClosing))) {
            ++sentences;
            ended = false;
        }
        ended = ended || ends;
        first = false;
        return sentences < enough;
    });
    return sentences;
}

}  // namespace glassmill::english
