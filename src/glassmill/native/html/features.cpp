#include "html/features.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "html/article_body.hpp"
#include "html/names.hpp"
#include "html/position.hpp"
#include "html/surroundings.hpp"

namespace glassmill::html {
namespace {

constexpr float kFar = 16;        // levels to an ancestor that does not exist
constexpr int kNameLevels = 15;   // ancestors whose names count
constexpr float kLongBlock = 80;  // characters
constexpr std::size_t kNames = static_cast<std::size_t>(Name::count);

float lg(float value) { return std::log2(1.0f + value); }
float share(float part, float whole) { return whole > 0 ? part / whole : 0; }

struct Row {  // one block's features; the first block also records their names
    std::vector<float>& values;
    std::vector<std::string>* names;

    void add(const char* name, float value) {
        values.push_back(value);
        if (names) names->push_back(name);
    }
    void add(const char* prefix, const char* name, float value) {
        values.push_back(value);
        if (names) names->push_back(std::string(prefix) + name);
    }
};

class Describer {
public:
    explicit Describer(const Page& page)
        : page_(page), around_(page), places_(positions_of(page, around_)), article_(page.article_body) {
        title_ = word_hashes(page.meta_title.empty() ? page.title : page.meta_title);
        description_ = word_hashes(page.description);
        author_ = word_hashes(page.author);
        for (std::size_t i = 0; i < page.blocks.size() && first_h1_ < 0; ++i) {
            if (tag_of(i) == Tag::h1) first_h1_ = static_cast<int>(i);
        }
    }

    Features describe(std::vector<std::string>* names) {
        Features features;
        std::vector<float> facts;
        Row page_row{facts, nullptr};
        page_facts(page_row);
        for (std::size_t i = 0; i < page_.blocks.size(); ++i) {
            std::size_t start = features.values.size();
            if (i == 1) names = nullptr;
            Row row{features.values, names};
            own(row, i);
            ancestors(row, i);
            repetition(row, i);
            roots(row, i);
            neighbours(row, i);
            cues(row, i);
            if (names) {
                page_row.names = names;
                facts.clear();
                page_facts(page_row);
            }
            features.values.insert(features.values.end(), facts.begin(), facts.end());
            features.width = features.values.size() - start;
            features.words.push_back(around_.shapes[i].words);
            before_ += around_.shapes[i].characters;
            if (heading_level(i) > 0) heading_ = static_cast<int>(i);
        }
        return features;
    }

private:
    const Element& element_of(std::size_t block) const { return page_.elements[page_.blocks[block].element]; }
    Tag tag_of(std::size_t block) const { return element_of(block).tag; }
    float heading_level(std::size_t block) const {
        return element_of(block).traits & kHeading
                   ? static_cast<float>(static_cast<int>(tag_of(block)) - static_cast<int>(Tag::h1) + 1)
                   : 0;
    }

    void own(Row& row, std::size_t i) const {
        const Shape& shape = around_.shapes[i];
        const Block& block = page_.blocks[i];
        Tag tag = tag_of(i);
        row.add("characters", lg(shape.characters));
        row.add("words", lg(shape.words));
        row.add("small_words", share(shape.small_words, shape.words));
        row.add("links", shape.links);
        row.add("sentences", std::min(shape.sentences, 20.f));
        row.add("commas", share(shape.commas, shape.words));
        row.add("digits", shape.digits);
        row.add("capitals", shape.capitals);
        row.add("prices", std::min(shape.prices, 5.f));
        row.add("bars", std::min(shape.bars, 10.f));
        row.add("ends_sentence", shape.ends_sentence);
        row.add("begins_capital", shape.begins_capital);
        row.add("code", share(static_cast<float>(block.code_bytes), static_cast<float>(block.end - block.begin)));
        row.add("breaks", static_cast<float>(std::min<int>(block.breaks, 20)));
        row.add("heading", heading_level(i));
        row.add("is_p", tag == Tag::p);
        row.add("is_div", tag == Tag::div);
        row.add("is_li", tag == Tag::li);
        row.add("is_label", tag == Tag::legend || tag == Tag::summary);
        constexpr struct {
            const char* name;
            std::uint32_t flag;
        } flags[] = {{"hidden", kHidden},          {"in_list", kInList},     {"in_table", kInTable},
                     {"in_form", kInForm},         {"in_nav", kInNav},       {"in_header", kInHeader},
                     {"in_footer", kInFooter},     {"in_aside", kInAside},   {"in_main", kInMain},
                     {"in_article", kInArticle},   {"in_quote", kInQuote},   {"in_button", kInButton},
                     {"in_noscript", kInNoscript}, {"in_figure", kInFigure}, {"in_emphasis", kInEmphasis},
                     {"in_strong", kInStrong},     {"in_small", kInSmall},   {"in_time", kInTime}};
        for (const auto& known : flags) row.add(known.name, (block.flags & known.flag) != 0);
        row.add("copies", std::min(around_.copies[i], 20.f));
        row.add("seen_before", around_.seen_before[i]);
        std::string_view text = page_.text_of(block);
        row.add("like_title", overlap(text, title_));
        row.add("like_description", overlap(text, description_));
        row.add("begins_author", overlap(text.substr(0, 50), author_));
        row.add("in_article_text", article_.share_of(text));
    }

