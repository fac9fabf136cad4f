#include "html/page.hpp"

#include <cstring>

#include "html/attributes.hpp"
#include "html/names.hpp"

namespace glassmill::html {
namespace {

constexpr auto npos = std::string_view::npos;

std::uint32_t mix(std::uint32_t hash, std::string_view text) {
    for (char symbol : text) hash = (hash ^ static_cast<unsigned char>(symbol)) * 16777619u;
    return hash;
}

std::uint32_t flags_of(Tag tag) {
    switch (tag) {
        case Tag::a: return kInLink;
        case Tag::code:
        case Tag::kbd:
        case Tag::samp:
        case Tag::tt: return kInCode;
        case Tag::pre: return kInPre | kInCode;
        case Tag::li: return kInList;
        case Tag::table: return kInTable;
        case Tag::form: return kInForm;
        case Tag::nav: return kInNav;
        case Tag::header: return kInHeader;
        case Tag::footer: return kInFooter;
        case Tag::aside: return kInAside;
        case Tag::main: return kInMain;
        case Tag::article: return kInArticle;
        case Tag::blockquote:
        case Tag::q: return kInQuote;
        case Tag::noscript: return kInNoscript;
        case Tag::button:
        case Tag::label:
        case Tag::option: return kInButton;
        default: return 0;
    }
}

std::uint32_t flags_of_role(std::string_view role) {
    if (role == "navigation") return kInNav;
    if (role == "banner") return kInHeader;
    if (role == "contentinfo") return kInFooter;
    if (role == "complementary") return kInAside;
    if (role == "main") return kInMain;
    if (role == "button") return kInButton;
    return 0;
}

class Reader {
public:
    Reader(std::string_view html, const Entities& entities) : html_(html), entities_(entities) {
        page_.text.reserve(html.size() / 8);
        page_.elements.reserve(html.size() / 64);
        push(TagInfo{Tag::html, kScope, 0}, Attributes{});
    }

    Page read() {
        while (position_ < html_.size()) {
            const char* found =
                static_cast<const char*>(std::memchr(html_.data() + position_, '<', html_.size() - position_));
            std::size_t place = found ? static_cast<std::size_t>(found - html_.data()) : html_.size();
            add_text(html_.substr(position_, place - position_));
            position_ = place;
            if (found) markup();
        }
        end_block();
        while (!open_.empty()) pop();
        return std::move(page_);
    }

private:
    // At '<'.
    void markup() {
        char next = position_ + 1 < html_.size() ? html_[position_ + 1] : ' ';
        if (is_letter(next)) {
            start_tag();
        } else if (next == '/' && position_ + 2 < html_.size() && is_letter(html_[position_ + 2])) {
            std::size_t end = position_ + 2;
            while (end < html_.size() && !is_space(html_[end]) && html_[end] != '>' && html_[end] != '/') ++end;
            TagInfo info = tag_of(html_.substr(position_ + 2, end - position_ - 2));
            position_ = after(html_.find('>', end), 1);
            end_tag(info);
        } else if (html_.substr(position_, 4) == "<!--") {
            std::size_t end = no_comment_end_ ? npos : html_.find("-->", position_ + 2);
            no_comment_end_ = end == npos;
            position_ = end == npos ? position_ + 4 : end + 3;
        } else if (next == '!' || next == '?' || next == '/') {
            position_ = after(html_.find('>', position_), 1);
        } else {
            add_text(html_.substr(position_++, 1));
        }
    }

    std::size_t after(std::size_t place, std::size_t length) const {
        return place == npos ? html_.size() : place + length;
    }

    void start_tag() {
        std::size_t end = position_ + 1;
        while (end < html_.size() && !is_space(html_[end]) && html_[end] != '>' && html_[end] != '/') ++end;
        TagInfo info = tag_of(html_.substr(position_ + 1, end - position_ - 1));
        position_ = end;
        const Attributes attributes = read_attributes(html_, position_);
        ++page_.counts[static_cast<int>(info.tag)];
        if (info.traits & kRaw) return raw_element(info);
        if (info.tag == Tag::br) return line_break();
        if (info.tag == Tag::meta) return meta(attributes);
        if (info.tag == Tag::hr) end_block();
        if (info.traits & kVoid) return;
        if (info.tag == Tag::html || info.tag == Tag::body) return page_element(info, attributes);
        imply_ends(info);
        if (!(info.traits & kInline)) end_block();
        if (info.tag == Tag::a && open_counts_[static_cast<int>(Tag::a)]) end_tag(info);
        if (info.tag == Tag::a && last_was_link_end_ == page_.text.size()) space_ = true;
        push(info, attributes);
    }

