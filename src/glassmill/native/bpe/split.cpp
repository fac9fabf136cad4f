// cl100k's family, 64 bytes at once.
//
// A window begins where a piece begins. Every byte becomes one bit in each of a few masks (letter, number, space,
// newline, other), and the pattern becomes arithmetic on them: adding the first bit of a run to the run carries to the
// bit after it, so "what follows the run" is one addition. A piece that the window alone does not determine
// (longer than the window, white space at its end, numbers of other scripts) is cut by `cut_one`. The fuzz tests
// compare the two byte for byte.
#include "bpe/split.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define GLASSMILL_SSE2 1
#endif

namespace glassmill {
namespace {

using Mask = std::uint64_t;
constexpr unsigned kWindow = 64;

Mask below(unsigned bit) { return bit >= 64 ? ~Mask{0} : (Mask{1} << bit) - 1; }

struct Masks {
    Mask letter = 0, number = 0, space = 0, newline = 0, blank = 0, apostrophe = 0, other = 0;
    Mask wide = 0;    // bytes of non-ASCII characters
    Mask inside = 0;  // bytes of `other` characters after their first
};

#ifdef GLASSMILL_SSE2
__m128i in_range(__m128i bytes, int first, int count) {  // unsigned comparison through the signed one
    const __m128i moved = _mm_add_epi8(bytes, _mm_set1_epi8(static_cast<char>(0x80 - first)));
    return _mm_cmplt_epi8(moved, _mm_set1_epi8(static_cast<char>(-128 + count)));
}

Mask bits(__m128i bytes) { return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes)); }

void classify(const Byte* text, Masks& m) {
    for (unsigned place = 0; place < kWindow; place += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + place));
        const auto equals = [&](char value) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(value)); };
        const __m128i newline = _mm_or_si128(equals('\n'), equals('\r')), blank = equals(' ');
        m.letter |= bits(in_range(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 26)) << place;
        m.number |= bits(in_range(bytes, '0', 10)) << place;
        m.newline |= bits(newline) << place;
        m.blank |= bits(blank) << place;
        m.space |= bits(_mm_or_si128(blank, in_range(bytes, 9, 5))) << place;
        m.apostrophe |= bits(equals('\'')) << place;
        m.wide |= bits(bytes) << place;
    }
}
#else
void classify(const Byte* text, Masks& m) {
    for (unsigned place = 0; place < kWindow; ++place) {
        const Byte byte = text[place];
        const Mask bit = Mask{1} << place;
        if (byte >= 0x80) {
            m.wide |= bit;
            continue;
        }
        const Class kind = kAscii[byte];
        m.letter |= kind == L ? bit : 0;
        m.number |= kind == N ? bit : 0;
        m.space |= kind == S ? bit : 0;
        m.newline |= byte == '\n' || byte == '\r' ? bit : 0;
        m.blank |= byte == ' ' ? bit : 0;
        m.apostrophe |= byte == '\'' ? bit : 0;
    }
}
#endif

// Sets all bytes of letters and other characters of any script in the masks. Returns how many bytes of the
// window are classified: it ends before spaces and numbers of several bytes.
unsigned classify_wide(const Byte* text, std::size_t left, unsigned known, Masks& m) {
    Mask todo = m.wide & below(known);
    while (todo) {
        const unsigned at = static_cast<unsigned>(std::countr_zero(todo));
        const Kind found = kind_at(text + at, left - at);
        if (found.kind == S || found.kind == N || at + found.length > known) return at;
        const Mask bytes = below(found.length) << at;
        if (found.kind == L) {
            m.letter |= bytes;
        } else {
            m.other |= bytes;
            m.inside |= bytes & ~(Mask{1} << at);
        }
        todo &= ~bytes;
    }
    return known;
}

Mask first_bits(Mask runs) { return runs & ~(runs << 1); }

// A long number is cut after every `digits` of its digits.
Mask number_starts(Mask number, unsigned digits) {
    Mask starts = first_bits(number), fresh = starts;
    if (digits == 0) return starts;
    Mask whole = number;
    for (unsigned i = 1; i <= digits; ++i) whole &= number << i;
    while (fresh) {
        fresh = (fresh << digits) & whole;
        starts |= fresh;
    }
    return starts;
}

