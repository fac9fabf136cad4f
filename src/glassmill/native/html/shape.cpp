#include "html/shape.hpp"

#include <algorithm>
#include <cmath>

#include "base/unicode.hpp"

namespace glassmill::html {
namespace {

constexpr float kShortest = 25, kLongest = 600, kHundred = 100;  // characters of a paragraph
constexpr float kMostLinks = 0.5f, kNoSentence = 0.3f;
constexpr std::size_t kLongestTitle = 400;

// How much one character of a script that puts no blanks between words counts for: in words, and in letters of a text
// in Latin script that says as much. Thresholds and trees are made for the latter.
struct Dense {
    float words = 0, letters = 1;
    bool unstopped = false;  // its sentences end in a blank
};

constexpr Dense kIdeogram{0.6f, 3}, kKana{0.4f, 2}, kSyllable{0.2f, 1}, kUnstopped{0.2f, 1, true};
constexpr float kUnstoppedSentence = 12;  // words

Dense density_of(std::uint32_t point) {
    if (point < 0x0E00) return {};
    if (point < 0x0F00) return kUnstopped;                                        // Thai, Lao
    if (point < 0x1000 || (point >= 0x1780 && point < 0x1800)) return kSyllable;  // Tibetan, Khmer
    if (point < 0x10A0 || (point >= 0xA9E0 && point < 0xAA80)) return kSyllable;  // Burmese
    if ((point >= 0x3041 && point < 0x3100) || (point >= 0xFF66 && point < 0xFFA0)) return kKana;
    if ((point >= 0x3400 && point < 0xA000) || (point >= 0x3005 && point < 0x3008)) return kIdeogram;
    if ((point >= 0xF900 && point < 0xFB00) || (point >= 0x20000 && point < 0x38000)) return kIdeogram;
    return {};
}

bool among(std::u32string_view set, std::uint32_t point) { return set.find(point) != std::u32string_view::npos; }

// Full-width marks, and those of scripts with their own: full stops, commas.
constexpr std::u32string_view kStops =
    U"\u3002\uFF01\uFF1F\uFF0E\uFF61\u0964\u061F\u06D4\u17D4\u17D5\u104B\u0F0D\u1362";
constexpr std::u32string_view kCommas = U"\u3001\uFF0C\uFF1B\uFF64\u060C\u061B\u104A\u1363";
constexpr std::u32string_view kClosers = U"\"')\u201D\u2019\u300D\u300F\uFF09\u300B\u3011";

bool is_full_width_mark(std::uint32_t point) {
    return (point >= 0x3000 && point < 0x3005) || (point >= 0x3008 && point < 0x3021) ||
           (point >= 0xFF00 && point < 0xFF10) || (point >= 0xFF1A && point < 0xFF21) ||
           (point >= 0xFF3B && point < 0xFF41) || (point >= 0xFF5B && point < 0xFF66) || among(kStops, point) ||
           among(kCommas, point);
}

bool is_word(unsigned char symbol) {
    return symbol >= 0x80 || (symbol >= '0' && symbol <= '9') || ((symbol | 0x20) >= 'a' && (symbol | 0x20) <= 'z') ||
           symbol == '_';
}
bool is_upper(unsigned char symbol) { return symbol >= 'A' && symbol <= 'Z'; }
bool is_digit(unsigned char symbol) { return symbol >= '0' && symbol <= '9'; }
bool is_stop(unsigned char symbol) { return symbol == '.' || symbol == '!' || symbol == '?'; }

// The last character, taken off `text`.
std::uint32_t take_last(std::string_view& text) {
    std::size_t size = 1;
    while (size < text.size() && size < 4 && (text[text.size() - size] & 0xC0) == 0x80) ++size;
    const Char last = decode(reinterpret_cast<const Byte*>(text.data()) + text.size() - size, size);
    text.remove_suffix(size);
    return last.point;
}

bool ends_sentence(std::string_view text) {
    std::uint32_t last = 0;
    while (!text.empty()) {
        last = take_last(text);
        if (!among(kClosers, last)) break;
    }
    return among(U".!?:\u2026\uFF1A", last) || among(kStops, last);
}

}  // namespace

Shape shape_of(std::string_view text, std::uint32_t link_bytes) {
    Shape shape;
    std::uint32_t characters = 0, words = 0, small = 0, sentences = 0, commas = 0, digits = 0, capitals = 0, prices = 0,
                  bars = 0;
    std::uint64_t hash = 1469598103934665603ull;
    bool in_word = false;
    float dense_letters = 0, dense_words = 0, unstopped_words = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto symbol = static_cast<unsigned char>(text[i]);
        hash = (hash ^ symbol) * 1099511628211ull;
        if ((symbol & 0xC0) == 0x80) continue;  // inside a character
        ++characters;
        bool sign = (symbol == 0xE2 && text.substr(i, 2) == "\xE2\x80") || symbol == 0xC2;
        if (symbol >= 0xD8) {
            const std::uint32_t point = decode(reinterpret_cast<const Byte*>(text.data()) + i, text.size() - i).point;
            const Dense dense = density_of(point);
            dense_letters += dense.letters - 1;
            dense_words += dense.words;
            if (dense.unstopped) unstopped_words += dense.words;
            sentences += among(kStops, point);
            commas += among(kCommas, point);
            sign = sign || dense.words > 0 || is_full_width_mark(point);
        }
        bool word = is_word(symbol) && !sign;
        if (word && !in_word) {
            ++words;
            small += !is_upper(symbol) && !is_digit(symbol);
        }
        in_word = word;
        digits += is_digit(symbol);
        capitals += is_upper(symbol);
        commas += symbol == ',' || symbol == ';';
        if (is_stop(symbol))
            sentences += i + 1 == text.size() || text[i + 1] == ' ' || text[i + 1] == '\n' || text[i + 1] == '"';
        if (symbol == '$') ++prices;
        if (symbol == '|' || symbol == '>') ++bars;
        if (symbol >= 0xC2 && symbol <= 0xE3) {
            std::string_view three = text.substr(i, 3);
            prices += three == "\u20AC" || three.substr(0, 2) == "\u00A3";
            bars += three == "\u203A" || three.substr(0, 2) == "\u00BB";
        }
    }
    auto bytes = static_cast<float>(std::max<std::size_t>(text.size(), 1));
    shape.characters = static_cast<float>(characters) + dense_letters;
    shape.words = static_cast<float>(words) + dense_words;
    shape.small_words = static_cast<float>(small) + dense_words;
    shape.sentences = std::max(static_cast<float>(sentences), std::floor(unstopped_words / kUnstoppedSentence));
    shape.commas = static_cast<float>(commas);
    shape.prices = static_cast<float>(prices);
    shape.bars = static_cast<float>(bars);
    shape.digits = static_cast<float>(digits) / bytes;
    shape.capitals = static_cast<float>(capitals) / bytes;
    shape.links = std::min(1.0f, static_cast<float>(link_bytes) / bytes);
    shape.ends_sentence = ends_sentence(text) || unstopped_words >= kUnstoppedSentence;
    shape.begins_capital = !text.empty() && is_upper(static_cast<unsigned char>(text[0]));
    shape.hash = hash;
    if (shape.characters >= kShortest && shape.links < kMostLinks) {
        float prose = shape.ends_sentence || shape.sentences > 0 ? 1.0f : kNoSentence;
        shape.paragraph = std::min(shape.characters, kLongest) / kHundred * (1 - shape.links) * prose;
    }
    return shape;
}

