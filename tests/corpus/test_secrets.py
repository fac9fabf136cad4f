"""Secrets: which are found, and what only looks like one."""

from __future__ import annotations

import random
import string

import pytest

from glassmill.corpus.pii import find, mask


def kinds(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find(text)]


CHANCE = random.Random(11)


def drawn(count: int, of: str = string.ascii_letters + string.digits) -> str:
    return "".join(CHANCE.choices(of, k=count)) + "7"


CAPITALS = string.ascii_uppercase + string.digits


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (before + secret + behind, secret)
        for before, secret, behind in [
            ("id AKIA"[:3], "AKIA" + drawn(15, CAPITALS), " here"),
            ("", "ghp_" + drawn(35), ""),
            ("", "github_pat_" + drawn(50), "\n"),
            ("key: ", "sk-ant-api03-" + drawn(60), ""),
            ("", "sk-proj-" + drawn(40), "."),
            ("", "xoxb-123456789012-" + drawn(23), ""),
            ("&key=", "AIza" + drawn(34), "&x"),
            ("", "glpat-" + drawn(19), ""),
            ("", "npm_" + drawn(35), ""),
            ("", "hf_" + drawn(33), ""),
            ("", "sk_live_" + drawn(23), ""),
            ("https://hooks.slack.com/services/", "T0ABCDEF1/B0ABCDEF2/" + drawn(23), ""),
            ("Bearer ", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + drawn(42), ""),
            ("-----BEGIN RSA PRIVATE KEY-----\n", drawn(63) + "\n" + drawn(63), "\n-----END RSA PRIVATE KEY-----\n"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", drawn(70), ""),
            (
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 2\n\n",
                drawn(63),
                "\n-----END PGP PRIVATE KEY BLOCK-----",
            ),
            ("password = ", "Tr0ub4dor&3", ""),
            ("DB_PASSWORD=", "hunter2x9", "\n"),
            ("password: '", "c0rrect-horse!", "'"),
            ('"api_key": "', drawn(31), '"'),
            ("aws_secret_access_key = ", drawn(39), ""),
            ("https://", "bob:s3cr3tPw9", "@db.mill.org/x"),
            ("postgres://", "u:Zq8rT1vv", "@h:5432/db"),
            ("The password is ", "Xk9!mmQ2", " for all"),
        ]
    ],
)
def test_a_secret_is_found_and_what_stands_around_it_stays(text: str, secret: str) -> None:
    assert kinds(text) == [("secret", secret)]
    masked, _ = mask(text)
    assert masked == text.replace(secret, "[secret]") and mask(masked) == (masked, [])


@pytest.mark.parametrize(
    "text",
    [
        "password = changeme, password=<password>, password=xxxxxxxx, password=${DB_PASSWORD}, password = $PASSWORD",
        "token = self.tokens[0]; password = getPassword(); api_key = os.environ['KEY']",
        "password: String, secret: foo, auth=none, tokens=100000, token_type=bearer",
        "https://user:password@mill.org/, https://user:pass@host/, https://<user>:<pass>@mill.org",
        "AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx, ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-learn-is-a-library-for-everyone",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\n" + "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA" + "\n-----END PUBLIC KEY-----",
        "passwd: files systemd",
        "Passwort: Geben Sie Ihr Passwort ein",
    ],
)
def test_placeholders_and_programs_are_no_secrets(text: str) -> None:
    assert [found for found in kinds(text) if found[0] == "secret"] == []
