#include "html/names.hpp"

#include <queue>

namespace glassmill::html {
namespace {

struct Group {
    const char* name;
    const char* words;  // separated by spaces; "_" matches anything but a letter
};

constexpr Group kGroups[] = {
    {"near_nav", "nav menu"},
    {"near_footer", "footer colophon _foot_"},
    {"near_header", "header masthead topbar"},
    {"near_sidebar", "sidebar aside rail widget _side_"},
    {"near_related", "related recommend similar alsolike upsell crosssell readnext morefrom suggest trending popular"},
    {"near_share", "share social sharing follow"},
    {"near_comment", "comment disqus respond reply replies"},
    {"near_advert", "advert sponsor promo banner _ad_ _ads_"},
    {"near_cookie", "cookie consent gdpr onetrust privacy"},
    {"near_subscribe", "subscri newsletter signup optin mailchimp"},
    {"near_popup", "popup modal overlay dialog lightbox toast drawer offcanvas tooltip dropdown"},
    {"near_breadcrumb", "breadcrumb crumbs"},
    {"near_pagination", "pagination pager paging _prev _next"},
    {"near_meta", "meta byline author date posted timestamp _time"},
    {"near_tags", "_tag categor label keyword"},
    {"near_login", "login signin account cart basket wishlist checkout"},
    {"near_search", "search filter facet sort toolbar refine"},
    {"near_toc", "_toc tableofcontents onthispage outline"},
    {"near_content", "content"},
    {"near_post", "post entry blog article story"},
    {"near_main", "main"},
    {"near_text", "body text copy prose richtext _rte markdown wysiwyg"},
    {"near_product", "product _pdp"},
    {"near_item", "item"},
    {"near_description", "descri summary excerpt intro lead dek"},
    {"near_review", "review rating testimonial stars"},
    {"near_forum", "thread topic message question answer forum bbcode discussion"},
    {"near_card", "card grid tile teaser"},
    {"near_slider", "carousel slider slide swiper slick"},
    {"near_list", "list results feed archive"},
    {"near_hero", "hero jumbotron"},
    {"near_button", "cta button _btn calltoaction"},
    {"near_toggle", "faq accordion collaps toggle panel"},
    {"near_spec", "spec feature attribute detail"},
    {"near_user", "signature avatar profile user member _bio"},
    {"near_hidden", "hidden sronly screenreader _none invisible offscreen assistive"},
    {"near_figure", "caption figure gallery image photo thumb media video"},
    {"near_legal", "disclaimer legal copyright terms"},
    {"near_count", "like vote count view score badge stat"},
    {"near_title", "title heading headline"},
    {"near_section", "section block row column"},
    {"near_form", "form input field"},
    {"near_price", "price cost amount"},
    {"near_reference", "reference footnote citation bibliog"},
};
static_assert(sizeof(kGroups) / sizeof(Group) == static_cast<std::size_t>(Name::count));

int letter_of(char symbol) {
    if (symbol >= 'a' && symbol <= 'z') return symbol - 'a' + 1;
    if (symbol >= 'A' && symbol <= 'Z') return symbol - 'A' + 1;
    return 0;
}

class Automaton {
public:
    Automaton() {
        add_state();
        for (std::size_t group = 0; group < static_cast<std::size_t>(Name::count); ++group) {
            std::string_view words = kGroups[group].words;
            for (std::size_t start = 0, end; start < words.size(); start = end + 1) {
                end = std::min(words.find(' ', start), words.size());
                std::size_t state = 0;
                for (char symbol : words.substr(start, end - start)) state = step_to(state, letter_of(symbol));
                found_[state] |= std::uint64_t{1} << group;
            }
        }
        fill_gaps();
    }

    std::uint64_t find(std::string_view text) const {
        std::uint64_t bits = 0;
        auto state = static_cast<std::size_t>(next_[0][0]);  // as after something other than a letter
        for (char symbol : text) {
            state = static_cast<std::size_t>(next_[state][static_cast<std::size_t>(letter_of(symbol))]);
            bits |= found_[state];
        }
        return bits | found_[static_cast<std::size_t>(next_[state][0])];
    }

private:
    std::size_t add_state() {
        next_.emplace_back();
        next_.back().fill(-1);
        found_.push_back(0);
        return next_.size() - 1;
    }

    std::size_t step_to(std::size_t state, int letter) {
        auto place = static_cast<std::size_t>(letter);
        if (next_[state][place] < 0) {
            auto fresh = static_cast<std::int16_t>(add_state());
            next_[state][place] = fresh;
        }
        return static_cast<std::size_t>(next_[state][place]);
    }

    // A letter without a transition goes where the longest known suffix goes.
    void fill_gaps() {
        std::vector<std::size_t> suffix(next_.size(), 0);
        std::queue<std::size_t> states;
        for (auto& target : next_[0]) {
            if (target < 0) target = 0;
            else states.push(static_cast<std::size_t>(target));
        }
        for (; !states.empty(); states.pop()) {
            std::size_t state = states.front();
            found_[state] |= found_[suffix[state]];
            for (std::size_t letter = 0; letter < next_[state].size(); ++letter) {
                std::int16_t other = next_[suffix[state]][letter];
                if (next_[state][letter] < 0) {
                    next_[state][letter] = other;
                } else {
                    suffix[static_cast<std::size_t>(next_[state][letter])] = static_cast<std::size_t>(other);
                    states.push(static_cast<std::size_t>(next_[state][letter]));
                }
            }
        }
    }

    std::vector<std::array<std::int16_t, 27>> next_;
    std::vector<std::uint64_t> found_;
};

}  // namespace

const char* name_of(Name name) { return kGroups[static_cast<int>(name)].name; }

std::uint64_t names_in(std::string_view text) {
    static const Automaton automaton;
    return text.empty() ? 0 : automaton.find(text);
}

}  // namespace glassmill::html
