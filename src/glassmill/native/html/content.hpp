// Main content: which blocks of a page to keep, and their text.
//
// A boosted ensemble of small trees gives every block the probability that its words are content; the kept set is the
// one with the highest expected F1. corpus/extract/content.py has the model's numbers and a plain twin of this step.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "html/features.hpp"
#include "html/page.hpp"
#include "html/trees.hpp"

namespace glassmill::html {

// A page with more blocks was made to waste time (real ones have a few thousand): all its blocks are kept, unjudged.
inline constexpr std::size_t kMaxJudgedBlocks = 50'000;

// Probability of content, per block.
std::vector<float> probabilities(const Trees& trees, const Features& features);

// The blocks with the highest expected F1 = 2 * common / (kept + content), all in words; none if the page is expected
// to hold fewer than `least_words` words of content and they are less than a fifth of its words.
std::vector<bool> choose(const std::vector<float>& probabilities, const std::vector<float>& words, float least_words);

// The kept blocks in reading order: a line each, list items after "- ", the cells of a row on one line.
std::string render(const Page& page, const std::vector<bool>& kept);

}  // namespace glassmill::html
