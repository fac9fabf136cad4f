"""Secrets: keys of services by their prefixes, private keys, passwords and tokens in assignments and URLs.

Sources: the forms that GitHub, GitLab, AWS, Google, Slack, Stripe, OpenAI, Anthropic, Hugging Face, npm, PyPI, SendGrid
and others publish for scanners; RFC 7519 (JWT), RFC 7468 (PEM), RFC 9580 (OpenPGP). What follows `password =` counts
only if it looks drawn by chance: manuals are full of `password = changeme`, `$PASSWORD` and `<your key>`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from glassmill.corpus.pii.scan import Places, Scan, word_set

MAX_KEY_BLOCK_CHARACTERS = 32_768
_W = r"[A-Za-z0-9_-]"
_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?![0-9A-Za-z])"  # AWS
    r"|gh[opsur]_[0-9A-Za-z]{36,255}+|github_pat_[0-9A-Za-z_]{22,255}+"
    rf"|gl(?:pat|rt|dt|ptt|soat)-{_W}{{20,64}}+"
    rf"|sk-(?:ant-|proj-|svcacct-|or-)?{_W}{{20,200}}+"  # Anthropic, OpenAI, OpenRouter
    rf"|xox[abeoprs]-{_W}{{10,250}}+|xapp-{_W}{{10,250}}+"  # Slack
    rf"|AIza{_W}{{35}}|ya29\.{_W}{{20,400}}+"  # Google
    r"|npm_[0-9A-Za-z]{36}|hf_[0-9A-Za-z]{30,64}+"
    rf"|pypi-AgE{_W}{{30,400}}+"
    r"|[sr]k_(?:live|test)_[0-9A-Za-z]{16,247}+|whsec_[0-9A-Za-z]{24,64}+"  # Stripe
    rf"|SG\.{_W}{{16,32}}+\.{_W}{{32,64}}+"  # SendGrid
    r"|do[opr]_v1_[0-9a-f]{64}"  # DigitalOcean
    r"|AGE-SECRET-KEY-1[0-9A-Z]{58}"
    rf"|eyJ{_W}{{8,2000}}+\.eyJ{_W}{{8,8000}}+\.{_W}{{16,2000}}+"  # a signed JSON Web Token
    r"|hooks\.slack\.com/services/(?P<slack>T[0-9A-Z]{6,12}/B[0-9A-Z]{6,12}/[0-9A-Za-z]{16,32}+)"
    rf"|discord(?:app)?\.com/api/webhooks/(?P<discord>[0-9]{{15,21}}/{_W}{{40,100}}+)"
    r")"
)
_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BODY = re.compile(r"(?:\s|\\[nr])*+(?:[A-Za-z-]{3,20}: [^\n]{0,200}\s*+){0,8}+([A-Za-z0-9+/=\s\\\"',-]{40,})")

_NAMES = tuple(
    word_set(
        "password passwort passwd passphrase pwd pass secret token api_key apikey api-key access_key accesskey"
        " access-key access_key_id secret_key secretkey secret-key auth_key auth-key private_key privatekey"
        " private-key"
    )
)
_ASSIGNED = re.compile(
    r"(?::=|=>|[:=])[ \t]{0,8}(?P<quote>[\"'`]?)(?P<value>[^\s\"'`<>(){}\[\],;]{6,200}+)(?P<behind>.?)"
)
_IN_PROSE = re.compile(
    r"assword(?: is| was)? {1,2}(?P<quote>[\"'`]?)(?P<value>[^\s\"'`<>(){}\[\],;]{8,64})", re.IGNORECASE
)
_USERINFO = re.compile(r"(?<=://)[^\s/?#@:\"'<>]{0,64}+:(?P<value>[^\s/?#@\"'<>]{3,200}+)@(?=[\w\[])")
_FILLER = re.compile(
    r"(?:[x*.?#_-]+|.{0,12}(?:change[-_]?(?:me|this|it)|pass(?:word|wd|phrase)?|secret|token|example|sample|dummy|placeholder"
    r"|redacted|hidden|your|insert|replace|todo|default|admin|user(?:name)?|foo|bar|test|demo|null|none|true|false|undefined"
    r"|string|value|prompt|environ|getenv|config|process\.env|secrets?\.|vault|file:|env:).{0,40}|[\$%&@].*|.*\$\{.*|\d{1,5}|\w+\.\w+(?:\.\w+)*|/.*|https?:.*)",
    re.IGNORECASE,
)
_CALL = tuple("([{")
_SAMPLE = re.compile(r"xxxx|\.\.\.|example|your|abcdefgh", re.IGNORECASE)
MIN_BITS = 2.5
"""Of entropy a character, from the value's own letters: `correcthorse` has 2.9, `aaaaaaa1` has 0.5."""


