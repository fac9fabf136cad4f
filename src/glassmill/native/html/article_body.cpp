#include "html/article_body.hpp"

#include <algorithm>

#include "html/shape.hpp"

namespace glassmill::html {
namespace {

constexpr std::size_t kGram = 3;
constexpr std::uint64_t kPrime = 0x9E3779B97F4A7C15ull;

int hex_of(char symbol) {
    if (symbol >= '0' && symbol <= '9') return symbol - '0';
    if ((symbol | 0x20) >= 'a' && (symbol | 0x20) <= 'f') return (symbol | 0x20) - 'a' + 10;
    return -1;
}

void append_utf8(std::string& out, unsigned unit) {
    if (unit < 0x80) {
        out += static_cast<char>(unit);
    } else if (unit < 0x800) {
        out += static_cast<char>(0xC0 | unit >> 6);
        out += static_cast<char>(0x80 | (unit & 0x3F));
    } else if (unit >= 0xD800 && unit < 0xE000) {
        out += ' ';  // half of a pair: an emoji or the like
    } else {
        out += static_cast<char>(0xE0 | unit >> 12);
        out += static_cast<char>(0x80 | (unit >> 6 & 0x3F));
        out += static_cast<char>(0x80 | (unit & 0x3F));
    }
}

// The string that begins after the quote before `place`; moves `place` to its end.
std::string json_string(std::string_view json, std::size_t& place) {
    std::string out;
    for (; place < json.size() && json[place] != '"' && out.size() < kMaxArticleBody; ++place) {
        if (json[place] != '\\' || place + 1 >= json.size()) {
            out += json[place];
            continue;
        }
        const char escaped = json[++place];
        if (escaped != 'u') {
            out += escaped == 'n' || escaped == 't' || escaped == 'r' ? ' ' : escaped;
            continue;
        }
        unsigned unit = 0;
        std::size_t digits = 0;
        for (int digit; digits < 4 && place + 1 < json.size() && (digit = hex_of(json[place + 1])) >= 0; ++digits) {
            unit = unit * 16 + static_cast<unsigned>(digit);
            ++place;
        }
        append_utf8(out, unit);
    }
    return out;
}

// A hash for every run of `length` words.
void runs(const std::vector<std::uint64_t>& words, std::size_t length, std::vector<std::uint64_t>& out) {
    for (std::size_t i = 0; i + length <= words.size(); ++i) {
        std::uint64_t hash = length;
        for (std::size_t k = i; k < i + length; ++k) hash = (hash ^ words[k]) * kPrime;
        out.push_back(hash);
    }
}

}  // namespace

std::string article_body_in(std::string_view json) {
    constexpr std::string_view key = "\"articleBody\"";
    std::string longest;
    for (std::size_t place = 0; (place = json.find(key, place)) != std::string_view::npos;) {
        place += key.size();
        while (place < json.size() && (json[place] == ' ' || json[place] == ':' || json[place] == '\n')) ++place;
        if (place >= json.size() || json[place] != '"') continue;
        std::string found = json_string(json, ++place);
        if (found.size() > longest.size()) longest = std::move(found);
    }
    return longest;
}

ArticleBody::ArticleBody(std::string_view text) {
    const std::vector<std::uint64_t> words = words_in_order(text);
    for (std::size_t length = 1; length <= kGram; ++length) runs(words, length, grams_);
    std::sort(grams_.begin(), grams_.end());
}

float ArticleBody::share_of(std::string_view text) const {
    if (!known()) return -1;
    const std::vector<std::uint64_t> words = words_in_order(text);
    if (words.empty()) return 0;
    std::vector<std::uint64_t> found;
    runs(words, std::min(kGram, words.size()), found);
    const auto hits = std::count_if(found.begin(), found.end(), [&](std::uint64_t hash) {
        return std::binary_search(grams_.begin(), grams_.end(), hash);
    });
    return static_cast<float>(hits) / static_cast<float>(found.size());
}

}  // namespace glassmill::html