// White space: up to the last newline; then all but the last blank; then the last one, alone or as the next piece's
// first character. Newlines right after punctuation belong to it.
Mask space_starts(const Masks& m) {
    const Mask any = m.space, newline = m.newline, blanks = any & ~newline;
    const Mask behind_other = newline & (m.other << 1);
    const Mask free = any & ~(newline & ~(newline + behind_other));
    Mask after_newline = first_bits(blanks) & ((newline & free) << 1);
    if ((blanks + after_newline) & ~blanks & newline) {  // some lines are blank: their blanks start no piece
        for (Mask todo = after_newline; todo; todo &= todo - 1) {
            const Mask start = todo & -todo, end = (blanks + start) & ~blanks;
            if (end & newline) after_newline &= ~start;
        }
    }
    return first_bits(free) | after_newline | (blanks & (~any >> 1));
}

// Where 's, 'll and so on end inside a word, for every apostrophe that begins a piece.
Mask contraction_ends(const Byte* text, Mask apostrophes, Mask letter, unsigned known) {
    Mask ends = 0;
    for (; apostrophes; apostrophes &= apostrophes - 1) {
        const unsigned at = static_cast<unsigned>(std::countr_zero(apostrophes));
        if (at + 2 >= known) break;
        const Byte one = text[at + 1] | 0x20, two = text[at + 2] | 0x20;
        if (one == 's' || one == 't' || one == 'd' || one == 'm') {
            ends |= Mask{1} << (at + 2);
        } else if ((one == 'l' && two == 'l') || ((one == 'v' || one == 'r') && two == 'e') ||
                   (text[at + 1] == 0xC5 && text[at + 2] == 0xBF)) {
            if (at + 3 < kWindow) ends |= Mask{1} << (at + 3);
        }
    }
    return ends & letter;
}

Mask piece_starts(const Byte* text, const Masks& m, unsigned known, unsigned digits) {
    const Mask others = first_bits(m.other), alone = others & ~(m.blank << 1);
    const Mask second = m.other & ~others & ~m.inside;  // a second character in a run of punctuation
    const Mask behind_one = (m.other + alone) & ~m.other & ~(m.other + second);
    const Mask blanks = m.space & ~m.newline;
    Mask starts = space_starts(m) | number_starts(m.number, digits) | alone;
    starts |= first_bits(m.letter) & ~(blanks << 1) & ~behind_one;
    const Mask quotes = m.apostrophe & alone & (behind_one >> 1) & (m.letter >> 1);
    if (quotes) starts |= contraction_ends(text, quotes, m.letter, known);
    return starts;
}

}  // namespace

// The number of pieces that the window at `at_` determines; 0 if not even the first.
std::size_t Splitter::window(std::size_t* ends) {
    const std::size_t left = size_ - at_;
    const Byte* text = text_ + at_;
    Byte copy[kWindow];
    unsigned known = kWindow;
    if (left < kWindow) {
        known = static_cast<unsigned>(left);
        std::memcpy(copy, text, left);
        std::memset(copy + left, 'x', kWindow - left);
        text = copy;
    }
    Masks m;
    classify(text, m);
    m.other = ~(m.letter | m.number | m.space | m.wide);
    if (m.wide) known = classify_wide(text, left, known, m);
    const bool to_end = known == left;
    const Mask valid = below(known);
    m.letter &= valid, m.number &= valid, m.space &= valid, m.newline &= valid, m.blank &= valid, m.other &= valid;

    Mask starts = piece_starts(text, m, known, rules_.digits) & below(to_end ? known : known - (known > 0));
    const bool ends_in_space = known > 0 && (m.space >> (known - 1) & 1);
    if (ends_in_space) {  // how it is cut depends on what follows
        const unsigned run = kWindow - static_cast<unsigned>(std::countl_zero(~m.space & below(known)));
        starts &= below(run + 1);
    }
    starts &= ~Mask{1};
    std::size_t count = 0;
    for (; starts; starts &= starts - 1) ends[count++] = at_ + static_cast<unsigned>(std::countr_zero(starts));
    if (to_end && known > 0 && !ends_in_space) ends[count++] = size_;
    return count;
}

std::size_t Splitter::next(std::size_t* ends, std::size_t room) {
    const bool windows = rules_.scheme == Scheme::cl100k || rules_.scheme == Scheme::llama3;
    std::size_t count = 0;
    while (at_ < size_ && count + kSlack <= room) {
        const std::size_t found = windows ? window(ends + count) : 0;
        if (found) {
            count += found;
        } else {
            ends[count++] = cut_one(rules_, text_, at_, size_);
        }
        at_ = ends[count - 1];
    }
    return count;
}

}  // namespace glassmill
