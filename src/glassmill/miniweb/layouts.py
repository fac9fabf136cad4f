"""HTML around the main content, in eight styles of real sites: header, menus, side columns, scripts, footers.

In: a page made of blocks. Out: its HTML as text. The main content is the same in every layout; everything else is what
an extractor should remove.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from html import escape

from glassmill.miniweb.lists import Lists
from glassmill.miniweb.page import Block, Page

_LISTS = Lists("sites")
MENU, SIDE, USERS = _LISTS.texts("menu"), _LISTS.texts("side"), _LISTS.texts("users")


def render(page: Page, rng: random.Random) -> str:
    """The page's HTML in the layout of its site."""
    return LAYOUTS[page.site.layout](page, rng)


def newspaper(page: Page, rng: random.Random) -> str:
    """HTML5 with article, aside, JSON-LD and a share bar."""
    data = {
        "@context": "https://schema.org",
        "@type": "NewsArticle",
        "headline": page.title,
        "publisher": page.site.title,
    }
    return f"""{_head(page, '<link rel="stylesheet" href="/css/main.css">')}
<body class="story">
<header><div class="logo"><a href="/">{page.site.title}</a></div><nav><ul>{_menu(rng, 7)}</ul></nav></header>
<main>
<article itemscope itemtype="https://schema.org/NewsArticle">
<h1 itemprop="headline">{escape(page.title)}</h1>
<div class="share"><a href="#">Share</a> <a href="#">Mail</a> <a href="#">Print</a></div>
<div class="article-body" itemprop="articleBody">
{_blocks(page)}
</div>
</article>
<aside class="sidebar"><h3>{rng.choice(SIDE)}</h3><ul>{_menu(rng, 5)}</ul></aside>
</main>
<footer><ul>{_menu(rng, 4)}</ul><p>&copy; {page.site.title}. All rights reserved.</p></footer>
<script type="application/ld+json">{json.dumps(data, ensure_ascii=False)}</script>
<script>window.dataLayer=window.dataLayer||[];function track(e){{dataLayer.push({{event:e}})}}track("view");</script>
</body></html>
"""


def modern(page: Page, rng: random.Random) -> str:
    """Nested divs with generated class names, inline SVG and a noscript notice."""
    mark = f"c{rng.randrange(16**6):06x}"
    return f"""{_head(page, f"<style>.{mark}{{display:flex;margin:0 auto}} .{mark} p{{line-height:1.5}}</style>")}
<body><noscript>Please enable JavaScript to use this site.</noscript>
<div id="root"><div class="{mark} wrap"><div class="nav-bar" role="navigation">{_links(rng, 8)}</div>
<svg width="24" height="24" viewBox="0 0 24 24"><path d="M4 6h16M4 12h16M4 18h16"/></svg>
<div class="{mark} page" data-id="{rng.randrange(10**6)}"><main role="main"><div class="content-inner">
<h1 class="title">{escape(page.title)}</h1>
{_blocks(page)}
</div></main>
<div class="sidebar related-links"><h4>{rng.choice(SIDE)}</h4>{_links(rng, 5)}</div></div>
<div class="footer cookie-bar">{_links(rng, 4)}</div></div></div>
<script src="/static/app.{mark}.js" defer></script></body></html>
"""


def wiki(page: Page, rng: random.Random) -> str:
    """An encyclopedia: info box, contents, edit links, categories."""
    return f"""{_head(page, '<link rel="stylesheet" href="/load.php?modules=site.styles">')}
<body class="mediawiki ltr"><div id="mw-page-base" class="noprint"></div>
<div id="content" class="mw-body" role="main"><h1 id="firstHeading" class="firstHeading">{escape(page.title)}</h1>
<div id="bodyContent"><div id="siteSub" class="noprint">From {page.site.title}</div>
<div id="mw-content-text" class="mw-parser-output">
<table class="infobox"><tr><th>Entry</th><td>{rng.randint(100, 9999)}</td></tr></table>
{_blocks(page)}
</div><div id="catlinks" class="catlinks"><a href="/categories">Categories</a>: {_links(rng, 3)}</div></div></div>
<div id="mw-navigation"><div id="p-navigation" class="portal" role="navigation"><ul>{_menu(rng, 6)}</ul></div></div>
<div id="footer" role="contentinfo"><ul><li>This page was last edited by a bot.</li>{_menu(rng, 3)}</ul></div>
</body></html>
"""


def plain(page: Page, rng: random.Random) -> str:
    """A page from the nineties: no classes, unclosed paragraphs, rulers, upper-case tags."""
    body = "\n".join(f"<LI>{escape(block.text)}" if block.tag == "li" else
                     f"<H2>{escape(block.text)}</H2>" if block.tag == "h2" else f"<P>{escape(block.text)}"
                     for block in page.blocks)  # fmt: skip
    return f"""<HTML><HEAD><TITLE>{escape(page.title)}</TITLE>{_meta(page)}</HEAD>
<BODY BGCOLOR="#ffffff">
<H1>{escape(page.title)}</H1>
{body}
<HR>
<A HREF="/">Back</A> | <A HREF="/map{rng.randint(1, 9)}.html">Map</A>
</BODY></HTML>
"""


