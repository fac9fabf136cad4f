// The features of every block of a page, from which a model tells main content from the rest.
//
// Four kinds: the block's own text and markup, its ancestors, its neighbours in reading order, and the page as a whole.
// They depend on no language: prose is known by its shape, and an element's purpose by its English class name.
#pragma once

#include <string>
#include <vector>

#include "html/page.hpp"
#include "html/shape.hpp"

namespace glassmill::html {

struct Features {
    std::size_t width = 0;
    std::vector<float> values;  // blocks x width
    std::vector<float> words;   // per block
};

Features features_of(const Page& page);
const std::vector<std::string>& feature_names();

}  // namespace glassmill::html