    void cues(Row& row, std::size_t i) const {
        const Position& place = places_[i];
        for (int k = 0; k < static_cast<int>(Cue::count); ++k) {
            const char* name = name_of(static_cast<Cue>(k));
            row.add(name, place.cues >> k & 1);
            row.add("since_", name, place.since[k]);
            row.add("heading_", name, place.heading_cues >> k & 1);
        }
        row.add("since_paragraph", place.since_paragraph);
        row.add("until_paragraph", place.until_paragraph);
        row.add("prose_before", place.prose_before);
        row.add("prose_after", place.prose_after);
        row.add("root_before", place.root_before);
        row.add("run", std::min(place.run, 30.f));
        row.add("run_place", std::min(place.run_place, 30.f));
        row.add("run_left", std::min(place.run - place.run_place - 1, 30.f));
        row.add("out_of_best", place.out_of_best);
        row.add("since_root", place.since_root);
        row.add("left_in_root", place.left_in_root);
        row.add("same_beginning", place.same_beginning);
        row.add("label", place.label);
        row.add("images_before", place.images);
        row.add("images_after", i + 1 < places_.size() ? places_[i + 1].images : 0);
    }

    void ancestors(Row& row, std::size_t i) const {
        row.add("depth", static_cast<float>(element_of(i).depth));
        float levels[kNames];
        std::fill(levels, levels + kNames, kFar);
        std::uint64_t seen = 0;
        std::int32_t place = page_.blocks[i].element;
        for (int level = 0; level < kNameLevels && place > 0; ++level, place = page_.elements[place].parent) {
            std::uint64_t fresh = page_.elements[place].names & ~seen;
            seen |= fresh;
            for (; fresh; fresh &= fresh - 1) levels[std::countr_zero(fresh)] = static_cast<float>(level);
        }
        for (std::size_t k = 0; k < kNames; ++k) row.add(name_of(static_cast<Name>(k)), levels[k]);
        const Sums& whole = around_.sums[0];
        constexpr const char* prefixes[] = {"up0_", "up1_", "up2_", "up3_", "up4_", nullptr, "up6_"};
        place = page_.blocks[i].element;
        for (const char* prefix : prefixes) {
            const Sums& sums = around_.sums[place];
            if (prefix) {
                row.add(prefix, "characters", lg(sums.characters));
                row.add(prefix, "links", share(sums.links, sums.characters));
                row.add(prefix, "block_size", lg(share(sums.characters, sums.blocks)));
                row.add(prefix, "small_words", share(sums.small_words, sums.words));
                row.add(prefix, "paragraphs", share(sums.paragraph, whole.paragraph));
            }
            if (page_.elements[place].parent > 0) place = page_.elements[place].parent;
        }
    }

    // The nearest ancestor that is one of several of its kind, and the largest such group.
    void repetition(Row& row, std::size_t i) const {
        const Group none;
        const Group *near = &none, *largest = &none;
        float near_level = kFar, largest_level = kFar;
        std::int32_t place = page_.blocks[i].element;
        for (int level = 0; level < kNameLevels && place > 0; ++level, place = page_.elements[place].parent) {
            const Group* group = around_.group_of(place);
            if (!group || group->members < 3) continue;
            if (near == &none) near = group, near_level = static_cast<float>(level);
            if (group->characters > largest->characters) largest = group, largest_level = static_cast<float>(level);
        }
        row.add("repeat_level", near_level);
        row.add("repeat_members", lg(near->members));
        row.add("repeat_size", lg(share(near->characters, near->members)));
        row.add("repeat_links", share(near->links, near->characters));
        row.add("group_level", largest_level);
        row.add("group_members", lg(largest->members));
        row.add("group_size", lg(share(largest->characters, largest->members)));
        row.add("group_links", share(largest->links, largest->characters));
        row.add("group_share", share(largest->characters, around_.sums[0].characters));
    }

    void roots(Row& row, std::size_t i) const {
        constexpr const char* outs[] = {"out_of_root50", "out_of_root75", "out_of_root90"};
        constexpr const char* belows[] = {"below_root50", "below_root75", "below_root90"};
        for (int k = 0; k < kRoots; ++k) {
            row.add(outs[k], around_.levels_up(around_.roots[k], page_.blocks[i].element));
            row.add(belows[k], around_.levels_up(page_.blocks[i].element, around_.roots[k]));
        }
    }