def find_secrets(scan: Scan) -> Places:
    """Keys, private key blocks, then values of assignments and URLs."""
    text = scan.text
    for start, end in scan.long_words:
        for match in _KEY.finditer(text, start, end):
            if _is_key(match[0]):
                yield match.span(match.lastgroup or 0)
    yield from _private_keys(scan)
    if "://" in text:
        for place in scan.places_of("://"):
            login = _USERINFO.match(text, place + 3)
            if login and not _FILLER.fullmatch(login["value"]):
                yield login.start(), login.end() - 1
    for given in _assigned(scan):
        value = given["value"].rstrip("" if given["quote"] else ".,:!?)")
        filler = len(value) < 6 or _FILLER.fullmatch(value) or _SAMPLE.search(value)
        if not filler and _is_chance(value, bool(given["quote"])):
            yield given.start("value"), given.start("value") + len(value)


def _is_key(value: str) -> bool:
    """Whether a key is drawn by chance: not `ghp_xxxxxxxx`, `sk-your-key-here` or a word of a program."""
    return len(set(value[-24:])) >= 8 and any(map(str.isdigit, value[4:])) and not _SAMPLE.search(value)


def _private_keys(scan: Scan) -> Places:
    """The bodies of private keys; of one that is cut, what there is."""
    text = scan.text
    done = 0
    for place in scan.places_of("-----BEGIN "):
        begin = _BEGIN.match(text, place) if place >= done else None
        if begin:
            most = min(len(text), begin.end() + MAX_KEY_BLOCK_CHARACTERS)
            stop = text.find("-----", begin.end(), most)
            done = most if stop < 0 else stop
            body = _BODY.match(text, begin.end(), done)
            if body and len(set(body[1])) >= 12:
                yield body.start(1), body.start(1) + len(body[1].rstrip(" \n\r\t\\\"',-"))


def _assigned(scan: Scan) -> Iterator[re.Match[str]]:
    """What is assigned to the name of a secret, and what a sentence says a password is."""
    text = scan.text
    done = 0
    for place in scan.assignments:
        if place >= done and text[max(0, place - 32) : place].rstrip(" \t\"'])").lower().endswith(_NAMES):
            match = _ASSIGNED.match(text, place)
            if match and match["behind"] not in _CALL:
                done = match.end() if match.end() > place + 64 else place
                yield match
    for place in scan.places_of("assword "):
        said = _IN_PROSE.match(text, place)
        if said and any(map(str.isdigit, said["value"])):
            yield said


def _is_chance(value: str, quoted: bool) -> bool:
    """Whether a value is a password rather than a word: digits or marks among letters, and enough entropy."""
    letters, digits = any(map(str.isalpha, value)), any(map(str.isdigit, value))
    marks = any(character in "!#$%&*+/=?@^~|\\" for character in value)
    mixed = (letters and (digits or marks)) or (digits and marks) or (quoted and digits and len(value) >= 8)
    return mixed and entropy(value) >= MIN_BITS


def entropy(value: str) -> float:
    """Shannon's, in bits a character.

    Example:
        >>> round(entropy("aabb"), 1)
        1.0
    """
    return -sum(count / len(value) * math.log2(count / len(value)) for count in Counter(value).values())
