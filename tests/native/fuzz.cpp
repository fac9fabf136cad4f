// Random bytes through the whole native core, for the sanitizers: fuzz SECONDS SEED
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>

#include "bpe/encode.hpp"
#include "bpe/train.hpp"

using namespace glassmill;

namespace {

std::mt19937_64 source;

std::size_t below(std::size_t bound) { return source() % bound; }

std::string random_text() {
    static const std::string parts[] = {"a",
                                        "S",
                                        "'",
                                        "'ll",
                                        "\xC5\xBF",
                                        " ",
                                        "\n",
                                        "\r\n",
                                        "\t",
                                        "12",
                                        "!",
                                        "\xC3\xA9",
                                        "\xE4\xB8\xAD",
                                        "\xE3\x80\x80",
                                        "\xF0\x9F\x98\x80",
                                        "\xCC\x81",
                                        "\xFF",
                                        "\xE4",
                                        std::string(70, 'x'),
                                        std::string(66, ' '),
                                        std::string(1, '\0')};
    std::string text;
    for (std::size_t count = below(60); count > 0; --count) {
        text += below(10) ? parts[below(std::size(parts))] : std::string(1, static_cast<char>(below(256)));
    }
    return text;
}

void require(bool good, const char* what, const std::string& text) {
    if (good) return;
    std::fprintf(stderr, "%s:", what);
    for (const char c : text) std::fprintf(stderr, " %02x", static_cast<unsigned char>(c));
    std::fprintf(stderr, "\n");
    std::abort();
}

Utf8 exactly(const std::string& text, std::vector<Byte>& copy) {  // so that reading beyond the end is seen
    copy.assign(text.begin(), text.end());
    copy.shrink_to_fit();
    return {copy.data(), copy.size()};
}

void compare_splitters(const std::string& text, Rules rules) {
    std::vector<Byte> copy;
    const Utf8 utf8 = exactly(text, copy);
    std::size_t ends[200], start = 0;
    Splitter splitter(rules, utf8.data, utf8.size);
    while (const std::size_t count = splitter.next(ends, 200)) {
        for (std::size_t i = 0; i < count; ++i) {
            start = cut_one(rules, utf8.data, start, utf8.size);
            require(start == ends[i], "the splitters differ", text);
        }
    }
    require(start == text.size(), "text is lost", text);
}

}  // namespace

int main(int, char** arguments) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(std::atoi(arguments[1]));
    source.seed(static_cast<std::uint64_t>(std::atoll(arguments[2])));
    std::size_t rounds = 0;
    for (; std::chrono::steady_clock::now() < end; ++rounds) {
        const Rules rules{static_cast<Scheme>(below(7)), static_cast<unsigned>(below(4))};
        Counter counter(rules);
        std::vector<std::string> texts;
        for (int i = 0; i < 30; ++i) {
            texts.push_back(random_text());
            compare_splitters(texts.back(), rules);
            std::vector<Byte> copy;
            counter.count(exactly(texts.back(), copy));
        }
        const auto merges =
            merge_pairs(counter, below(400), static_cast<TieBreak>(below(2)), [](std::size_t) { return true; });
        Encoder encoder(rules, below(2), static_cast<unsigned>(below(8)));
        std::vector<std::string> symbols;
        for (int byte = 0; byte < 256; ++byte) symbols.emplace_back(1, static_cast<char>(byte));
        for (const Merge& merge : merges) symbols.push_back(symbols[merge.left] + symbols[merge.right]);
        for (std::size_t id = 0; id < symbols.size(); ++id) {
            encoder.vocabulary.add(reinterpret_cast<const Byte*>(symbols[id].data()), symbols[id].size(),
                                   static_cast<Id>(id), true);
        }
        encoder.vocabulary.index(merges.size());
        encoder.vocabulary.add_all_merges();
        Workspace work(4);
        for (const std::string& text : texts) {
            std::vector<Byte> copy;
            work.ids.clear();
            encoder.encode(exactly(text, copy), work);
            std::string back;
            for (std::size_t i = 0; i < work.ids.size(); ++i) back += symbols[work.ids.data()[i]];
            require(back == text, "decoding does not undo encoding", text);
        }
    }
    std::printf("%zu rounds\n", rounds);
    return rounds == 0;
}
