"""Writes corpus/data/top_level_domains.txt: the endings that a host can have, with the date of the list.

    python scripts/top_level_domains.py tlds-alpha-by-domain.txt     # https://data.iana.org/TLD/
    python scripts/top_level_domains.py public_suffix_list.dat       # or the last labels of publicsuffix.org's list

Internationalised domains get a line for each form, Unicode and `xn--`. A list a year old is good enough: a dozen
endings come and go in a year. Run it to move to a newer one.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "src/glassmill/corpus/data/top_level_domains.txt"
HEAD = "# Top-level domains of the root zone (IANA), as of {date}. Made by scripts/top_level_domains.py.\n"


def endings(text: str) -> set[str]:
    """The last labels of a list's lines, in lower case; of a suffix list, its first part only."""
    lines = text.partition("===END ICANN DOMAINS===")[0].splitlines()
    names = [line.strip().lower() for line in lines]
    return {name.rpartition(".")[2] for name in names if name and not name.startswith(("#", "//"))}


def both_forms(name: str) -> set[str]:
    """The name in Unicode and in ASCII."""
    if name.startswith("xn--"):
        return {name, name[4:].encode("ascii").decode("punycode")}
    return {name} if name.isascii() else {name, "xn--" + name.encode("punycode").decode("ascii")}


def main() -> None:
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    date = re.search(r"(?i)version:? (\d{4})-?(\d\d)-?(\d\d)", text)
    if not date:
        sys.exit(f"{sys.argv[1]}: no line such as `# Version 2026010100`; is it one of the two lists?")
    names = set().union(*map(both_forms, endings(text)))
    head = HEAD.format(date="-".join(date.groups()))
    TARGET.write_text(head + "".join(f"{name}\n" for name in sorted(names)), encoding="utf-8")


if __name__ == "__main__":
    main()