    void neighbours(Row& row, std::size_t i) const {
        auto count = static_cast<int>(page_.blocks.size()), at = static_cast<int>(i);
        row.add("place", static_cast<float>(i) / static_cast<float>(count));
        row.add("text_before", share(before_, around_.sums[0].characters));
        row.add("characters_before", lg(before_));
        constexpr struct {
            const char* prefix;
            int step;
        } steps[] = {{"before_", -1}, {"after_", 1}};
        for (const auto& [prefix, step] : steps) {
            bool there = at + step >= 0 && at + step < count;
            row.add(prefix, "characters", there ? lg(around_.shapes[at + step].characters) : -1.f);
            row.add(prefix, "links", there ? around_.shapes[at + step].links : 0.f);
            row.add(prefix, "ends_sentence", there && around_.shapes[at + step].ends_sentence);
        }
        constexpr struct {
            const char* prefix;
            int from, to;
        } reaches[] = {{"around4_", -4, 5},   {"around12_", -12, 13}, {"before3_", -3, 0},
                       {"before10_", -10, 0}, {"after3_", 1, 4},      {"after10_", 1, 11}};
        for (const auto& [prefix, from, to] : reaches) {
            Sums sums = around_.between(std::clamp(at + from, 0, count), std::clamp(at + to, 0, count));
            row.add(prefix, "characters", lg(sums.characters));
            row.add(prefix, "links", share(sums.links, sums.characters));
            row.add(prefix, "small_words", share(sums.small_words, sums.words));
            row.add(prefix, "paragraphs", lg(sums.paragraph));
        }
        row.add("after_h1", first_h1_ < 0 ? 0.f : static_cast<float>(std::clamp(at - first_h1_, -50, 200)));
        row.add("since_heading", heading_ < 0 ? -1.f : static_cast<float>(std::min(at - heading_, 50)));
        row.add("last_heading", heading_ < 0 ? 0.f : heading_level(static_cast<std::size_t>(heading_)));
    }

    void page_facts(Row& row) const {
        const Sums& whole = around_.sums[0];
        float long_characters = 0, long_blocks = 0, prices = 0, code = 0, hidden = 0;
        float forum = 0, product = 0, comments = 0;
        for (std::size_t i = 0; i < page_.blocks.size(); ++i) {
            const Shape& shape = around_.shapes[i];
            const Block& block = page_.blocks[i];
            if (shape.characters >= kLongBlock && shape.links < 0.3f)
                long_characters += shape.characters, ++long_blocks;
            prices += shape.prices;
            code += static_cast<float>(block.code_bytes);
            if (block.flags & kHidden) hidden += shape.characters;
            std::uint64_t names = around_.inherited_names[block.element];
            if (names & bit(Name::forum)) forum += shape.characters;
            if (names & bit(Name::product)) product += shape.characters;
            if (names & bit(Name::comment)) comments += shape.characters;
        }
        auto count = [this](Tag tag) { return static_cast<float>(page_.counts[static_cast<int>(tag)]); };
        row.add("page_characters", lg(whole.characters));
        row.add("page_blocks", lg(whole.blocks));
        row.add("page_links", share(whole.links, whole.characters));
        row.add("page_small_words", share(whole.small_words, whole.words));
        row.add("page_long", share(long_characters, whole.characters));
        row.add("page_long_blocks", lg(long_blocks));
        row.add("page_long_size", share(long_characters, long_blocks));
        row.add("page_forum", share(forum, whole.characters));
        row.add("page_product", share(product, whole.characters));
        row.add("page_comments", share(comments, whole.characters));
        row.add("page_hidden", share(hidden, whole.characters));
        row.add("page_prices", lg(prices));
        row.add("page_code", share(code, whole.characters));
        row.add("page_headings", lg(count(Tag::h2) + count(Tag::h3) + count(Tag::h4)));
        row.add("page_h1", std::min(count(Tag::h1), 10.f));
        row.add("page_articles", lg(count(Tag::article)));
        row.add("page_mains", std::min(count(Tag::main), 3.f));
        row.add("page_images", lg(count(Tag::img)));
        row.add("page_lists", lg(count(Tag::li)));
        row.add("page_rows", lg(count(Tag::tr)));
        row.add("page_times", lg(count(Tag::time)));
        row.add("page_inputs", lg(count(Tag::input)));
        row.add("page_sections", lg(count(Tag::section)));
        row.add("og_article", page_.og_type == "article");
        row.add("og_product", page_.og_type.find("product") != std::string::npos);
        constexpr const char* shares[] = {"root50_share", "root75_share", "root90_share"};
        constexpr const char* links[] = {"root50_links", "root75_links", "root90_links"};
        for (int k = 0; k < kRoots; ++k) {
            const Sums& sums = around_.sums[around_.roots[k]];
            row.add(shares[k], share(sums.characters, whole.characters));
            row.add(links[k], share(sums.links, sums.characters));
        }
    }

    const Page& page_;
    Surroundings around_;
    std::vector<Position> places_;
    ArticleBody article_;
    std::vector<std::uint64_t> title_, description_, author_;
    float before_ = 0;                  // characters
    int heading_ = -1, first_h1_ = -1;  // blocks
};

}  // namespace

Features features_of(const Page& page) { return Describer(page).describe(nullptr); }

const std::vector<std::string>& feature_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> found;
        Page page = read_page("<p>A page.</p>", Entities{});
        Describer(page).describe(&found);
        return found;
    }();
    return names;
}

}  // namespace glassmill::html
