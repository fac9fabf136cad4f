#include "html/attributes.hpp"

namespace glassmill::html {
namespace {

constexpr std::size_t kMaxStyle = 300;

bool is_upper(char symbol) { return symbol >= 'A' && symbol <= 'Z'; }

void pass_spaces(std::string_view html, std::size_t& position) {
    while (position < html.size() && is_space(html[position])) ++position;
}

// At '='.
std::string_view read_value(std::string_view html, std::size_t& position) {
    ++position;
    pass_spaces(html, position);
    if (position >= html.size()) return {};
    const char quote = html[position];
    std::size_t start = position;
    if (quote == '"' || quote == '\'') {
        ++start;
        const std::size_t end = html.find(quote, start);
        const bool closed = end != std::string_view::npos;
        position = closed ? end + 1 : html.size();
        return html.substr(start, closed ? end - start : std::string_view::npos);
    }
    while (position < html.size() && !is_space(html[position]) && html[position] != '>') ++position;
    return html.substr(start, position - start);
}

// What a style or a formula's `display` says, if it is one of these words.
Display display_of(std::string_view value) {
    std::size_t end = 0;
    while (end < value.size() && (is_letter(value[end]) || value[end] == '-')) ++end;
    const std::string_view word = value.substr(0, end);
    if (equal_lower(word, "none")) return Display::none;
    if (equal_lower(word, "inline")) return Display::inline_;
    for (std::string_view block : {"block", "flex", "grid", "table", "list-item", "flow-root"}) {
        if (equal_lower(word, block)) return Display::block;
    }
    return Display::usual;
}

// The value of a property in a style, its last one; empty if there is none.
std::string_view property_in(std::string_view style, std::string_view name) {
    std::string_view found;
    for (std::size_t i = 0; i + name.size() < style.size(); ++i) {
        if ((style[i] | 0x20) != name[0] || !equal_lower(style.substr(i, name.size()), name)) continue;
        if (i > 0 && (is_letter(style[i - 1]) || style[i - 1] == '-')) continue;
        std::size_t at = i + name.size();
        pass_spaces(style, at);
        if (at >= style.size() || style[at] != ':') continue;
        pass_spaces(style, ++at);
        found = style.substr(at);
    }
    return found;
}

void keep_style(Attributes& found, std::string_view style) {
    found.display = display_of(property_in(style, "display"));
    found.hidden |= equal_lower(property_in(style, "visibility").substr(0, 6), "hidden");
}

void keep(Attributes& found, std::string_view name, std::string_view value) {
    switch (name.size()) {
        case 2:
            if (equal_lower(name, "id")) found.id = value;
            break;
        case 4:
            if (equal_lower(name, "role")) found.role = value;
            else if (equal_lower(name, "type")) found.type = value.substr(0, 40);
            else if (equal_lower(name, "open")) found.open = true;
            else if (equal_lower(name, "name")) found.name = value;
            break;
        case 5:
            if (equal_lower(name, "class")) found.class_ = value;
            else if (equal_lower(name, "style")) keep_style(found, value.substr(0, kMaxStyle));
            break;
        case 6:
            if (equal_lower(name, "hidden")) found.hidden = true;
            break;
        case 7:
            if (equal_lower(name, "content")) found.content = value;
            else if (equal_lower(name, "display")) found.display = display_of(value);
            break;
        case 8:
            if (equal_lower(name, "itemprop")) found.itemprop = value;
            else if (equal_lower(name, "property")) found.property = value;
            break;
        case 11:
            if (equal_lower(name, "aria-hidden") && equal_lower(value, "true")) found.aria_hidden = true;
            break;
        case 14:
            if (equal_lower(name, "shadowrootmode")) found.shadow = value;
            break;
        default: break;
    }
}

}  // namespace

bool equal_lower(std::string_view text, std::string_view lower) {
    if (text.size() != lower.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if ((is_upper(text[i]) ? text[i] | 0x20 : text[i]) != lower[i]) return false;
    }
    return true;
}

bool contains_lower(std::string_view text, std::string_view lower) {
    for (std::size_t i = 0; i + lower.size() <= text.size(); ++i) {
        if (equal_lower(text.substr(i, lower.size()), lower)) return true;
    }
    return false;
}

Attributes read_attributes(std::string_view html, std::size_t& position) {
    Attributes found;
    while (position < html.size()) {
        while (position < html.size() && (is_space(html[position]) || html[position] == '/')) ++position;
        if (position >= html.size() || html[position] == '>') break;
        const std::size_t start = position++;
        while (position < html.size() && !is_space(html[position]) && html[position] != '=' && html[position] != '>' &&
               html[position] != '/')
            ++position;
        const std::string_view name = html.substr(start, position - start);
        pass_spaces(html, position);
        std::string_view value;
        if (position < html.size() && html[position] == '=') value = read_value(html, position);
        keep(found, name, value);
    }
    found.closes_itself = position > 0 && html[position - 1] == '/';
    ++position;
    return found;
}

}  // namespace glassmill::html
