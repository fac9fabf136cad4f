#include "html/shape.hpp"

#include <algorithm>

namespace glassmill::html {
namespace {

constexpr float kShortest = 25, kLongest = 600, kHundred = 100;  // characters of a paragraph
constexpr float kMostLinks = 0.5f, kNoSentence = 0.3f;
constexpr std::size_t kLongestTitle = 400;

bool is_word(unsigned char symbol) {
    return symbol >= 0x80 || (symbol >= '0' && symbol <= '9') || ((symbol | 0x20) >= 'a' && (symbol | 0x20) <= 'z') ||
           symbol == '_';
}
bool is_upper(unsigned char symbol) { return symbol >= 'A' && symbol <= 'Z'; }
bool is_digit(unsigned char symbol) { return symbol >= '0' && symbol <= '9'; }
bool is_stop(unsigned char symbol) { return symbol == '.' || symbol == '!' || symbol == '?'; }

bool ends_sentence(std::string_view text) {
    while (text.size() > 1 && (text.back() == '"' || text.back() == ')' || text.back() == '\'')) text.remove_suffix(1);
    for (std::string_view end : {".", "!", "?", ":", "\u2026", "\u3002", ".\u201D", "?\u201D", "!\u201D"}) {
        if (text.ends_with(end)) return true;
    }
    return false;
}

}  // namespace

Shape shape_of(std::string_view text, std::uint32_t link_bytes) {
    Shape shape;
    std::uint32_t characters = 0, words = 0, small = 0, sentences = 0, commas = 0, digits = 0, capitals = 0, prices = 0,
                  bars = 0;
    std::uint64_t hash = 1469598103934665603ull;
    bool in_word = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto symbol = static_cast<unsigned char>(text[i]);
        hash = (hash ^ symbol) * 1099511628211ull;
        if ((symbol & 0xC0) == 0x80) continue;  // inside a character
        ++characters;
        bool sign = (symbol == 0xE2 && text.substr(i, 2) == "\xE2\x80") || symbol == 0xC2;
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
            sentences += three == "\u3002";
            prices += three == "\u20AC" || three.substr(0, 2) == "\u00A3";
            bars += three == "\u203A" || three.substr(0, 2) == "\u00BB";
        }
    }
    auto bytes = static_cast<float>(std::max<std::size_t>(text.size(), 1));
    shape.characters = static_cast<float>(characters);
    shape.words = static_cast<float>(words);
    shape.small_words = static_cast<float>(small);
    shape.sentences = static_cast<float>(sentences);
    shape.commas = static_cast<float>(commas);
    shape.prices = static_cast<float>(prices);
    shape.bars = static_cast<float>(bars);
    shape.digits = static_cast<float>(digits) / bytes;
    shape.capitals = static_cast<float>(capitals) / bytes;
    shape.links = std::min(1.0f, static_cast<float>(link_bytes) / bytes);
    shape.ends_sentence = ends_sentence(text);
    shape.begins_capital = !text.empty() && is_upper(static_cast<unsigned char>(text[0]));
    shape.hash = hash;
    if (shape.characters >= kShortest && shape.links < kMostLinks) {
        float prose = shape.ends_sentence || sentences > 0 ? 1.0f : kNoSentence;
        shape.paragraph = std::min(shape.characters, kLongest) / kHundred * (1 - shape.links) * prose;
    }
    return shape;
}

std::vector<std::uint64_t> word_hashes(std::string_view text) {
    std::vector<std::uint64_t> hashes;
    std::uint64_t hash = 0;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && is_word(static_cast<unsigned char>(text[i]))) {
            auto symbol = static_cast<unsigned char>(text[i]);
            hash = ((hash ? hash : 1469598103934665603ull) ^ (is_upper(symbol) ? symbol | 0x20u : symbol)) *
                   1099511628211ull;
        } else if (hash) {
            hashes.push_back(hash);
            hash = 0;
        }
    }
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