    void raw_element(const TagInfo& info) {
        std::size_t end = closing_tag(info);
        if (end == npos) {  // an unclosed script or style hides the rest of the page, others hide nothing
            if (info.tag == Tag::script || info.tag == Tag::style) position_ = html_.size();
            return;
        }
        std::string_view content = html_.substr(position_, end - position_);
        position_ = after(html_.find('>', end), 1);
        if (info.tag == Tag::title && page_.title.empty() && !(silent_ > 0)) {
            append_decoded(page_.title, content.substr(0, kMaxTitle), entities_);
        } else if (!(info.traits & kSilent)) {
            add_text(content);
        }
    }

    // Where `</name` of this raw element begins. A search that found nothing is not repeated.
    std::size_t closing_tag(const TagInfo& info) {
        bool& hopeless = no_closing_tag_[static_cast<int>(info.tag)];
        if (hopeless) return npos;
        for (std::size_t place = position_; (place = html_.find("</", place)) != npos; place += 2) {
            std::size_t end = place + 2;
            while (end < html_.size() && end < place + 12 && is_letter(html_[end])) ++end;
            if (tag_of(html_.substr(place + 2, end - place - 2)).hash == info.hash) return place;
        }
        hopeless = true;
        return npos;
    }

    void meta(const Attributes& attributes) {
        std::string_view key = attributes.property.empty() ? attributes.name : attributes.property;
        std::string_view value = attributes.content.substr(0, kMaxTitle);
        if (equal_lower(key, "og:title") && page_.meta_title.empty())
            append_decoded(page_.meta_title, value, entities_);
        if (equal_lower(key, "og:type") && page_.og_type.empty()) page_.og_type = value;
        if ((equal_lower(key, "description") || equal_lower(key, "og:description")) && page_.description.empty()) {
            append_decoded(page_.description, value, entities_);
        }
    }

    // <html> and <body> occur once; their classes apply to the whole page.
    void page_element(const TagInfo&, const Attributes& attributes) {
        page_.elements[0].names |= names_in(attributes.class_.substr(0, 500));
    }

    void imply_ends(const TagInfo& info) {
        if (info.traits & kClosesP) close_within_scope(Tag::p, Tag::p);
        if (!(info.traits & kInline)) close_fragile();
        switch (info.tag) {
            case Tag::li: close_item(Tag::li, Tag::li, Tag::ul, Tag::ol); break;
            case Tag::dt:
            case Tag::dd: close_item(Tag::dt, Tag::dd, Tag::dl, Tag::dl); break;
            case Tag::option:
            case Tag::optgroup: close_item(Tag::option, Tag::option, Tag::select, Tag::select); break;
            case Tag::td:
            case Tag::th: close_item(Tag::td, Tag::th, Tag::tr, Tag::table); break;
            case Tag::tr: close_item(Tag::tr, Tag::tr, Tag::table, Tag::table); break;
            case Tag::tbody:
            case Tag::thead:
            case Tag::tfoot: close_item(Tag::tr, Tag::tr, Tag::table, Tag::table); break;
            default: break;
        }
    }

    void close_within_scope(Tag first, Tag second) {
        if (!open_counts_[static_cast<int>(first)] && !open_counts_[static_cast<int>(second)]) return;
        for (std::size_t i = open_.size(); i-- > 1;) {
            const Element& element = page_.elements[open_[i]];
            if (element.tag == first || element.tag == second) return pop_to(i);
            if (element.traits & kScope) return;
        }
    }

