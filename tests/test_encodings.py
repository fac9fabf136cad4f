"""Letters, labels and guesses are those of browsers. Texts are written here and encoded with Python's codecs."""

from __future__ import annotations

import json
import shutil

import pytest

from glassmill.encodings import decode_as, detect, encoding_of_label
from glassmill.encodings.decoders import SINGLE_BYTE

TEXTS = {
    "shift_jis": (
        "cp932",
        "工場の見学会は毎週月曜日です。参加は無料で、お申し込みは前日までに電話でお願いします。㈱髙島①",
    ),
    "euc-jp": ("euc_jp", "工場の見学会は毎週月曜日です。参加は無料で、お申し込みは前日までに電話でお願いします。"),
    "iso-2022-jp": ("iso2022_jp", "工場の見学会は毎週月曜日です。参加は無料で、お申し込みは前日までに電話で。"),
    "euc-kr": ("cp949", "우리 회사는 서울에 있는 작은 출판사입니다. 매주 월요일에 새 책을 펴냅니다. 똠방각하"),
    "gbk": ("gb18030", "本厂每周一和周四举行参观活动，免费参加。请在前一天打电话报名，附近没有停车场。"),
    "big5": ("big5hkscs", "本廠每週一和週四舉行參觀活動，免費參加。請在前一天打電話報名，附近沒有停車場。"),
    "koi8-u": ("koi8_r", "Экскурсии по заводу проходят каждый понедельник. Участие бесплатное, позвоните заранее."),
    "windows-1251": (
        "cp1251",
        "Экскурсии по заводу проходят каждый понедельник. Участие бесплатное, позвоните заранее.",
    ),
    "ibm866": ("cp866", "Экскурсии по заводу проходят каждый понедельник. Участие бесплатное, позвоните заранее."),
    "windows-1250": (
        "cp1250",
        "Zwiedzanie młyna odbywa się w każdy poniedziałek. Udział jest bezpłatny, śniadanie też.",
    ),
    "iso-8859-2": (
        "iso8859_2",
        "Zwiedzanie młyna odbywa się w każdy poniedziałek. Udział jest bezpłatny, śniadanie też.",
    ),
    "windows-1253": ("cp1253", "Ο μύλος βρίσκεται στη στροφή του ποταμού. Η είσοδος είναι ελεύθερη κάθε Δευτέρα."),
    "windows-1255": ("cp1255", "הטחנה עומדת בעיקול הנהר. הכניסה חופשית בכל יום שני, נא להתקשר מראש."),
    "windows-1256": ("cp1256", "تقع الطاحونة عند منعطف النهر. الدخول مجاني كل يوم اثنين، يرجى الاتصال مسبقا."),
    "windows-874": ("cp874", "โรงสีตั้งอยู่ที่โค้งแม่น้ำ เข้าชมฟรีทุกวันจันทร์ กรุณาโทรล่วงหน้า"),
    "windows-1252": (
        "cp1252",
        "La visite du moulin a lieu chaque lundi. L’entrée est libre, téléphonez à l’avance – merci.",
    ),
}

LETTERS = [
    ("shift_jis", b"\x87\x40\x87\x8a\xfb\xfc", "①㈱髙"),
    ("shift_jis", b"\x81\x60 \\ ~ \xb1 \x80", "～ \\ ~ ｱ \x80"),
    ("euc-jp", b"\xad\xa1\xad\xea\xfc\xe2", "①㈱髙"),
    ("euc-jp", b"\x8e\xb1\x8f\xb0\xa1\xa1\xc1\xa1\xdd", "ｱ丂～－"),
    ("iso-2022-jp", b"\x1b$B-!F|\x1b(B ok\x1b(J\\\x1b(I1\x1b(B", "①日 ok¥ｱ"),
    ("euc-kr", b"\x8c\x63\x94\xee", "똠뷁"),
    ("big5", b"\x87\x7a\xfa\x5f\xa3\xe1\xa1\x45\xf9\xd6", "㡵倩€‧碁"),
    ("gbk", b"\x80\xa2\xe3\xa8\xbf\xa6\xd9\x81\x30\x84\x36", "€€ǹ︐¥"),
    ("windows-1252", bytes(range(0x80, 0xA0)), "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ"),
    ("windows-1253", b"\x81\xaa\xe1", "\x81\ufffdα"),
    ("windows-1255", b"\xca\xd9", "\u05ba\ufffd"),
    ("koi8-u", b"\xae\xbe\xa4", "ўЎє"),
    ("macintosh", b"\xdb\xf0", "€\uf8ff"),
    ("x-mac-cyrillic", b"\xa2\xff", "Ґ€"),
    ("x-user-defined", b"a\x80\xff", "a\uf780\uf7ff"),
    ("utf-16le", b"a\0\xe9\0\x00\xd8", "aé\ufffd"),
    ("replacement", b"\x1b$)C\x0e", "\ufffd"),
    ("replacement", b"plain", "plain"),
]

WRONG = [  # what is wrong costs one letter, and what follows it and is ASCII stays
    ("shift_jis", b"a\x81<b", "a\ufffd<b"),
    ("shift_jis", b"a\xa0b\xffc", "a\ufffdb\ufffdc"),
    ("euc-jp", b"a\xa4<b\x8f\xa1\xa1c", "a\ufffd<b\ufffdc"),
    ("euc-kr", b"a\xc8<\xff", "a\ufffd<\ufffd"),
    ("big5", b"a\xa4\x20b", "a\ufffd b"),
    ("gbk", b"a\xff\x81\x20", "a\ufffd\ufffd "),
]


@pytest.mark.parametrize(("encoding", "data", "text"), LETTERS + WRONG)
def test_letters_are_those_of_the_standard(encoding: str, data: bytes, text: str) -> None:
    assert decode_as(encoding, data) == text


