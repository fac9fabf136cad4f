#include "html/names.hpp"

#include "html/phrases.hpp"

namespace glassmill::html {
namespace {

constexpr PhraseGroup kGroups[] = {
    {"near_nav", "nav menu"},
    {"near_footer", "footer colophon _foot_"},
    {"near_header", "header masthead topbar"},
    {"near_sidebar", "sidebar aside rail widget _side_"},
    {"near_related",
     "related recommend similar alsolike upsell crosssell readnext morefrom suggest trending popular verwandt empfehl "
     "mehrzum weitere outbrain taboola ligatus onward"},
    {"near_share", "share social sharing follow teilen"},
    {"near_comment", "comment disqus respond reply replies kommentar leserbrief"},
    {"near_advert", "advert sponsor promo banner _ad_ _ads_"},
    {"near_cookie", "cookie consent gdpr onetrust privacy"},
    {"near_subscribe", "subscri newsletter signup optin mailchimp abonn"},
    {"near_popup", "popup modal overlay dialog lightbox toast drawer offcanvas tooltip dropdown"},
    {"near_breadcrumb", "breadcrumb crumbs"},
    {"near_pagination", "pagination pager paging _prev _next"},
    {"near_meta", "meta byline author date posted timestamp _time"},
    {"near_tags", "_tag categor label keyword"},
    {"near_login", "login signin account cart basket wishlist checkout"},
    {"near_search", "search filter facet sort toolbar refine suche"},
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
    {"near_article_body",
     "articlebody article_body article__body articlecontent article_content article__content entrycontent "
     "entry_content postcontent post_content post_body storybody story_body story_content articletext article_text "
     "article__text richtext rich_text singlecontent single_content"},
    {"near_more", "more mehr thema readmore alsoread lesenauch siehe leggi lire czytaj lees"},
    {"near_author", "author autor auteur autore redakteur vcard byline"},
    {"near_credit", "credit copyright source quelle urheber agency"},
};
static_assert(std::size(kGroups) == static_cast<std::size_t>(Name::count));

}  // namespace

const char* name_of(Name name) { return kGroups[static_cast<int>(name)].name; }

std::uint64_t names_in(std::string_view text) {
    static const Phrases phrases(kGroups, ' ');
    return phrases.find(text);
}

}  // namespace glassmill::html
