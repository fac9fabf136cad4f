// The elements of HTML that matter for text, and how each affects line breaks.
// Source: https://html.spec.whatwg.org/ (sections 4 and 13.2), as far as a linear reader needs them.
#pragma once

#include <cstdint>
#include <string_view>

namespace glassmill::html {

enum class Tag : std::uint8_t {
    other,
    a,
    abbr,
    acronym,
    address,
    annotation,
    annotation_xml,
    article,
    aside,
    audio,
    b,
    base,
    bdi,
    bdo,
    big,
    blockquote,
    body,
    br,
    button,
    canvas,
    caption,
    center,
    cite,
    code,
    col,
    colgroup,
    data,
    datalist,
    dd,
    del,
    desc,
    details,
    dfn,
    dialog,
    dir,
    div,
    dl,
    dt,
    em,
    embed,
    fieldset,
    figcaption,
    figure,
    font,
    footer,
    foreignobject,
    form,
    h1,
    h2,
    h3,
    h4,
    h5,
    h6,
    head,
    header,
    hgroup,
    hr,
    html,
    i,
    iframe,
    img,
    input,
    ins,
    kbd,
    label,
    legend,
    li,
    link,
    listing,
    main,
    mark,
    marquee,
    math,
    menu,
    meta,
    meter,
    nav,
    noembed,
    noframes,
    noscript,
    object,
    ol,
    optgroup,
    option,
    output,
    p,
    param,
    picture,
    plaintext,
    pre,
    progress,
    q,
    rp,
    rt,
    ruby,
    s,
    samp,
    script,
    search,
    section,
    select,
    small,
    source,
    span,
    strike,
    strong,
    style,
    sub,
    summary,
    sup,
    svg,
    table,
    tbody,
    td,
    template_,
    textarea,
    tfoot,
    th,
    thead,
    time,
    title,
    tr,
    track,
    tt,
    u,
    ul,
    var,
    video,
    wbr,
    xmp,
    count
};

enum TagTrait : std::uint16_t {
    kInline = 1,    // does not break the line
    kVoid = 2,      // has no content
    kRaw = 4,       // content is text up to the closing tag, whatever it looks like
    kSilent = 8,    // content is never shown as text
    kClosesP = 16,  // an open paragraph ends before it
    kScope = 32,    // implied ends stop at it
    kFragile = 64,  // silent only up to the first block-level tag inside
    kHeading = 128,
    kLeavesSvg = 256,  // not part of a drawing: ends an open svg
};

struct TagInfo {
    Tag tag = Tag::other;
    std::uint16_t traits = 0;
    std::uint32_t hash = 0;  // of the lower-cased name
};

// The element of that name, in any case.
TagInfo tag_of(std::string_view name);

}  // namespace glassmill::html