@pytest.mark.parametrize(
    ("labels", "encoding"),
    [
        ("latin1 ISO-8859-1 us-ascii l1 CP819", "windows-1252"),
        ("Shift_JIS x-sjis MS_Kanji windows-31j cp932 sjis", "shift_jis"),
        ("ks_c_5601-1987 euc-kr korean windows-949 cp949 uhc", "euc-kr"),
        ("GB2312 GBK x-gbk chinese gb_2312-80 cp936", "gbk"),
        ("big5 Big5-HKSCS x-x-big5 cp950", "big5"),
        ("utf-16 unicode ucs-2", "utf-16le"),
        ("iso-8859-8-i logical", "iso-8859-8-i"),
        ("iso-8859-9 latin5", "windows-1254"),
        ("tis-620 iso-8859-11", "windows-874"),
        ("koi8-ru", "koi8-u"),
        ("hz-gb-2312 iso-2022-kr", "replacement"),
    ],
)
def test_labels_mean_what_they_mean_in_browsers(labels: str, encoding: str) -> None:
    assert {encoding_of_label(f' "{label}" ') for label in labels.split()} == {encoding}
    assert encoding_of_label("utf-7") is None and encoding_of_label("") is None


@pytest.mark.parametrize("encoding", TEXTS)
@pytest.mark.parametrize("copies", [1, 40])
def test_the_encoding_of_a_text_without_a_label_is_found(encoding: str, copies: int) -> None:
    codec, text = TEXTS[encoding]
    data = ((text + "\n") * copies).encode(codec)
    markup = b"<html><head><title>x</title></head><body class='home'><p>" + data + b"</p></body></html>"
    for given in (data, markup):
        assert decode_as(detect(given), given) == given.decode(codec)


@pytest.mark.parametrize("encoding", ["shift_jis", "euc-jp", "euc-kr", "gbk", "big5"])
@pytest.mark.parametrize("odd", [b"\xff", b"\x80"])
def test_one_odd_byte_never_hides_the_encoding(encoding: str, odd: bytes) -> None:
    codec, text = TEXTS[encoding]
    data = text[:20].encode(codec) + odd + b" " + text[20:].encode(codec)
    found = decode_as(detect(data), data)
    assert found.startswith(text[:18]) and found.endswith(text[22:])


KOREAN = [
    "물레방아는 강가에 있고 바퀴는 일 년 내내 돌아갑니다.",
    "방앗간 주인은 아침마다 수문을 열고 농부들을 기다린다.",
    "입장료는 없으며 월요일에는 쉽니다.",
    "박물관 위층에는 오래된 맷돌이 있다",
]


@pytest.mark.parametrize("text", KOREAN)
def test_what_fits_one_encoding_to_the_last_byte_is_not_looked_at_again(text: str) -> None:
    assert detect(text.encode("euc_kr")) == "euc-kr"


def test_a_letter_or_two_in_english_are_of_windows_1252() -> None:
    for word in ("café", "naïve", "“mill”", "it’s", "£5", "10 °C", "© 2004"):
        assert detect(f"The miller of the old town said that the {word} was closed on Sunday.".encode("cp1252")) == (
            "windows-1252"
        )


@pytest.mark.parametrize("encoding", ["shift_jis", "euc-jp", "euc-kr", "gbk", "big5", "iso-2022-jp", "windows-1252"])
@pytest.mark.parametrize("garbage", [b"\xff\xfe\xfd", b"\x8e\x8f", b"\x80", b"\xa4<", b"\x1b$B!"])
def test_garbage_costs_little(encoding: str, garbage: bytes) -> None:
    """Some tenths of a second; a quadratic way would meet the time limit of a test."""
    assert decode_as(encoding, garbage * 1_000_000) and detect(garbage * 1_000_000)


EVERY_PAIR = """() => {
  const found = {}
  for (const encoding of ["shift_jis", "euc-kr", "big5", "gbk", "euc-jp"]) {
    found[encoding] = []
    for (let lead = 0x81; lead < 0x100; lead++) for (let trail = 0x40; trail < 0x100; trail++) {
      found[encoding].push(new TextDecoder(encoding).decode(new Uint8Array([lead, trail])))
    }
  }
  for (const encoding of NAMES) {
    found[encoding] = [...Array(128).keys()].map(n => new TextDecoder(encoding).decode(new Uint8Array([n + 128])))
  }
  return JSON.stringify(found)
}"""
BROWSER_DIFFERS = {b"\x88\x62", b"\x88\x64", b"\x88\xa3", b"\x88\xa5"}
"""Letters of two characters, which Chromium 156 gives as broken surrogates."""
SIGNS_THAT_OCCUR_TWICE = {b"\xa2\x41", b"\xa2\x42"}
"""Two slashes of Big5 that Python does not tell from two others."""
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: compared with it where it is installed")
@pytest.mark.slow
def test_every_pair_of_bytes_is_decoded_as_in_a_browser() -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto("about:blank")
        found = json.loads(page.evaluate(EVERY_PAIR.replace("NAMES", json.dumps([*SINGLE_BYTE, "x-user-defined"]))))
        browser.close()
    for encoding, letters in found.items():
        pairs = len(letters) > 128
        codes = [bytes([lead, trail]) for lead in range(0x81, 0x100) for trail in range(0x40, 0x100)]
        for code, letter in zip(codes if pairs else [bytes([n]) for n in range(0x80, 0x100)], letters, strict=True):
            if not (encoding == "big5" and code in BROWSER_DIFFERS | SIGNS_THAT_OCCUR_TWICE):
                assert decode_as(encoding, code) == letter, (encoding, code)
