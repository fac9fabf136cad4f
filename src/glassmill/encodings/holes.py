"""What browsers decode and Python's codecs of the same name do not, or decode to another sign.

Source: the indexes of the Encoding Standard (section 5), compared pair by pair with Python's codecs.
"""

from __future__ import annotations

BIG5 = """

877a㡵𡵓𣚞𦀡㻬𥣞㫵竼龗𤅡𨤍𣇪𠪊𣉞䌊蒄龖鐯䤰蘓墖靊鈘秐稲晠権袝瑌篅枂稬剏遆㓦珄𥶹瓆鿇垳䤯呌䄱𣚎堘穲𧭥讏䚮𦺈䆁𥶙箮𢒼鿈𢓁𢓉𢓌鿉蔄𣖻䂴鿊䓡𪷿拁灮鿋
8e69箸 8e6f簆 8e7e糎 8eab緒 8eb4縝 8ecd者 8ed0耨 8f57菁 8f69蒨 8f6e萏 8fcb覦覩 8ffe起
906d都 907a銹 90dc靜 90f1響 91bf鼖 9244蔃 92af兙兛兝兞 92c8鍮 92d1瑹 9447浧 94ca禛
95d9邗 9644靝 96ed瀞 96fc嬨 9b76爁 9b78矗 9b7b纇 9bc6駖 9bde釔 9bec惞 9bf6澶 9c42輶
9c53侻 9c62營 9c68鄄 9c6b鷰 9c77菏 9cbc尐秣 9cd0婧 9d57輋 9d5a筑 9dc4拐 9ea9恢 9eef痹
9efd汊 9f60鬮 9f66鼗 9fcb僭 9fd8弌 a063蠏 a077拎 a0d5瑨 a0df煢 a0e4牐
a3c0␀␁␂␃␄␅␆␇␈␉␊␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡€ c6cf廴 c6d3无 c6d5癶 c6d7隶 c6de〃仝
fa5f倩 fa66偽 fabd包 fac5卄 fad5卿 fb48嘅 fbb8婷 fbf3幵 fbf9廐 fc4f彘 fc6c悤 fcb9撐
fce2晴 fcf1杞 fdb7沜渝 fdbb港 fdf1煮 fe52猪 fe6f瑜 feaa瓩 fedd砉
"""
"""HKSCS-2008, and signs of ETEN: the first pair of bytes in hexadecimal, then its letter and those of the pairs after
it. Trail bytes are 40 to 7E and A1 to FE."""

EUC_JP_SIGNS = ("〜‖−¢£¬", "～∥－￠￡￢")
"""JIS X 0208's signs: Python follows JIS, browsers follow Windows."""
SHIFT_JIS_SIGNS = ("\uf8f0\uf8f1\uf8f2\uf8f3", "\ufffd" * 4)
"""Bytes that are no letters, which Python keeps in the private area."""
BIG5_SIGNS = ("•､‾∼♁☉¥¢£", "‧﹑¯～⊕⊙￥￠￡")
GB18030_SIGNS = (
    "\ue5e5\ue78d\ue78e\ue78f\ue790\ue791\ue792\ue793\ue794\ue795\ue796\ue7c7"
    "\ue81e\ue826\ue82b\ue82c\ue832\ue843\ue854\ue864",
    "\u3000︐︒︑︓︔︕︖︗︘︙ḿ龴龵龶龷龸龹龺龻",
)
"""What GB 18030 of 2005 had in the private area."""


def big5_holes() -> dict[bytes, str]:
    """Pair of bytes -> letter."""
    found: dict[bytes, str] = {}
    for run in BIG5.split():
        place = int(run[:4], 16)
        for letter in run[4:]:
            found[place.to_bytes(2, "big")] = letter
            place += {0x7E: 0x23, 0xFE: 0x42}.get(place & 0xFF, 1)
    return found


def euc_jp_letter(pair: bytes) -> str:
    """A letter of Japanese vendors (NEC, IBM) by its place in JIS X 0208, as Shift_JIS has it; empty if it is none."""
    row, cell = pair[0] - 0xA1, pair[1] - 0xA1
    if not (0 <= row < 94 and 0 <= cell < 94):
        return ""
    lead, trail = divmod(94 * row + cell, 188)
    pair = bytes([lead + (0x81 if lead < 0x1F else 0xC1), trail + (0x40 if trail < 0x3F else 0x41)])
    try:
        letter = pair.decode("cp932")
    except UnicodeDecodeError:
        return ""
    return letter if len(letter) == 1 and not "\ue000" <= letter <= "\uf8ff" else ""
