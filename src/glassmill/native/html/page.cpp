#include "html/page.hpp"

#include <cstring>

#include "html/article_body.hpp"
#include "html/attributes.hpp"
#include "html/blocks.hpp"
#include "html/flags.hpp"
#include "html/names.hpp"

namespace glassmill::html {
namespace {

constexpr auto npos = std::string_view::npos;

std::uint32_t mix(std::uint32_t hash, std::string_view text) {
    for (char symbol : text) hash = (hash ^ static_cast<unsigned char>(symbol)) * 16777619u;
    return hash;
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
        blocks_.end();
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
        } else if (in_foreign() && html_.substr(position_, 9) == "<![CDATA[") {
            std::size_t end = no_cdata_end_ ? npos : html_.find("]]>", position_);
            no_cdata_end_ = end == npos;
            position_ = after(end, 3);
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
        if (info.traits & kLeavesSvg) leave_svg();
        const bool foreign = info.tag == Tag::svg || info.tag == Tag::math || in_foreign();
        if (foreign && attributes.closes_itself) return;
        if (foreign && stands_apart(info)) blocks_.space();
        if (foreign && info.tag == Tag::title) info.traits |= kScope;  // may hold HTML, in a drawing
        else if (info.traits & kRaw) return raw_element(info, attributes);
        if (info.tag == Tag::br) return line_break();
        if (info.tag == Tag::meta) return meta(attributes);
        if (info.tag == Tag::hr) break_line();
        if (info.traits & kVoid) return;
        if (info.tag == Tag::html || info.tag == Tag::body) return page_element(info, attributes);
        if (attributes.display == Display::block) info.traits &= static_cast<std::uint16_t>(~kInline);
        if (attributes.display == Display::inline_) info.traits |= kInline;
        imply_ends(info);
        if (!silenced(info, attributes)) return;
        if (!(info.traits & (kInline | kSilent))) break_line();
        if (info.tag == Tag::a && open_counts_[static_cast<int>(Tag::a)]) end_tag(info);
        if ((info.tag == Tag::a || info.tag == Tag::button) && last_was_link_end_ == page_.text.size()) blocks_.space();
        push(info, attributes);
    }

    // Whether the current element belongs to a drawing or a formula rather than to the page.
    bool in_foreign() const {
        if (!open_counts_[static_cast<int>(Tag::svg)] && !open_counts_[static_cast<int>(Tag::math)]) return false;
        for (std::size_t i = open_.size(); i-- > 1;) {
            Tag tag = page_.elements[open_[i]].tag;
            if (tag == Tag::svg || tag == Tag::math) return true;
            if (holds_html(tag)) return false;
        }
        return false;
    }

    // Cells of a formula's table, the parts of a fraction.
    bool stands_apart(const TagInfo& info) const {
        static const std::uint32_t cell = tag_of("mtd").hash, fraction = tag_of("mfrac").hash;
        return info.hash == cell || name_hash_.back() == fraction;
    }

    static bool holds_html(Tag tag) { return tag == Tag::foreignobject || tag == Tag::desc || tag == Tag::title; }

    void leave_svg() {
        if (!open_counts_[static_cast<int>(Tag::svg)]) return;
        for (std::size_t i = open_.size(); i-- > 1;) {
            Tag tag = page_.elements[open_[i]].tag;
            if (holds_html(tag)) return;
            if (tag == Tag::svg) pop_to(i);
        }
    }

    // Makes `info` silent where a browser shows nothing of this element. False for a template that never ends, whose
    // tag counts for nothing.
    bool silenced(TagInfo& info, const Attributes& attributes) {
        if (info.tag == Tag::template_) {
            if (closing_tag(info) == npos) return false;
            const bool shadow = equal_lower(attributes.shadow, "open") || equal_lower(attributes.shadow, "closed");
            if (shadow) info.traits &= static_cast<std::uint16_t>(~kSilent);
        } else if (info.tag == Tag::dialog) {
            if (!attributes.open && closing_tag(info) != npos) info.traits |= kSilent;
        } else if (info.traits & kInline) {
            const bool copy = is_formula_copy(info, attributes.class_) && page_.text.size() > text_at_.back();
            if (copy) info.traits |= kSilent;
            // A hidden formula stands in for an image; hidden elements of a page's own may be its whole frame.
            const bool keeps = info.tag == Tag::other || attributes.class_.find("mwe-math") != npos;
            if ((attributes.hidden || attributes.display == Display::none) && !keeps) info.traits |= kSilent | kFragile;
        }
        return true;
    }

