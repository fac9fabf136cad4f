// A page as elements and text blocks, read in one pass; its time is linear for any markup.
//
// In: UTF-8 HTML. Out: `Page`: the elements in document order, and the blocks of text between block-level boundaries.
// This is not a full HTML5 tree builder: it knows the implied ends of p, li, td, dt, option and similar, ignores end
// tags that end nothing, and nests at most `kMaxDepth` elements (deeper text is kept, in the deepest of them).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "html/tags.hpp"

namespace glassmill::html {

constexpr std::size_t kMaxDepth = 256;
constexpr std::size_t kMaxElements = 500'000;
constexpr std::size_t kMaxBlocks = 100'000;  // the text of any more is dropped
constexpr std::size_t kMaxTitle = 1000;      // bytes of titles and descriptions

enum ElementFlag : std::uint32_t {  // inherited by everything inside
    kInLink = 1,
    kInCode = 4,
    kInPre = 8,
    kHidden = 16,
    kInList = 32,
    kInTable = 64,
    kInForm = 128,
    kInNav = 256,
    kInHeader = 512,
    kInFooter = 1024,
    kInAside = 2048,
    kInMain = 4096,
    kInArticle = 8192,
    kInQuote = 16384,
    kInButton = 32768,
    kInNoscript = 65536,
    kInFigure = 131072,
    kInEmphasis = 262144,
    kInStrong = 524288,
    kInSmall = 1048576,
    kInTime = 2097152,
};

struct Element {
    std::int32_t parent = -1;
    std::int32_t end = 0;    // one past the last element inside, in document order
    std::uint32_t kind = 0;  // hash of name and class: equal for repeated siblings
    std::uint16_t depth = 0;
    std::uint32_t flags = 0;
    std::uint64_t names = 0;  // groups of names in class, id, role, itemprop
    Tag tag = Tag::other;
    std::uint16_t traits = 0;
};

struct Block {
    std::int32_t element = 0;          // innermost block-level element
    std::uint32_t begin = 0, end = 0;  // in Page::text
    std::uint32_t link_bytes = 0, code_bytes = 0;
    std::uint16_t breaks = 0;
    std::uint32_t images = 0;  // pictures that come before its text in the page
    std::uint32_t flags = 0;   // of the element where its text begins
};

struct Page {
    std::vector<Element> elements;
    std::vector<Block> blocks;
    std::string text;
    std::string title, meta_title, description, author, og_type;
    std::string article_body;  // as JSON-LD states it
    std::uint32_t counts[static_cast<int>(Tag::count)] = {};

    std::string_view text_of(const Block& block) const {
        return std::string_view(text).substr(block.begin, block.end - block.begin);
    }
};

using Entities = std::unordered_map<std::string, std::string>;

// Reads `html`, which must outlive the page. `entities` maps "amp;" and "amp" to "&" and so on.
Page read_page(std::string_view html, const Entities& entities);

// `raw` with character references replaced, appended to `out`.
void append_decoded(std::string& out, std::string_view raw, const Entities& entities);

}  // namespace glassmill::html