def blog(page: Page, rng: random.Random) -> str:
    """A weblog theme: entry header, entry content, widgets, comment form."""
    return f"""{_head(page, f'<meta name="generator" content="WordPress 5.{rng.randint(0, 9)}">')}
<body class="single single-post"><div id="page" class="site">
<header id="masthead" class="site-header"><p class="site-title"><a href="/" rel="home">{page.site.title}</a></p>
<nav id="site-navigation" class="main-navigation"><ul id="menu">{_menu(rng, 5)}</ul></nav></header>
<div id="content" class="site-content"><div id="primary" class="content-area"><main id="main" class="site-main">
<article class="post type-post hentry"><header class="entry-header">
<h1 class="entry-title">{escape(page.title)}</h1></header>
<div class="entry-content">
{_blocks(page)}
</div></article>
<form class="comment-form" action="/comment" method="post"><input name="author"><textarea name="comment"></textarea>
<button>Post comment</button></form></main></div>
<aside id="secondary" class="widget-area"><section class="widget"><h2>{rng.choice(SIDE)}</h2><ul>{_menu(rng, 6)}</ul>
</section></aside>
</div><footer id="colophon" class="site-footer"><a href="/feed">Feed</a></footer></div></body></html>
"""


def forum(page: Page, rng: random.Random) -> str:
    """A thread: every post in a box with its author's profile."""
    posts = "\n".join(_post(block, rng) for block in page.blocks)
    return f"""{_head(page, '<link rel="stylesheet" href="/styles/board.css">')}
<body id="board"><div id="wrap"><div id="page-header"><ul class="navbar">{_menu(rng, 6)}</ul></div>
<div id="page-body"><h1 class="topic-title">{escape(page.title)}</h1>
{posts}
</div><div id="page-footer"><ul>{_menu(rng, 3)}</ul><div class="copyright">Powered by a board</div></div></div>
</body></html>
"""


def shop(page: Page, rng: random.Random) -> str:
    """A product page: price box, description, other products, cart."""
    cards = "".join(f'<div class="card"><a href="/product/{rng.randint(1, 999)}">Item {rng.randint(1, 999)}</a></div>'
                    for _ in range(4))  # fmt: skip
    return f"""{_head(page, '<link rel="stylesheet" href="/shop.css">')}
<body class="product-page"><div class="top-menu"><ul>{_menu(rng, 6)}</ul><span class="cart">Cart (0)</span></div>
<div class="container"><main><div class="product">
<h1 class="product-name">{escape(page.title)}</h1>
<div class="gallery"><img src="/img/{rng.randint(1, 999)}.jpg" alt=""></div>
<div class="buy-box"><button type="button">Add to cart</button></div>
<div class="product-description" id="description">
{_blocks(page)}
</div></div></main>
<div class="sidebar related"><h3>Customers also bought</h3>{cards}</div></div>
<footer class="footer"><ul>{_menu(rng, 5)}</ul></footer></body></html>
"""


def tables(page: Page, rng: random.Random) -> str:
    """Nested tables, as before style sheets; the menu is a column."""
    cells = "".join(
        f'<tr><td class="menu"><a href="/{rng.randint(1, 99)}.html"><font size="1">{name}</font></a></td></tr>'
        for name in rng.sample(MENU, 7)
    )
    return f"""<html><head><title>{escape(page.title)} - {page.site.title}</title>{_meta(page)}</head>
<body><table width="100%" border="0"><tr><td colspan="2" class="header"><b>{page.site.title}</b></td></tr>
<tr><td width="120" valign="top"><table class="nav">{cells}</table></td>
<td valign="top"><div id="content"><h1>{escape(page.title)}</h1>
{_blocks(page)}
</div></td></tr></table></body></html>
"""


LAYOUTS: dict[str, Callable[[Page, random.Random], str]] = {
    "newspaper": newspaper,
    "modern": modern,
    "wiki": wiki,
    "plain": plain,
    "blog": blog,
    "forum": forum,
    "shop": shop,
    "tables": tables,
}


def _head(page: Page, extra: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="{page.language[:2]}"><head>{_meta(page)}\n'
        f"<title>{escape(page.title)} | {page.site.title}</title>\n"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">{extra}</head>'
    )


def _meta(page: Page) -> str:
    return f'<meta charset="{page.declared_charset}">' if page.declared_charset else ""


def _blocks(page: Page) -> str:
    """The main content; adjacent list items share one list."""
    parts: list[str] = []
    open_list = False
    for block in page.blocks:
        if (block.tag == "li") != open_list:
            parts.append("</ul>" if open_list else "<ul>")
            open_list = not open_list
        tag = "p" if block.tag == "post" else block.tag
        parts.append(f"<{tag}>{escape(block.text, quote=False)}</{tag}>")
    if open_list:
        parts.append("</ul>")
    return "\n".join(parts)


def _post(block: Block, rng: random.Random) -> str:
    return (
        f'<div class="post" id="p{rng.randrange(10**5)}">'
        f'<div class="postprofile"><a href="/u">{rng.choice(USERS)}</a></div>'
        f'<div class="postbody"><div class="content"><p>{escape(block.text, quote=False)}</p></div></div></div>'
    )


def _menu(rng: random.Random, count: int) -> str:
    return "".join(f'<li><a href="/{name.lower()}">{name}</a></li>' for name in rng.sample(MENU, count))


def _links(rng: random.Random, count: int) -> str:
    return " ".join(f'<a href="/{name.lower()}" class="link">{name}</a>' for name in rng.sample(MENU, count))