std::vector<std::uint64_t> words_in_order(std::string_view text) {
    constexpr std::uint64_t begin = 1469598103934665603ull, prime = 1099511628211ull;
    std::vector<std::uint64_t> hashes;
    std::uint64_t hash = 0;
    const auto end_word = [&] {
        if (hash) hashes.push_back(hash);
        hash = 0;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto symbol = static_cast<unsigned char>(text[i]);
        if (!is_word(symbol)) {
            end_word();
            continue;
        }
        if (symbol >= 0xE0) {
            const Char found = decode(reinterpret_cast<const Byte*>(text.data()) + i, text.size() - i);
            const bool dense = density_of(found.point).words > 0;  // each character a word
            if (dense || is_full_width_mark(found.point)) {
                end_word();
                if (dense) hashes.push_back((begin ^ found.point) * prime);
                i += found.length - 1;
                continue;
            }
        }
        hash = ((hash ? hash : begin) ^ (is_upper(symbol) ? symbol | 0x20u : symbol)) * prime;
    }
    end_word();
    return hashes;
}

std::vector<std::uint64_t> word_hashes(std::string_view text) {
    std::vector<std::uint64_t> hashes = words_in_order(text);
    std::sort(hashes.begin(), hashes.end());
    hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
    return hashes;
}

float overlap(std::string_view text, const std::vector<std::uint64_t>& with) {
    if (with.empty() || text.size() > kLongestTitle) return 0;
    auto hashes = word_hashes(text);
    float common = 0;
    for (std::uint64_t hash : hashes) common += std::binary_search(with.begin(), with.end(), hash);
    float total = static_cast<float>(hashes.size() + with.size());
    return 2 * common / total;
}

}  // namespace glassmill::html
