"""Settings of the corpus stage, in the order of its steps. Defaults are FineWeb's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from glassmill.recipe.base import Settings, resolved_here, runtime, user_file, user_files
from glassmill.recipe.collecting import FilesSettings


class UrlSettings(Settings):
    """Unwanted URLs."""

    enabled: bool = True
    blocklists: tuple[str, ...] = user_files(description="files with one host or URL a line, or folders of such files")
    allowlists: tuple[str, ...] = user_files(description="the same, for hosts and URLs that are never dropped")
    block_hosts: tuple[str, ...] = Field((), description="hosts to drop")
    allow_hosts: tuple[str, ...] = Field((), description="hosts that are never dropped")
    words: bool = Field(True, description="also drop URLs that contain suspicious words")
    soft_words: int = Field(2, ge=1, description="a page with this many suspicious words in its URL is dropped")


class ExtractSettings(Settings):
    """Bytes to text. A page over one of the limits is read by a simpler parser: it could crash resiliparse."""

    engine: Literal["auto", "glassmill", "resiliparse"] = resolved_here(
        "auto",
        description="glassmill needs the native core; auto: glassmill where the core is built, else resiliparse. "
        "The two give different texts, so the run's identity names the one that was used",
    )
    main_content: bool = Field(True, description="drop menus, footers and the like")
    max_page_bytes: int = Field(8 << 20, ge=1024)
    max_tags: int = Field(200_000, ge=100)
    max_depth: int = Field(1000, ge=10)
    max_attributes: int = Field(2000, ge=10, description="of one tag")
    max_options: int = Field(1000, ge=1, description="<option> tags of one page; if it has more, all are dropped")


class LanguageSettings(Settings):
    """fastText's language identification."""

    enabled: bool = True
    languages: tuple[str, ...] = Field(("en",), description="ISO 639 codes; empty: every language")
    min_score: float = Field(0.65, ge=0, le=1)
    characters: int = Field(2000, ge=100, description="how many characters of a page are classified")
    whole: bool = Field(
        False,
        description="classify the whole text in parts of so many characters: the language with most letters "
        "counts, and tables and program code don't",
    )


class GopherRepetitionSettings(Settings):
    """Text that repeats itself (Gopher, table A1). A share is of the elements, or of the characters."""

    enabled: bool = True
    duplicate_paragraphs: float = 0.30
    duplicate_paragraph_characters: float = 0.20
    duplicate_lines: float = 0.30
    duplicate_line_characters: float = 0.20
    top_ngram: tuple[tuple[int, float], ...] = ((2, 0.20), (3, 0.18), (4, 0.16))
    duplicate_ngrams: tuple[tuple[int, float], ...] = (
        (5, 0.15),
        (6, 0.14),
        (7, 0.13),
        (8, 0.12),
        (9, 0.11),
        (10, 0.10),
    )


class GopherQualitySettings(Settings):
    """Text that is not prose (Gopher, appendix A1.1)."""

    enabled: bool = True
    min_words: int = 50
    max_words: int = 100_000
    min_word_length: float = 3
    max_word_length: float = 10
    max_symbol_share: float = Field(0.1, description="hash signs per word, and ellipses per word")
    max_bullet_lines: float = 0.9
    max_ellipsis_lines: float = 0.3
    min_alphabetic_words: float = 0.8
    min_stop_words: int = 2


class C4Settings(Settings):
    """C4's line rules, without the one that requires a full stop at the end of every line."""

    enabled: bool = True
    max_word_length: int = 1000
    min_line_words: int = 3
    min_sentences: int = 5
    curly_brace: bool = Field(True, description="a curly brace drops the document")


class FinewebSettings(Settings):
    """The rules that FineWeb added."""

    enabled: bool = True
    min_punctuated_lines: float = 0.12
    short_line: int = 30
    max_short_lines: float = 0.67
    max_duplicate_line_characters: float = 0.01
    max_newlines_per_word: float = 0.3


