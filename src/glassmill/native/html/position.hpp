// Where a block stands in the page's prose: how far from paragraphs, before or after most of them, in a run of equals.
#pragma once

#include <vector>

#include "html/cues.hpp"
#include "html/surroundings.hpp"

namespace glassmill::html {

struct Position {
    float since_paragraph = 0, until_paragraph = 0;  // blocks to the nearest real paragraph
    float prose_before = 0, prose_after = 0;         // shares of the page's prose
    float root_before = 0;                           // share of the prose of the main root
    float run = 0, run_place = 0;                    // siblings of one kind in a row; which of them this is
    float since[static_cast<int>(Cue::count)] = {};  // blocks since a short text with this cue
    std::uint64_t cues = 0, heading_cues = 0;        // its own; those of the last heading
    float since_root = 0, left_in_root = 0;          // blocks since the main root begins, until it ends; -1 outside
    float same_beginning = 0;                        // blocks whose first two words are the same
    float label = 0;                                 // characters before a colon in its first words
    float images = 0;                                // pictures between the block before and this one
    float out_of_best = 0;                           // levels up to the parent of most prose
};

std::vector<Position> positions_of(const Page& page, const Surroundings& around);

}  // namespace glassmill::html