    // KaTeX, MathJax and MediaWiki write a formula several times, for eyes, readers aloud and copying. Its first form
    // counts: these are silent if their parent has text already.
    static bool is_formula_copy(const TagInfo& info, std::string_view classes) {
        static const std::uint32_t assistive = tag_of("mjx-assistive-mml").hash;
        if (info.hash == assistive) return true;
        for (std::string_view name : {"katex-html", "katex-mathml", "MJX_Assistive_MathML", "mwe-math-mathml"}) {
            if (classes.find(name) != npos) return true;
        }
        return false;
    }

    void raw_element(const TagInfo& info, const Attributes& attributes) {
        std::size_t end = closing_tag(info);
        if (end == npos) {  // an unclosed script or style hides the rest of the page, others hide nothing
            if (info.tag == Tag::script || info.tag == Tag::style) position_ = html_.size();
            return;
        }
        std::string_view content = html_.substr(position_, end - position_);
        position_ = after(html_.find('>', end), 1);
        if (info.tag == Tag::title && page_.title.empty() && !(silent_ > 0)) {
            append_decoded(page_.title, content.substr(0, kMaxTitle), entities_);
        } else if (info.tag == Tag::script && contains_lower(attributes.type, "ld+json")) {
            std::string found = article_body_in(content);
            if (found.size() > page_.article_body.size()) page_.article_body = std::move(found);
        } else if (!(info.traits & kSilent)) {  // xmp
            break_line();
            add_text(content);
            break_line();
        }
    }

    // Where the next `</name` of this element begins. No search is repeated, whether it found something or not.
    std::size_t closing_tag(const TagInfo& info) {
        std::size_t& known = closing_[static_cast<int>(info.tag)];
        if (known >= position_ && known != 0) return known;
        for (std::size_t place = position_; (place = html_.find("</", place)) != npos; place += 2) {
            std::size_t end = place + 2;
            while (end < html_.size() && end < place + 12 && is_letter(html_[end])) ++end;
            if (tag_of(html_.substr(place + 2, end - place - 2)).hash == info.hash) return known = place;
        }
        return known = npos;
    }

