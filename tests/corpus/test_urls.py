"""The URL filter: hosts, their subdomains, pages, words."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glassmill.corpus.judge.url_lists import HashList, built_lists
from glassmill.corpus.judge.urls import MAX_HOST_LABELS, MAX_URL_CHARACTERS, UrlFilter, host_of
from glassmill.corpus.judge.web_address import listed_key, web_address
from glassmill.errors import UserError
from glassmill.recipe import UrlSettings


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> HashList:
    folder = tmp_path_factory.mktemp("lists")
    (folder / "gambling.txt").write_text(
        "# comment\nbad-bets.example\n0.0.0.0 worse-bets.example\n\nSPACES.example  # why\n"
    )
    (folder / "ut1" / "malware").mkdir(parents=True)
    (folder / "ut1" / "malware" / "domains").write_text("evil.example\nzzz\n")
    (folder / "ut1" / "malware" / "expressions").write_text("good\n")
    (folder / "ut1" / "ATTRIBUTION.txt").write_text("good.example\n")
    (folder / "ut1" / "malware" / "urls").write_text("mixed.example/bad/page.html\nhttp://www.mixed.example/other/\n")
    forms = "\ufeff*.Spiele-MÜNCHEN.example\r\n127.0.0.1 second.example third.example\n||fourth.example^\n"
    forms += (
        "HTTPS://user:pw@www.Fifth.example:443/a b/\n! eighth.example\nhttps://sixth.example.\nseventh.example why\n"
        "address=/ninth.example/0.0.0.0\ntenth.example,ads\nhxxp://eleventh[.]example/\n"
    )
    forms = forms.replace("/a b/", "/a%20b/") + "x" * 3 * MAX_URL_CHARACTERS + "\n"
    (folder / "many forms.txt").write_text(forms, encoding="utf-8", newline="")
    HashList.build([folder / "gambling.txt", folder / "ut1", folder / "many forms.txt"], folder / "built")
    return HashList.open(folder / "built")


@pytest.mark.parametrize(
    ("url", "rule", "detail"),
    [
        ("https://good.example/mill", None, ""),
        ("https://bad-bets.example/", "url/blocked_host", "bad-bets.example (gambling)"),
        ("http://WWW.bad-bets.example:8080/x", "url/blocked_host", "bad-bets.example (gambling)"),
        ("https://worse-bets.example/x", "url/blocked_host", "worse-bets.example (gambling)"),
        ("https://not-bad-bets.example/x", None, ""),
        ("https://a.b.evil.example/x", "url/blocked_host", "evil.example (malware)"),
        ("https://spaces.example/", "url/blocked_host", "spaces.example (gambling)"),
        ("https://mixed.example/bad/page.html", "url/blocked_url", "malware"),
        ("https://www.mixed.example/other", "url/blocked_url", "malware"),
        ("https://mixed.example/BAD/Page.html", "url/blocked_url", "malware"),
        ("https://mixed.example/good", None, ""),
        ("https://archive.example/web/2020/http://evil.example/", None, ""),
        ("https://anything.zzz/", "url/blocked_host", "zzz (malware)"),
        ("https://x.example/porn/1", "url/banned_word", "porn"),
        ("https://x.example/Porn", "url/banned_word", "porn"),
        ("https://x.example/pornichet", None, ""),
        ("https://x.example/casino", None, ""),
        ("https://x.example/casino-bonus", "url/soft_words", "bonus casino"),
        ("https://free-porn.example/", "url/banned_word", "porn"),
        ("https://myfreepornsite.example/", "url/banned_subword", "freeporn"),
        ("https://allowed.example/porn", None, ""),
        ("https://blocked.example/", "url/blocked_host", "blocked.example"),
        ("folder/porn.html", None, ""),
        ("http://[broken", None, ""),
        ("HTTPS://Bad-Bets.EXAMPLE/x", "url/blocked_host", "bad-bets.example (gambling)"),
        ("bad-bets.example/x", "url/blocked_host", "bad-bets.example (gambling)"),
        ("//bad-bets.example/x", "url/blocked_host", "bad-bets.example (gambling)"),
        ("www.bad-bets.example", "url/blocked_host", "bad-bets.example (gambling)"),
        ("https://user:pass@bad-bets.example./x", "url/blocked_host", "bad-bets.example (gambling)"),
        ("<https%3A%2F%2Fbad-bets.example%2Fx>", "url/blocked_host", "bad-bets.example (gambling)"),
        ("urn:pageinfo:https://bad-bets.example/x", "url/blocked_host", "bad-bets.example (gambling)"),
        ("metadata://bad-bets.example/x", "url/blocked_host", "bad-bets.example (gambling)"),
        ("dns:bad-bets.example", "url/blocked_host", "bad-bets.example (gambling)"),
        ("http:\\\\bad-bets.example\\x", "url/blocked_host", "bad-bets.example (gambling)"),
        ("http://bad%2Dbets.example/", "url/blocked_host", "bad-bets.example (gambling)"),
        ("http://bad-bets\u3002example/", "url/blocked_host", "bad-bets.example (gambling)"),
        ("mixed.example:8080/bad/page%2Ehtml", "url/blocked_url", "malware"),
        ("https://mixed.example/other#part", "url/blocked_url", "malware"),
        ("https://spiele-münchen.example/", "url/blocked_host", "xn--spiele-mnchen-3ob.example (many forms)"),
        ("https://xn--spiele-mnchen-3ob.example/", "url/blocked_host", "xn--spiele-mnchen-3ob.example (many forms)"),
        ("https://second.example/", "url/blocked_host", "second.example (many forms)"),
        ("https://third.example/", "url/blocked_host", "third.example (many forms)"),
        ("https://x.fourth.example/", "url/blocked_host", "fourth.example (many forms)"),
        ("https://fifth.example/A%20b", "url/blocked_url", "many forms"),
        ("https://sixth.example/", "url/blocked_host", "sixth.example (many forms)"),
        ("https://seventh.example/", "url/blocked_host", "seventh.example (many forms)"),
        ("https://eighth.example/", None, ""),
        ("https://ninth.example/", "url/blocked_host", "ninth.example (many forms)"),
        ("https://tenth.example/", "url/blocked_host", "tenth.example (many forms)"),
        ("https://eleventh.example/", "url/blocked_host", "eleventh.example (many forms)"),
        ("http://https://tenth.example/", "url/blocked_host", "tenth.example (many forms)"),
        ("urn:uuid:5e3a", None, ""),
        ("mailto:someone@bad-bets.example", None, ""),
        ("data:text/html,http://bad-bets.example", None, ""),
        ("file:///bad-bets.example/x", None, ""),
        ("report.pl", None, ""),
    ],
)
def test_addresses(lists: HashList, url: str, rule: str | None, detail: str) -> None:
    settings = UrlSettings(allow_hosts=("allowed.example",), block_hosts=("blocked.example",))
    verdict = UrlFilter(settings, lists).judge(url)
    assert (verdict and verdict.rule.name) == rule
    if verdict:
        assert verdict.detail == detail


def test_the_users_own_lists_win(lists: HashList, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("evil.example\nmixed.example/bad/page.html\nhttps://x.example/porn/1\n")
    mine = HashList.open(built_lists([tmp_path / "mine.txt"], tmp_path / "cache"))
    judge = UrlFilter(UrlSettings(block_hosts=("good.example",)), lists, mine).judge
    assert judge("https://a.evil.example/x") is None and judge("https://mixed.example/bad/page.html") is None
    assert judge("https://x.example/porn/1") is None and judge("https://x.example/porn/2") is not None
    assert judge("https://bad-bets.example/") is not None and judge("https://good.example/") is not None


def test_equal_lists_are_built_once_and_changed_ones_anew(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one.example\n")
    first = built_lists([tmp_path / "a.txt"], tmp_path / "cache")
    seen = first.stat().st_mtime_ns
    assert built_lists([tmp_path / "a.txt"], tmp_path / "cache") == first and first.stat().st_mtime_ns == seen
    (tmp_path / "a.txt").write_text("two.example\n")
    second = built_lists([tmp_path / "a.txt"], tmp_path / "cache")
    assert second != first and HashList.open(second).category("two.example") == "a"
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.name.endswith(".partial")] == []


def test_a_hundred_thousand_hosts_take_ten_bytes_each_and_are_all_found(tmp_path: Path) -> None:
    hosts = [f"host-{number}.example" for number in range(100_000)]
    (tmp_path / "many.txt").write_text("\n".join(hosts))
    folder = built_lists([tmp_path / "many.txt"], tmp_path / "cache")
    lists = HashList.open(folder)
    assert len(lists) == 100_000 and all(lists.category(host) == "many" for host in hosts[::97])
    assert not any(lists.category(f"other-{number}.example") for number in range(1000))
    assert sum(file.stat().st_size for file in folder.iterdir()) < 1_001_000


def test_switches() -> None:
    assert UrlFilter(UrlSettings(enabled=False)).judge("http://x.example/porn") is None
    assert UrlFilter(UrlSettings(words=False)).judge("http://x.example/porn") is None


def test_a_list_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no block list at"):
        HashList.build([tmp_path / "nothing"], tmp_path / "built")


@pytest.mark.parametrize("scheme", ["http://", "https%3a%2f%2f", "//", "urn:pageinfo:http://", "user@"])
def test_an_address_without_an_end_is_cut(scheme: str) -> None:
    """The names above a host are looked up one by one: of a host of a million labels, only the last count."""
    address = web_address(scheme + "a." * 1_000_000 + "example/x")
    assert address is None or (len(address.host) <= MAX_URL_CHARACTERS and address.host.count(".") < MAX_HOST_LABELS)
    assert UrlFilter(UrlSettings()).judge(scheme + "a." * 1_000_000) is None


@given(st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z]{2,9}){1,3}(/[a-z0-9]{0,9}){0,3}", fullmatch=True))
def test_a_line_of_a_list_and_an_address_have_the_same_key(address: str) -> None:
    found = web_address(f"https://www.{address}/")
    assert found and found.key == listed_key(address) == listed_key(f"HTTP://{address.upper()}")


def test_the_users_own_hosts_are_read_like_lists() -> None:
    settings = UrlSettings(allow_hosts=("https://Fine.example/",), block_hosts=("*.Bücher.example", "other.example."))
    judge = UrlFilter(settings).judge
    assert judge("https://x.fine.example/porn") is None
    assert judge("https://xn--bcher-kva.example/") and judge("https://www.other.example/")


@given(st.text(max_size=60))
def test_no_address_breaks_the_filter(url: str) -> None:
    UrlFilter(UrlSettings()).judge("http://" + url)
    host_of(url)
