// Every split pattern, followed literally: one piece, a character at a time.
//
// Patterns: tiktoken_ext/openai_public.py (tiktoken 0.14); llama3 as in llama.cpp's src/llama-vocab.cpp ("dbrx").
#include "bpe/split.hpp"

namespace glassmill {
namespace {

bool is_newline(Byte byte) { return byte == '\n' || byte == '\r'; }

struct Text {
    const Byte* text;
    std::size_t size;

    Kind kind(std::size_t at) const { return kind_at(text + at, size - at); }
    bool is(std::size_t at, Class kind_wanted) const { return at < size && kind(at).kind == kind_wanted; }
    Fine fine(std::size_t at, unsigned& length) const {
        const Char found = decode(text + at, size - at);
        length = found.length;
        return found.point == 0xFFFFFFFFu ? kOther : kClasses.fine(found.point);
    }

    // The end of the run of `kind_wanted` at `at`, of at most `most` characters.
    std::size_t run(std::size_t at, Class kind_wanted, std::size_t most = SIZE_MAX) const {
        while (at < size && most-- > 0) {
            const Kind found = kind(at);
            if (found.kind != kind_wanted) break;
            at += found.length;
        }
        return at;
    }
};

// Length of 's 't 'd 'm 'll 've 're at the apostrophe `at`, or 0. (?i) folds the long s to s.
std::size_t contraction(const Text& t, std::size_t at, bool any_case) {
    if (at + 1 >= t.size) return 0;
    const Byte fold = any_case ? 0x20 : 0;
    const Byte one = t.text[at + 1] | fold;
    if (one == 's' || one == 't' || one == 'd' || one == 'm') return 2;
    if (at + 2 >= t.size) return 0;
    if (any_case && t.text[at + 1] == 0xC5 && t.text[at + 2] == 0xBF) return 3;
    const Byte two = t.text[at + 2] | fold;
    return ((one == 'l' && two == 'l') || ((one == 'v' || one == 'r') && two == 'e')) ? 3 : 0;
}

// White space: \s*[\r\n]+ | \s+(?!\S) | \s, with \s++$ before them where `end_first`. A number ends the text where
// `number_ends`.
std::size_t cut_space(const Text& t, std::size_t at, bool newlines, bool end_first, Branch& branch,
                      bool number_ends = false) {
    std::size_t end = at, last = at, after_newline = 0;
    while (end < t.size) {
        const Kind found = t.kind(end);
        if (found.kind != S) break;
        last = end;
        end += found.length;
        if (is_newline(t.text[last])) after_newline = end;
    }
    const bool at_end = end == t.size || (number_ends && t.is(end, N));
    if (at_end && end_first) return branch = Branch::end_space, end;
    if (newlines && after_newline) return branch = Branch::newlines, after_newline;
    if (at_end) return branch = Branch::spaces, end;
    if (last > at) return branch = Branch::spaces, last;
    return branch = Branch::space, end;
}

std::size_t cut_cl100k(const Rules& rules, const Text& t, std::size_t at, Branch& branch) {
    if (t.text[at] == '\'') {
        if (const std::size_t length = contraction(t, at, true)) return branch = Branch::contraction, at + length;
    }
    const Kind first = t.kind(at);
    const std::size_t second = at + first.length;
    if (first.kind == L || (first.kind != N && !is_newline(t.text[at]) && t.is(second, L))) {
        return branch = Branch::letters, t.run(second, L);
    }
    if (first.kind == N) return branch = Branch::number, t.run(at, N, rules.digits ? rules.digits : SIZE_MAX);
    const std::size_t mark = t.text[at] == ' ' ? at + 1 : at;
    if (t.is(mark, O)) {
        std::size_t end = t.run(mark, O);
        while (end < t.size && is_newline(t.text[end])) ++end;
        return branch = Branch::punctuation, end;
    }
    return cut_space(t, at, true, rules.scheme == Scheme::cl100k, branch);
}

std::size_t cut_gpt2(const Rules& rules, const Text& t, std::size_t at, Branch& branch) {
    const bool digits_alone = rules.scheme == Scheme::gpt2_digits;
    if (digits_alone && t.is(at, N)) return branch = Branch::number, at + t.kind(at).length;
    if (t.text[at] == '\'') {
        if (const std::size_t length = contraction(t, at, false)) return branch = Branch::contraction, at + length;
    }
    const std::size_t mark = t.text[at] == ' ' ? at + 1 : at;
    if (mark < t.size) {
        const Class kind = t.kind(mark).kind;
        if (kind != S && !(kind == N && digits_alone)) {
            branch = kind == L ? Branch::letters : kind == N ? Branch::number : Branch::punctuation;
            return t.run(mark, kind);
        }
    }
    return cut_space(t, at, false, true, branch, digits_alone);
}

// The letters of o200k from `at`: [upper]*[lower]+ or else [upper]+, where caseless letters and marks are both.
std::size_t cased_letters(const Text& t, std::size_t at, bool need_lower) {
    std::size_t end = at, both = 0;
    unsigned length = 0;
    Fine kind = kOther;
    for (; end < t.size; end += length) {
        kind = t.fine(end, length);
        if (kind == kCaseless || kind == kMark) both = end + length;
        else if (kind != kUpper) break;
    }
    if (end < t.size && kind == kLower) {
        for (; end < t.size; end += length) {
            kind = t.fine(end, length);
            if (kind != kLower && kind != kCaseless && kind != kMark) break;
        }
        return end;
    }
    if (need_lower) return both;
    return end > at ? end : 0;
}

std::size_t cut_o200k(const Rules& rules, const Text& t, std::size_t at, Branch& branch) {
    const Kind first = t.kind(at);
    const bool prefix = first.kind != L && first.kind != N && !is_newline(t.text[at]);
    for (const bool need_lower : {true, false}) {
        std::size_t end = prefix ? cased_letters(t, at + first.length, need_lower) : 0;
        if (!end) end = cased_letters(t, at, need_lower);
        if (!end) continue;
        if (end < t.size && t.text[end] == '\'') end += contraction(t, end, true);
        return branch = Branch::letters, end;
    }
    if (first.kind == N) return branch = Branch::number, t.run(at, N, rules.digits ? rules.digits : SIZE_MAX);
    const std::size_t mark = t.text[at] == ' ' ? at + 1 : at;
    if (t.is(mark, O)) {
        std::size_t end = t.run(mark, O);
        while (end < t.size && (is_newline(t.text[end]) || t.text[end] == '/')) ++end;
        return branch = Branch::punctuation, end;
    }
    return cut_space(t, at, true, false, branch);
}

//  ?\S+|\s+(?!\S)|\s
std::size_t cut_whitespace(const Text& t, std::size_t at, Branch& branch) {
    std::size_t end = t.text[at] == ' ' ? at + 1 : at;
    if (end == t.size || t.is(end, S)) return cut_space(t, at, false, true, branch);
    while (end < t.size && !t.is(end, S)) end += t.kind(end).length;
    return branch = Branch::letters, end;
}

}  // namespace

std::size_t cut_one(const Rules& rules, const Byte* text, std::size_t start, std::size_t size, Branch* branch) {
    const Text t{text, size};
    Branch ignored;
    Branch& cut = branch ? *branch : ignored;
    switch (rules.scheme) {
        case Scheme::cl100k:
        case Scheme::llama3: return cut_cl100k(rules, t, start, cut);
        case Scheme::gpt2:
        case Scheme::gpt2_digits: return cut_gpt2(rules, t, start, cut);
        case Scheme::o200k: return cut_o200k(rules, t, start, cut);
        case Scheme::whitespace: return cut_whitespace(t, start, cut);
        case Scheme::none: break;
    }
    return cut = Branch::letters, size;
}

}  // namespace glassmill
