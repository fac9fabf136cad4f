// Words in an element's class, id, role and itemprop that tell what it is for.
// Words are found as substrings, because names are joined in every way ("sideBar", "post__related-links").
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace glassmill::html {

enum class Name : std::uint8_t {
    nav,
    footer,
    header,
    sidebar,
    related,
    share,
    comment,
    advert,
    cookie,
    subscribe,
    popup,
    breadcrumb,
    pagination,
    meta,
    tags,
    login,
    search,
    toc,
    content,
    post,
    main,
    text,
    product,
    item,
    description,
    review,
    forum,
    card,
    slider,
    list,
    hero,
    button,
    toggle,
    spec,
    user,
    hidden,
    figure,
    legal,
    count_,
    title,
    section,
    form,
    price,
    reference,
    article_body,
    more,
    author,
    credit,
    count
};

constexpr std::uint64_t bit(Name name) { return std::uint64_t{1} << static_cast<int>(name); }

const char* name_of(Name name);  // as in "near_footer"

// Bit i is set if `text` contains a word of group i. One pass for all words of all groups (Aho-Corasick).
std::uint64_t names_in(std::string_view text);

}  // namespace glassmill::html
