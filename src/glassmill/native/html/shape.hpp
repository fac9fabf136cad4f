// What a block's text looks like, without knowing its language: lengths, punctuation, digits, capitals.
// Counts are those of a text in Latin script that says as much: a Chinese character is 0.6 words of 3 letters.
#pragma once

#include "html/page.hpp"

namespace glassmill::html {

struct Shape {
    float characters = 0, words = 0, sentences = 0, commas = 0, digits = 0, capitals = 0, prices = 0, bars = 0;
    float small_words = 0;  // that do not begin with a capital or a digit
    float links = 0;        // share of the characters that are in links
    float paragraph = 0;    // how much it looks like a paragraph, 0 to 6
    bool ends_sentence = false, begins_capital = false;
    std::uint64_t hash = 0;  // equal texts, equal hashes
};

Shape shape_of(std::string_view text, std::uint32_t link_bytes);

// A hash of every lower-cased word, in the order of the text.
std::vector<std::uint64_t> words_in_order(std::string_view text);

// How alike two texts are as bags of lower-cased words (of characters where no blanks part words): 2 * common / total,
// 0 if one has more than 400 bytes.
std::vector<std::uint64_t> word_hashes(std::string_view text);
float overlap(std::string_view text, const std::vector<std::uint64_t>& with);

}  // namespace glassmill::html
