// English words as FineWeb counts them: the rules of corpus/judge/english.py, with a cache of every chunk's tokens.
//
// In: UTF-8 text. Out: for each token a hash, its length and its kind. The tables come from Python, where the rules
// are easier to read; tests check that both agree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.hpp"

namespace glassmill::english {

enum Trait : std::uint16_t {  // of a character
    kFront = 1,
    kBack = 2,
    kIcon = 4,
    kQuote = 8,
    kMoney = 16,
    kBeforeDot = 32,
    kPunctuation = 64,
    kTerminal = 128,
    kClosing = 256,
};

enum TokenTrait : std::uint8_t {
    kWord = 1,        // contains something other than punctuation
    kAlphabetic = 2,  // contains a letter
    kEndsSentence = 4,
    kOnlyClosing = 8,  // marks that may follow the end of a sentence
    kSeveral = 16,     // several tokens: `hash` is their number plus 2^32 times the place of the first
};

struct Token {
    std::uint64_t hash;
    std::uint32_t characters;
    std::uint8_t traits;
    std::uint8_t stop;  // 1 + its place among the stop words, 0 for other words
};

using Pieces = std::vector<std::string>;

struct Tables {
    std::unordered_map<std::string, Pieces> exceptions;  // text -> its tokens
    std::unordered_map<std::string, Pieces> merges;      // pieces joined by U+001F -> the tokens that they become
    std::size_t longest_exception = 0, longest_key = 0;  // bytes of their texts
    std::size_t longest_merge = 0;                       // pieces
    std::vector<std::string> units, dollars, clitics, hyphens;
    std::unordered_map<std::string, std::uint8_t> stop_words;
    std::vector<std::uint16_t> traits;  // by code point, below 0x20000
};

class English {
public:
    explicit English(Tables tables) : tables_(std::move(tables)) {}

    // Calls `take(const Token&)` for every token of `text`, in order, until it returns false.
    template <class Take>
    void each(std::string_view text, Take take) {
        forget_if_full();
        std::size_t place = 0;
        while (place < text.size()) {
            place = after_blanks(text, place);
            const std::size_t end = chunk_end(text, place);
            if (end == place) break;
            const bool roomy = text.size() - place >= 16;
            const Token& found = token_of_chunk(text.substr(place, end - place), roomy);
            const bool several = (found.traits & kSeveral) != 0;
            const Token* token = several ? &sequence_[found.hash >> 32] : &found;
            for (const Token* last = token + (several ? found.hash & 0xFFFFFFFF : 1); token < last; ++token) {
                if (!take(*token)) return;
            }
            place = end;
        }
    }

    // The tokens of a chunk without blanks, as text.
    Pieces split(std::string_view chunk) const;

private:
    struct Slot {
        Key key{0, 0};
        Token token{};
    };  // key.low and key.high are 0 in a free slot

    void forget();
    void forget_if_full();
    static std::size_t after_blanks(std::string_view text, std::size_t place);
    static std::size_t chunk_end(std::string_view text, std::size_t place);
    // The chunk's only token, or one that refers to several; valid until the next call. `roomy`: 16 bytes are readable.
    const Token& token_of_chunk(std::string_view chunk, bool roomy);
    Token remembered(std::string_view chunk);
    Token token_of(const std::string& text) const;
    bool is(const Slot& slot, const Key& key, std::string_view chunk) const;

    Tables tables_;
    std::vector<Slot> slots_;  // open addressing, size a power of two
    std::size_t used_ = 0;
    std::string chunks_;           // the texts of the long chunks, each followed by a blank
    std::vector<Token> sequence_;  // of the chunks that have several
};

}  // namespace glassmill::english
