#include "html/flags.hpp"

namespace glassmill::html {

std::uint32_t flags_of(Tag tag) {
    switch (tag) {
        case Tag::a: return kInLink;
        case Tag::code:
        case Tag::kbd:
        case Tag::samp:
        case Tag::tt: return kInCode;
        case Tag::pre: return kInPre | kInCode;
        case Tag::listing:
        case Tag::plaintext: return kInPre;
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
        case Tag::em:
        case Tag::i: return kInEmphasis;
        case Tag::b:
        case Tag::strong: return kInStrong;
        case Tag::small: return kInSmall;
        case Tag::time: return kInTime;
        case Tag::figure:
        case Tag::figcaption: return kInFigure;
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

}  // namespace glassmill::html
