// The text of a page as it is read: blanks collapse, and each block-level boundary ends a block.
#pragma once

#include <string>
#include <string_view>

#include "html/page.hpp"

namespace glassmill::html {

class Blocks {
public:
    Blocks(Page& page, const Entities& entities) : page_(page), entities_(entities) {}

    // Text, with character references, directly inside `element`, the innermost open one.
    void add(std::string_view raw, std::int32_t element, bool in_formula);
    void space() { space_ = true; }
    void line_break();
    void end();

private:
    void add_preformatted(std::string_view raw, std::int32_t element);
    void begin_text(std::int32_t element);
    void open(std::int32_t element, std::size_t begin);
    void count_characters(std::size_t number, std::uint32_t flags);

    Page& page_;
    const Entities& entities_;
    std::string decoded_;
    Block block_;
    bool in_block_ = false, space_ = false;
};

}  // namespace glassmill::html
