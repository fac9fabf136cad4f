// Cutting text into pieces, exactly as the published patterns do, without a regex engine.
//
// In: UTF-8. Out: the ends of the pieces, which join to the text. `cut_one` follows each pattern literally,
// a character at a time. `Splitter` gives the same pieces, and computes those of cl100k's family for 64 bytes
// at once, one bit per byte (see split.cpp).
#pragma once

#include "base/unicode.hpp"

namespace glassmill {

enum class Scheme {
    cl100k,       // tiktoken's cl100k_base
    llama3,       // the same, but newline and space at the end of a text are two pieces
    gpt2,         // GPT-2, r50k, p50k
    gpt2_digits,  // the same, with every digit a piece of its own: SmolLM
    o200k,        // tiktoken's o200k_base
    whitespace,   // words with the space before them
    none,         // the whole text is one piece
};

struct Rules {
    Scheme scheme = Scheme::llama3;
    unsigned digits = 3;  // longest number, for cl100k's family
};

// Which branch of the pattern cut a piece, in the order of cl100k's pattern.
enum class Branch : Byte { contraction, letters, number, punctuation, end_space, newlines, spaces, space };

// End of the piece that starts at `start` < `size`.
std::size_t cut_one(const Rules& rules, const Byte* text, std::size_t start, std::size_t size,
                    Branch* branch = nullptr);

class Splitter {
public:
    Splitter(const Rules& rules, const Byte* text, std::size_t size) : rules_(rules), text_(text), size_(size) {}

    static constexpr std::size_t kSlack = 80;  // pieces of one window, rounded up

    // Writes the ends of the next pieces, at most `room` >= kSlack; returns their number, 0 at the end of the text.
    std::size_t next(std::size_t* ends, std::size_t room);

private:
    std::size_t window(std::size_t* ends);

    Rules rules_;
    const Byte* text_;
    std::size_t size_;
    std::size_t at_ = 0;
};

}  // namespace glassmill