    void meta(const Attributes& attributes) {
        std::string_view key = attributes.property.empty() ? attributes.name : attributes.property;
        std::string_view value = attributes.content.substr(0, kMaxTitle);
        if (equal_lower(key, "og:title") && page_.meta_title.empty())
            append_decoded(page_.meta_title, value, entities_);
        if ((equal_lower(key, "author") || equal_lower(key, "article:author")) && page_.author.empty())
            append_decoded(page_.author, value, entities_);
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
        if (!(info.traits & kInline)) close_fragile(info.tag);
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

    void close_fragile(Tag tag) {
        if (silent_ == 0 || tag == Tag::option || tag == Tag::optgroup) return;
        for (std::size_t i = 1; i < open_.size(); ++i) {
            Element& element = page_.elements[open_[i]];
            if (!(element.traits & kFragile)) continue;
            if (element.tag == Tag::select) return pop_to(i);
            element.traits &= static_cast<std::uint16_t>(~(kFragile | kSilent));
            --silent_;
        }
    }

    void end_tag(const TagInfo& info) {
        if (info.tag == Tag::br) return line_break();
        if (info.tag == Tag::html || info.tag == Tag::body) return;
        if (!open_counts_[count_key(info)]) {
            if (!(info.traits & kInline)) break_line();
            return;
        }
        bool table_part = info.tag == Tag::table || info.tag == Tag::tr || info.tag == Tag::td || info.tag == Tag::th ||
                          info.tag == Tag::tbody || info.tag == Tag::thead || info.tag == Tag::tfoot;
        for (std::size_t i = open_.size(); i-- > 1;) {
            const Element& element = page_.elements[open_[i]];
            if (name_hash_[i] == info.hash) {
                if (info.tag == Tag::a || info.tag == Tag::button) last_was_link_end_ = page_.text.size();
                return pop_to(i);
            }
            if (element.tag == Tag::template_) return;
            bool cell = element.tag == Tag::td || element.tag == Tag::th || element.tag == Tag::table;
            if (info.traits & kSilent) continue;
            if (cell && !table_part) return;
            if ((info.traits & kInline) && info.tag != Tag::a && !(element.traits & kInline)) return;
        }
    }

    static int count_key(const TagInfo& info) {
        return info.tag == Tag::other ? static_cast<int>(Tag::count) + static_cast<int>(info.hash & 127)
                                      : static_cast<int>(info.tag);
    }

    void push(const TagInfo& info, const Attributes& attributes) {
        // Past the deepest level silence alone still counts.
        const std::size_t deepest = kMaxDepth + (info.traits & kSilent ? kMaxDepth : 0);
        if (open_.size() >= deepest || page_.elements.size() >= kMaxElements) return;
        Element element;
        element.parent = open_.empty() ? -1 : open_.back();
        element.depth = static_cast<std::uint16_t>(open_.size());
        element.tag = info.tag;
        element.traits = info.traits;
        element.kind = mix(info.hash, attributes.class_.substr(0, 200));
        element.flags = flags_of(info.tag) | flags_of_role(attributes.role);
        const bool hidden = attributes.hidden || attributes.aria_hidden || attributes.display == Display::none;
        if (hidden) element.flags |= kHidden;
        if (element.parent >= 0) element.flags |= page_.elements[element.parent].flags;
        for (std::string_view value : {attributes.class_, attributes.id, attributes.role, attributes.itemprop}) {
            if (!value.empty()) element.names |= names_in(value.substr(0, 300));
        }
        silent_ += (info.traits & kSilent) != 0;
        ++open_counts_[count_key(info)];
        open_.push_back(static_cast<std::int32_t>(page_.elements.size()));
        name_hash_.push_back(info.hash);
        text_at_.push_back(page_.text.size());
        page_.elements.push_back(element);
    }

    void pop_to(std::size_t size) {
        while (open_.size() > size) pop();
    }

    void pop() {
        Element& element = page_.elements[open_.back()];
        if (!(element.traits & kInline)) break_line();
        element.end = static_cast<std::int32_t>(page_.elements.size());
        silent_ -= (element.traits & kSilent) != 0;
        --open_counts_[count_key(TagInfo{element.tag, element.traits, name_hash_.back()})];
        open_.pop_back();
        name_hash_.pop_back();
        text_at_.pop_back();
    }

    void line_break() {
        if (silent_ == 0) blocks_.line_break();
    }

    void add_text(std::string_view raw) {
        if (silent_ == 0) blocks_.add(raw, open_.back(), open_counts_[static_cast<int>(Tag::math)] > 0);
    }

    // Before and after a block-level element; one that is not shown breaks no line.
    void break_line() {
        if (silent_ == 0) blocks_.end();
    }

    std::string_view html_;
    const Entities& entities_;
    Page page_;
    Blocks blocks_{page_, entities_};
    std::size_t position_ = 0;
    std::vector<std::int32_t> open_;
    std::vector<std::uint32_t> name_hash_;
    std::uint32_t open_counts_[static_cast<int>(Tag::count) + 128] = {};
    std::vector<std::size_t> text_at_;                        // the text's length where each open element begins
    std::size_t closing_[static_cast<int>(Tag::count)] = {};  // by tag: its next end, npos if there is none
    bool no_comment_end_ = false, no_cdata_end_ = false;
    int silent_ = 0;
    std::size_t last_was_link_end_ = npos;
};

}  // namespace

Page read_page(std::string_view html, const Entities& entities) { return Reader(html, entities).read(); }

}  // namespace glassmill::html
