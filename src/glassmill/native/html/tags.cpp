#include "html/tags.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace glassmill::html {
namespace {

constexpr std::string_view kNames =
    "a abbr acronym address annotation annotation-xml article aside audio b base bdi bdo big blockquote body br "
    "button canvas caption center cite code col colgroup data datalist dd del desc details dfn dialog dir div dl "
    "dt em embed fieldset figcaption figure font footer foreignobject form h1 h2 h3 h4 h5 h6 head header hgroup "
    "hr html i iframe img input ins kbd label legend li link listing main mark marquee math menu meta meter nav "
    "noembed noframes noscript object ol optgroup option output p param picture plaintext pre progress q rp rt "
    "ruby s samp script search section select small source span strike strong style sub summary sup svg table "
    "tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr xmp";
static_assert(std::count(kNames.begin(), kNames.end(), ' ') + 2 == static_cast<int>(Tag::count),
              "a name for every tag");
// Displayed as blocks by the standard's suggested style (section 15.3); any other element, known or not, stays in the
// line.
constexpr std::string_view kBlockNames =
    " address article aside blockquote body caption center col colgroup dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li listing main menu nav "
    "ol optgroup option p plaintext pre search section summary table tbody td tfoot th thead tr ul xmp ";
constexpr std::string_view kVoidNames = " base br col embed hr img input link meta param source track wbr ";
constexpr std::string_view kRawNames = " iframe noembed noframes script style textarea title xmp ";
constexpr std::string_view kSilentNames =
    " annotation annotation-xml audio canvas datalist iframe meter noembed noframes progress rp script select "
    "style svg template textarea title video ";
constexpr std::string_view kClosesPNames =
    " address article aside blockquote center details dialog dir div dl dd dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr li listing main menu nav ol p plaintext pre search section summary "
    "table ul xmp ";
constexpr std::string_view kScopeNames = " button caption desc foreignobject html marquee object table td template th ";
constexpr std::string_view kFragileNames = " select ";
constexpr std::string_view kLeavesSvgNames =  // section 13.2.6.5
    " b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu "
    "meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var ";
constexpr std::string_view kHeadingNames = " h1 h2 h3 h4 h5 h6 ";

bool listed(std::string_view names, const std::string& name) {
    return names.find(" " + name + " ") != std::string_view::npos;
}

std::uint32_t hash_of(std::string_view lower) {
    std::uint32_t hash = 2166136261u;
    for (char letter : lower) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619u;
    return hash;
}

std::unordered_map<std::string, TagInfo> make_table() {
    std::unordered_map<std::string, TagInfo> table;
    std::size_t start = 0;
    for (int number = 1; number < static_cast<int>(Tag::count); ++number) {
        std::size_t end = kNames.find(' ', start);
        std::string name(kNames.substr(start, end == std::string_view::npos ? end : end - start));
        start = end + 1;
        std::uint16_t traits = 0;
        if (!listed(kBlockNames, name)) traits |= kInline;
        if (listed(kVoidNames, name)) traits |= kVoid;
        if (listed(kRawNames, name)) traits |= kRaw;
        if (listed(kSilentNames, name)) traits |= kSilent;
        if (listed(kClosesPNames, name)) traits |= kClosesP;
        if (listed(kScopeNames, name)) traits |= kScope;
        if (listed(kFragileNames, name)) traits |= kFragile;
        if (listed(kLeavesSvgNames, name)) traits |= kLeavesSvg;
        if (listed(kHeadingNames, name)) traits |= kHeading;
        table.emplace(name, TagInfo{static_cast<Tag>(number), traits, hash_of(name)});
    }
    return table;
}

}  // namespace

TagInfo tag_of(std::string_view name) {
    static const auto table = make_table();
    std::string lower(name.substr(0, 40));
    for (char& letter : lower) {
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter | 0x20);
    }
    auto found = table.find(lower);
    return found == table.end() ? TagInfo{Tag::other, kInline, hash_of(lower)} : found->second;
}

}  // namespace glassmill::html