class ClassifierSettings(Settings):
    """Your own quality classifier, after the rules. Off without a path."""

    path: str | None = user_file(None, description="the folder that `glassmill classifier train` wrote")
    min_score: float = Field(
        0.0, ge=0, le=1, description="documents with a lower score are dropped; 0: scores are only stored"
    )


class DedupSettings(Settings):
    """Duplicates: equal texts, and MinHash near duplicates, of which two are found with probability
    1 - (1 - s^rows)^bands at similarity s."""

    enabled: bool = True
    near: bool = Field(
        True, description="also near duplicates; false: only texts that differ in nothing but punctuation and case"
    )
    num_bands: int = Field(14, ge=1, le=64)
    rows_per_band: int = Field(8, ge=1, le=64)
    ngram: int = Field(5, ge=1, le=20, description="words per shingle")
    against: tuple[str, ...] = user_files(description="finished corpus runs; documents that they kept are dropped here")
    index: bool = Field(True, description="store the keys of the kept documents, for the `against` of later runs")
    memory_mb: float = runtime(256, gt=0, description="memory of one search task; the rest is on disk")
    one_task: int = runtime(
        50_000_000,
        ge=0,
        description="up to so many documents the search ends in one task; above, in rounds of tasks on all machines",
    )


class PiiSettings(Settings):
    """Personal data and secrets, replaced by placeholders such as `[email]`, or by invented data of the same length
    and form."""

    enabled: bool = True
    kinds: tuple[Literal["secret", "email", "phone", "ssn", "credit_card", "iban", "ip", "address"], ...] = Field(
        ("secret", "email", "phone", "ssn", "credit_card", "iban", "ip", "address"),
        description="secret: keys of services, private keys, passwords",
    )
    replacement: Literal["placeholder", "fake"] = "placeholder"
    examples: bool = Field(
        False, description="also mask what is nobody's: ana@example.org, 203.0.113.7, 555-0134, numbers of test cards"
    )
    allow: tuple[str, ...] = Field(
        (),
        description="what stays: info@firma.de, firma.de (with its subdomains), support@ (at any host), 10.0.0.0/8, "
        "+49 30 123456",
    )
    dropped: Literal["masked", "omitted", "clear"] = Field(
        "masked", description="the texts of dropped documents, which are stored to be looked at"
    )


class CorpusSettings(Settings):
    """Web pages to clean documents. Defaults are FineWeb's."""

    inputs: tuple[str, ...] = user_files(
        description="files of every kind that `glassmill add` reads, folders or globs of them; empty: the recipe's"
        " miniweb"
    )
    exclude: tuple[str, ...] = Field(
        (),
        description="documents to take out: paths, URLs, globs, or SHA-256 of a file or text; no text of them is kept",
    )
    exclude_files: tuple[str, ...] = user_files(description="files with one such entry a line")
    files: FilesSettings = FilesSettings()
    url: UrlSettings = UrlSettings()
    extract: ExtractSettings = ExtractSettings()
    language: LanguageSettings = LanguageSettings()
    gopher_repetition: GopherRepetitionSettings = GopherRepetitionSettings()
    gopher_quality: GopherQualitySettings = GopherQualitySettings()
    c4: C4Settings = C4Settings()
    fineweb: FinewebSettings = FinewebSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    dedup: DedupSettings = DedupSettings()
    pii: PiiSettings = PiiSettings()
    page_cpu_s: float = Field(20.0, gt=0, description="CPU seconds after which a page is quarantined")
    max_record_bytes: int = Field(64 << 20, ge=1024)
    shard_mb: float = Field(
        64,
        ge=0.001,
        le=1 << 20,
        description="megabytes of input in a shard, the unit of work: small files share one, large WARC and Parquet "
        "files are cut; a small corpus is cut smaller",
    )
    layers: bool = runtime(
        True,
        description="keep the pages' texts beside the runs (runs/corpus/.layers, unmasked), so that a run with other "
        "bounds reads no page again",
    )
    workers: int = runtime(0, ge=0, description="worker processes; 0: one per core")
