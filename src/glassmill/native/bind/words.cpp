#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <bit>
#include <memory>

#include "bind/python.hpp"
#include "words/words.hpp"

namespace glassmill {
namespace {

using namespace nb::literals;
using english::English;
using english::Pieces;
using english::Tables;
using english::Words;

std::string_view view(const Utf8& text) { return {reinterpret_cast<const char*>(text.data), text.size}; }

void mark(Tables& tables, const nb::dict& characters) {
    constexpr struct {
        const char* name;
        std::uint16_t trait;
    } traits[] = {{"front", english::kFront},
                  {"back", english::kBack},
                  {"icons", english::kIcon},
                  {"quotes", english::kQuote},
                  {"money", english::kMoney},
                  {"before_dot", english::kBeforeDot},
                  {"punctuation", english::kPunctuation},
                  {"terminal", english::kTerminal},
                  {"closing", english::kClosing}};
    tables.traits.assign(0x20000, 0);
    for (const auto& [name, trait] : traits) {
        const auto listed = nb::cast<std::string>(characters[name]);
        const auto* bytes = reinterpret_cast<const Byte*>(listed.data());
        for (std::size_t i = 0; i < listed.size();) {
            const Char found = decode(bytes + i, listed.size() - i);
            if (found.point < tables.traits.size()) tables.traits[found.point] |= trait;
            i += found.length;
        }
    }
}

// Counts words; for one thread at a time.
class WordCounter {
public:
    // `characters`: the characters of every trait; `lists`: units, dollars, clitics, hyphens, stop_words.
    WordCounter(nb::dict exceptions, nb::dict merges, nb::dict characters, nb::dict lists) {
        Tables tables;
        for (const auto& [text, parts] : exceptions) {
            const auto key = nb::cast<std::string>(text);
            tables.longest_exception = std::max(tables.longest_exception, key.size());
            tables.exceptions[key] = nb::cast<Pieces>(parts);
        }
        for (const auto& [text, parts] : merges) {
            const auto key = nb::cast<std::string>(text);
            const auto pieces = static_cast<std::size_t>(std::count(key.begin(), key.end(), '\x1f')) + 1;
            tables.longest_merge = std::max(tables.longest_merge, pieces);
            tables.longest_key = std::max(tables.longest_key, key.size());
            tables.merges[key] = nb::cast<Pieces>(parts);
        }
        mark(tables, characters);
        tables.units = nb::cast<Pieces>(lists["units"]);
        tables.dollars = nb::cast<Pieces>(lists["dollars"]);
        tables.clitics = nb::cast<Pieces>(lists["clitics"]);
        tables.hyphens = nb::cast<Pieces>(lists["hyphens"]);
        const auto stop_words = nb::cast<Pieces>(lists["stop_words"]);
        if (stop_words.size() > 64) throw nb::value_error("more than 64 stop words");
        for (std::size_t i = 0; i < stop_words.size(); ++i)
            tables.stop_words[stop_words[i]] = static_cast<std::uint8_t>(i + 1);
        english_ = std::make_unique<English>(std::move(tables));
    }

    Words count(nb::handle text) {
        Buffer<Byte> scratch;
        return Words(*english_, view(to_utf8(text_of(text), scratch)));
    }

    std::size_t sentences(nb::handle line, std::size_t enough) {
        Buffer<Byte> scratch;
        return english::count_sentences(*english_, view(to_utf8(text_of(line), scratch)), enough);
    }

    Pieces tokens_of_chunk(nb::handle chunk) const {
        Buffer<Byte> scratch;
        return english_->split(view(to_utf8(text_of(chunk), scratch)));
    }

private:
    std::unique_ptr<English> english_;
};

}  // namespace

void bind_words(nb::module_& module) {
    nb::class_<Words>(module, "Words")
        .def("__len__", &Words::size)
        .def_ro("num_words", &Words::num_words)
        .def_ro("word_characters", &Words::word_characters)
        .def_ro("num_alphabetic", &Words::num_alphabetic)
        .def_prop_ro("num_stop_words", [](const Words& words) { return std::popcount(words.stop_words); })
        .def("top_ngram_characters", &Words::top_ngram_characters, "n"_a)
        .def("duplicate_ngram_characters", &Words::duplicate_ngram_characters, "n"_a);
    nb::class_<WordCounter>(module, "WordCounter")
        .def(nb::init<nb::dict, nb::dict, nb::dict, nb::dict>(), "exceptions"_a, "merges"_a, "characters"_a, "lists"_a)
        .def("count", &WordCounter::count, "text"_a)
        .def("sentences", &WordCounter::sentences, "line"_a, "enough"_a)
        .def("tokens_of_chunk", &WordCounter::tokens_of_chunk, "chunk"_a);
}

}  // namespace glassmill