    // Ends an open `first` or `second` unless a `wall` is open inside it.
    void close_item(Tag first, Tag second, Tag wall, Tag other_wall) {
        if (!open_counts_[static_cast<int>(first)] && !open_counts_[static_cast<int>(second)]) return;
        for (std::size_t i = open_.size(); i-- > 1;) {
            Tag tag = page_.elements[open_[i]].tag;
            if (tag == first || tag == second) return pop_to(i);
            if (tag == wall || tag == other_wall || tag == Tag::table) return;
        }
    }

    void close_fragile() {
        if (silent_ == 0) return;
        for (std::size_t i = 1; i < open_.size(); ++i) {
            if (page_.elements[open_[i]].traits & kFragile) {
                Tag tag = page_.elements[open_[i]].tag;
                if (tag == Tag::select && page_.elements[open_.back()].tag != Tag::select &&
                    page_.elements[open_.back()].tag != Tag::option)
                    continue;
                return pop_to(i);
            }
        }
    }

    void end_tag(const TagInfo& info) {
        if (info.tag == Tag::br) return line_break();
        if (info.tag == Tag::html || info.tag == Tag::body) return;
        if (!open_counts_[count_key(info)]) {
            if (!(info.traits & kInline)) end_block();
            return;
        }
        bool table_part = info.tag == Tag::table || info.tag == Tag::tr || info.tag == Tag::td || info.tag == Tag::th ||
                          info.tag == Tag::tbody || info.tag == Tag::thead || info.tag == Tag::tfoot;
        for (std::size_t i = open_.size(); i-- > 1;) {
            const Element& element = page_.elements[open_[i]];
            if (name_hash_[i] == info.hash) {
                if (info.tag == Tag::a) last_was_link_end_ = page_.text.size();
                return pop_to(i);
            }
            bool cell = element.tag == Tag::td || element.tag == Tag::th || element.tag == Tag::table;
            if (cell && !table_part) return;
            if ((info.traits & kInline) && info.tag != Tag::a && !(element.traits & kInline)) return;
        }
    }

    static int count_key(const TagInfo& info) {
        return info.tag == Tag::other ? static_cast<int>(Tag::count) + static_cast<int>(info.hash & 127)
                                      : static_cast<int>(info.tag);
    }

    void push(const TagInfo& info, const Attributes& attributes) {
        if (open_.size() >= kMaxDepth || page_.elements.size() >= kMaxElements) return;
        Element element;
        element.parent = open_.empty() ? -1 : open_.back();
        element.depth = static_cast<std::uint16_t>(open_.size());
        element.tag = info.tag;
        element.traits = info.traits;
        element.kind = mix(info.hash, attributes.class_.substr(0, 200));
        element.flags = flags_of(info.tag) | flags_of_role(attributes.role);
        if (attributes.hidden || contains_lower(attributes.style.substr(0, 300), "display:none") ||
            contains_lower(attributes.style.substr(0, 300), "display: none"))
            element.flags |= kHidden;
        if (element.parent >= 0) element.flags |= page_.elements[element.parent].flags;
        for (std::string_view value : {attributes.class_, attributes.id, attributes.role, attributes.itemprop}) {
            if (!value.empty()) element.names |= names_in(value.substr(0, 300));
        }
        silent_ += (info.traits & kSilent) != 0;
        ++open_counts_[count_key(info)];
        open_.push_back(static_cast<std::int32_t>(page_.elements.size()));
        name_hash_.push_back(info.hash);
        page_.elements.push_back(element);
    }

    void pop_to(std::size_t size) {
        while (open_.size() > size) pop();
    }

    void pop() {
        Element& element = page_.elements[open_.back()];
        if (!(element.traits & kInline)) end_block();
        element.end = static_cast<std::int32_t>(page_.elements.size());
        silent_ -= (element.traits & kSilent) != 0;
        --open_counts_[count_key(TagInfo{element.tag, element.traits, name_hash_.back()})];
        open_.pop_back();
        name_hash_.pop_back();
    }

    void line_break() {
        if (!in_block_) return;
        while (page_.text.size() > block_.begin && page_.text.back() == ' ') page_.text.pop_back();
        if (page_.text.size() > block_.begin) page_.text += '\n';
        ++block_.breaks;
        space_ = false;
    }

