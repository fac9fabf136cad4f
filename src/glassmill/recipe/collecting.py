"""Settings of what comes before the corpus: the demo's web, crawls, lists, and files of every kind."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from glassmill.recipe.base import Settings


class MiniwebSettings(Settings):
    """The generated town and its polluted web."""

    pages: int = Field(4000, ge=50, description="pages over all WARC files, junk included")
    people: int = Field(48, ge=8, le=400, description="people whose facts the pages tell")
    conversations: int = Field(3000, ge=20, description="conversations for sft")
    false_claims: int = Field(12, ge=1, le=100, description="facts that the spam lies about")
    warc_files: int = Field(4, ge=1, le=1000)


class DownloadSettings(Settings):
    """How files are fetched over HTTP."""

    tries: int = Field(8, ge=1, description="give up a file after this many failures in a row without a new byte")
    pause_s: float = Field(1.0, ge=0, description="pause before the second try; doubled each time")
    timeout_s: float = Field(60.0, gt=0, description="seconds without a byte after which a try has failed")
    user_agent: str = "glassmill (corpus builder)"


class FetchSettings(DownloadSettings):
    """Files of Common Crawl."""

    base_url: str = Field("https://data.commoncrawl.org", pattern=r"^https?://")
    kind: Literal["warc", "wet"] = Field("warc", description="warc: pages as they were sent; wet: their text")
    files: int = Field(1, ge=1, description="number of files; a WARC file has about 1 GB and 30,000 pages")
    first: int = Field(0, ge=0, description="index of the first file in the crawl's list")
    max_bytes: int = Field(20 << 30, ge=1, description="of all files together")


class CrawlSettings(Settings):
    """A polite crawl of one's own site. robots.txt is obeyed, whatever these say."""

    pause_s: float = Field(
        1.0, ge=0, description="pause between two pages; a Crawl-delay in robots.txt may lengthen it"
    )
    max_pages: int = Field(10_000, ge=1)
    max_bytes: int = Field(2 << 30, ge=1, description="of all pages together")
    max_page_bytes: int = Field(16 << 20, ge=1024)
    max_depth: int = Field(20, ge=1, description="links away from the first page")
    timeout_s: float = Field(30.0, gt=0)
    tries: int = Field(3, ge=1, description="tries for a page that fails")
    private_networks: tuple[str, ...] = Field((), description="private addresses to allow, such as 10.0.0.0/8")
    user_agent: str = "glassmill (a site's own crawler)"


class ListsSettings(DownloadSettings):
    """UT1's lists of hosts and URLs, by category (Universite Toulouse Capitole, CC BY-SA 4.0)."""

    base_url: str = Field("https://dsi.ut-capitole.fr/blacklists/download", pattern=r"^https?://")
    categories: tuple[str, ...] = ("adult", "malware", "phishing", "gambling", "cryptojacking", "ddos", "warez")
    max_bytes: int = Field(1 << 30, ge=1, description="of one category's archive")


class FilesSettings(Settings):
    """Files that hold other files or rows. A file over a limit is refused whole, with the reason."""

    text_fields: tuple[str, ...] = Field(
        ("text", "content", "body"),
        min_length=1,
        description="fields of a row of JSONL, Parquet, JSON or CSV; those present are the text, a blank line between",
    )
    title_fields: tuple[str, ...] = Field(
        ("title", "headline", "subject"), description="the first one present comes before the text"
    )
    split_characters: int = Field(
        0, ge=0, description="a longer document becomes several, cut at its own sections; 0: documents stay whole"
    )
    pdf_responses: bool = Field(False, description="also read the PDFs in WARC files; FineWeb does not")
    max_members: int = Field(250_000, ge=1, description="files in one archive")
    max_unpacked_bytes: int = Field(64 << 30, ge=1024, description="of one archive")
    max_ratio: float = Field(200.0, ge=1, description="bytes that one byte of an archive may unpack to")
