#include "html/blocks.hpp"

#include "html/attributes.hpp"

namespace glassmill::html {

void Blocks::add(std::string_view raw, std::int32_t element, bool in_formula) {
    if (raw.empty() || page_.blocks.size() >= kMaxBlocks) return;
    if (raw.find('&') != std::string_view::npos) {
        decoded_.clear();
        append_decoded(decoded_, raw, entities_);
        raw = decoded_;
    }
    const std::uint32_t flags = page_.elements[element].flags;
    if (flags & kInPre) return add_preformatted(raw, element);
    const std::size_t before = page_.text.size();
    for (std::size_t i = 0; i < raw.size(); ++i) {
        const auto symbol = static_cast<unsigned char>(raw[i]);
        const auto third = static_cast<unsigned char>(i + 2 < raw.size() ? raw[i + 2] : 0);
        if (symbol <= ' ' || symbol == 0x7F) {
            space_ = true;
        } else if (symbol == 0xC2 && i + 1 < raw.size() && (raw[i + 1] == '\xA0' || raw[i + 1] == '\xAD')) {
            space_ |= raw[++i] == '\xA0';
        } else if (symbol == 0xE2 && raw.substr(i, 2) == "\xE2\x80" && third >= 0x8B && third <= 0x8F) {
            i += 2;  // zero-width marks
        } else if (symbol == 0xE2 && in_formula && raw.substr(i, 2) == "\xE2\x81" && third >= 0xA0 && third <= 0xA4) {
            i += 2;  // invisible operators
        } else if (symbol == 0xEF && raw.substr(i, 3) == "\xEF\xBB\xBF") {
            i += 2;
        } else {
            begin_text(element);
            page_.text += static_cast<char>(symbol);
        }
    }
    count_characters(page_.text.size() - before, flags);
}

void Blocks::add_preformatted(std::string_view raw, std::int32_t element) {
    const std::size_t before = page_.text.size();
    for (char symbol : raw) {
        if (!in_block_ && is_space(symbol)) {
            if (symbol != '\n') page_.text += ' ';
            else page_.text.resize(before);
            continue;
        }
        if (!in_block_) open(element, before);
        if (symbol == '\r' || (static_cast<unsigned char>(symbol) < ' ' && symbol != '\n' && symbol != '\t')) continue;
        page_.text += symbol;
    }
    if (!in_block_) page_.text.resize(before);
    count_characters(page_.text.size() - before, page_.elements[element].flags);
}

void Blocks::begin_text(std::int32_t element) {
    if (!in_block_) open(element, page_.text.size());
    else if (space_ && page_.text.back() != '\n' && page_.text.back() != ' ') page_.text += ' ';
    space_ = false;
}

void Blocks::open(std::int32_t element, std::size_t begin) {
    in_block_ = true;
    block_ = Block{};
    block_.begin = static_cast<std::uint32_t>(begin);
    block_.images = page_.counts[static_cast<int>(Tag::img)] + page_.counts[static_cast<int>(Tag::picture)];
    block_.flags = page_.elements[element].flags;
    while (element > 0 && (page_.elements[element].traits & kInline)) element = page_.elements[element].parent;
    block_.element = element;
}

void Blocks::count_characters(std::size_t number, std::uint32_t flags) {
    if (!in_block_) return;
    const auto added = static_cast<std::uint32_t>(number);
    if (flags & kInLink) block_.link_bytes += added;
    if (flags & kInCode) block_.code_bytes += added;
}

void Blocks::line_break() {
    if (!in_block_) return;
    while (page_.text.size() > block_.begin && page_.text.back() == ' ') page_.text.pop_back();
    if (page_.text.size() > block_.begin) page_.text += '\n';
    ++block_.breaks;
    space_ = false;
}

void Blocks::end() {
    space_ = false;
    if (!in_block_) return;
    in_block_ = false;
    while (page_.text.size() > block_.begin && is_space(page_.text.back())) page_.text.pop_back();
    block_.end = static_cast<std::uint32_t>(page_.text.size());
    if (block_.end > block_.begin) page_.blocks.push_back(block_);
}

}  // namespace glassmill::html