    void add_text(std::string_view raw) {
        if (silent_ > 0 || raw.empty() || page_.blocks.size() >= kMaxBlocks) return;
        if (raw.find('&') != npos) {
            decoded_.clear();
            append_decoded(decoded_, raw, entities_);
            raw = decoded_;
        }
        std::uint32_t flags = page_.elements[open_.back()].flags;
        if (flags & kInPre) return add_preformatted(raw, flags);
        std::size_t before = page_.text.size();
        for (std::size_t i = 0; i < raw.size(); ++i) {
            unsigned char symbol = static_cast<unsigned char>(raw[i]);
            if (symbol <= ' ' || symbol == 0x7F) {
                space_ = true;
            } else if (symbol == 0xC2 && i + 1 < raw.size() && (raw[i + 1] == '\xA0' || raw[i + 1] == '\xAD')) {
                space_ |= raw[++i] == '\xA0';
            } else if (symbol == 0xE2 && raw.substr(i, 2) == "\xE2\x80" && i + 2 < raw.size() &&
                       static_cast<unsigned char>(raw[i + 2]) >= 0x8B &&
                       static_cast<unsigned char>(raw[i + 2]) <= 0x8F) {
                i += 2;  // zero-width marks
            } else if (symbol == 0xEF && raw.substr(i, 3) == "\xEF\xBB\xBF") {
                i += 2;
            } else {
                begin_text(flags);
                page_.text += static_cast<char>(symbol);
            }
        }
        count_characters(page_.text.size() - before, flags);
    }

    void add_preformatted(std::string_view raw, std::uint32_t flags) {
        std::size_t before = page_.text.size();
        for (char symbol : raw) {
            if (!in_block_ && is_space(symbol)) {
                if (symbol != '\n') page_.text += ' ';
                else page_.text.resize(before);
                continue;
            }
            if (!in_block_) {
                open_block(flags, static_cast<std::uint32_t>(before));
            }
            if (symbol == '\r' || (static_cast<unsigned char>(symbol) < ' ' && symbol != '\n' && symbol != '\t'))
                continue;
            page_.text += symbol;
        }
        if (!in_block_) page_.text.resize(before);
        count_characters(page_.text.size() - before, flags);
    }

    void begin_text(std::uint32_t flags) {
        if (!in_block_) open_block(flags, static_cast<std::uint32_t>(page_.text.size()));
        else if (space_ && page_.text.back() != '\n' && page_.text.back() != ' ') page_.text += ' ';
        space_ = false;
    }

    void open_block(std::uint32_t flags, std::uint32_t begin) {
        in_block_ = true;
        block_ = Block{};
        block_.begin = begin;
        block_.flags = flags;
        std::size_t i = open_.size() - 1;
        while (i > 0 && (page_.elements[open_[i]].traits & kInline)) --i;
        block_.element = open_[i];
    }

    void count_characters(std::size_t number, std::uint32_t flags) {
        if (!in_block_) return;
        auto added = static_cast<std::uint32_t>(number);
        if (flags & kInLink) block_.link_bytes += added;
        if (flags & kInCode) block_.code_bytes += added;
    }

    void end_block() {
        space_ = false;
        if (!in_block_) return;
        in_block_ = false;
        while (page_.text.size() > block_.begin && is_space(page_.text.back())) page_.text.pop_back();
        block_.end = static_cast<std::uint32_t>(page_.text.size());
        if (block_.end > block_.begin) page_.blocks.push_back(block_);
    }

    std::string_view html_;
    const Entities& entities_;
    Page page_;
    std::size_t position_ = 0;
    std::vector<std::int32_t> open_;
    std::vector<std::uint32_t> name_hash_;
    std::uint32_t open_counts_[static_cast<int>(Tag::count) + 128] = {};
    bool no_closing_tag_[static_cast<int>(Tag::count)] = {};
    bool no_comment_end_ = false;
    int silent_ = 0;
    std::string decoded_;
    Block block_;
    bool in_block_ = false, space_ = false;
    std::size_t last_was_link_end_ = npos;
};

}  // namespace

Page read_page(std::string_view html, const Entities& entities) { return Reader(html, entities).read(); }

}  // namespace glassmill::html
