"""Scripts without blanks between words, text in capitals, runs of marks: what counts as a word, and at what cost."""

from __future__ import annotations

import pytest

from glassmill.corpus.extract import content
from glassmill.corpus.extract.content import extractor
from glassmill.corpus.extract.extract import html_to_text
from glassmill.corpus.judge import language
from glassmill.corpus.judge.english import tokens_of_chunk
from glassmill.corpus.judge.gopher import gopher_quality, gopher_repetition
from glassmill.corpus.judge.language import detect, judge_language, mostly_capitals
from glassmill.corpus.judge.quality import c4, fineweb
from glassmill.corpus.judge.scripts import has_no_blanks, words_in
from glassmill.corpus.judge.words import count_words, native_counter
from glassmill.recipe import (
    C4Settings,
    ExtractSettings,
    FinewebSettings,
    GopherQualitySettings,
    GopherRepetitionSettings,
    LanguageSettings,
)

needs_native = pytest.mark.skipif(content._core is None, reason="the native core is not built here")

SHORT = {
    "zh": ["渔船在天亮前离开港口，船上只有九名乘客。", "一个男孩数着栏杆上的海鸥，他的妹妹盖着厚外套睡着了。",
           "雾散去以后，他们看见了灯塔和一排彩色的房子。", "面包师已经开门，给每个人一个刚出炉的面包。",
           "两个渔夫在墙边修补渔网！", "一只老狗跟着孩子们走上山坡，谁也不知道它属于哪一家。"],
    "ja": ["漁船は夜明け前に港を出ました。", "男の子は手すりの上のカモメを数え、妹は厚いコートの下で眠っていました。",
           "霧が晴れると、灯台と色とりどりの家が見えました。",
           "パン屋はもう店を開けていて、みんなに焼きたてのパンをくれました。",
           "二人の漁師が壁のそばで網を直していました。", "年老いた犬が子どもたちのあとについて丘を登りました。"],
    "th": ["เรือประมงออกจากท่าก่อนฟ้าสางพร้อมผู้โดยสารเก้าคน", "เด็กชายคนหนึ่งนับนกนางนวลที่เกาะอยู่บนราวเหล็ก",
           "เมื่อหมอกจางลงพวกเขาเห็นประภาคารและบ้านหลากสีเรียงกัน", "คนทำขนมปังเปิดร้านแล้วและแจกขนมปังร้อนให้ทุกคน"],
    "lo": ["ເຮືອຫາປາອອກຈາກທ່າກ່ອນຟ້າແຈ້ງພ້ອມກັບຜູ້ໂດຍສານເກົ້າຄົນ", "ເດັກຊາຍຄົນໜຶ່ງນັບນົກທີ່ເກາະຢູ່ເທິງຮາວເຫຼັກ",
           "ຄົນເຮັດເຂົ້າຈີ່ເປີດຮ້ານແລ້ວແລະແຈກເຂົ້າຈີ່ຮ້ອນໃຫ້ທຸກຄົນ"],
    "km": ["ទូកនេសាទបានចាកចេញពីកំពង់ផែមុនថ្ងៃរះជាមួយអ្នកដំណើរប្រាំបួននាក់។", "ក្មេងប្រុសម្នាក់រាប់សត្វរំពេដែលទំនៅលើរបារ។",
           "អ្នកដុតនំបានបើកហាងហើយចែកនំប៉័ងក្តៅដល់មនុស្សគ្រប់គ្នា។"],
    "my": ["ငါးဖမ်းလှေသည် မိုးမလင်းမီ ခရီးသည်ကိုးဦးနှင့်အတူ ဆိပ်ကမ်းမှထွက်ခွာသည်။", "ကောင်လေးတစ်ယောက်သည် လက်ရန်းပေါ်ရှိ ငှက်များကို ရေတွက်သည်။",
           "မုန့်ဖုတ်သမားသည် ဆိုင်ဖွင့်ပြီး လူတိုင်းအား မုန့်ပူပူလေးများ ပေးသည်။"],
}  # fmt: skip
MENU = "<nav><ul><li><a href=/>Home</a></li><li><a href=/a>About</a></li></ul></nav>"


@pytest.mark.parametrize("code", SHORT)
@pytest.mark.parametrize("engine", ["auto", "resiliparse"])
@pytest.mark.parametrize("shape", ["<article>{}</article>", "<div><div>{}</div></div>", MENU + "<main>{}</main>"])
def test_a_short_page_in_a_script_without_blanks_is_kept_whole(code: str, engine: str, shape: str) -> None:
    page = "<!doctype html><title>x</title><body>" + shape.format("".join(f"<p>{line}</p>" for line in SHORT[code]))
    text = html_to_text(page, ExtractSettings(engine="resiliparse" if engine == "resiliparse" else "auto"))
    assert [line for line in SHORT[code] if line not in text] == []


@pytest.mark.parametrize("code", SHORT)
def test_such_a_text_is_a_text_to_every_rule(code: str) -> None:
    text = "\n".join(SHORT[code])
    assert has_no_blanks(text) and words_in(text) > 20
    words = count_words(text)
    assert gopher_repetition(text, words, GopherRepetitionSettings()) is None
    assert gopher_quality(text, words, GopherQualitySettings(min_words=20)) is None
    rules = C4Settings(min_sentences=3)
    assert c4(text, rules) == (text, None)
    assert fineweb(text, FinewebSettings()) is None
    label, _, verdict = judge_language(text, LanguageSettings(languages=(code,)))
    assert verdict is None and label == code


def test_the_rules_still_drop_what_says_nothing_there() -> None:
    lines = SHORT["zh"][0]
    assert gopher_repetition("\n".join([lines] * 6), count_words("\n".join([lines] * 6)), GopherRepetitionSettings())
    verdict = gopher_quality(lines, count_words(lines), GopherQualitySettings())
    assert verdict is not None and verdict.rule.name == "gopher/too_few_words"
    menu = "首页\n关于\n联系\n新闻\n产品\n服务\n下载\n登录"
    assert fineweb(menu, FinewebSettings()) is not None


def test_a_text_in_latin_letters_is_judged_as_ever() -> None:
    assert not has_no_blanks("The mill (磨坊) stands by the river.") and not has_no_blanks("")
    assert words_in("The mill") == 0


CAPITALS = {
    "en": "The old mill stood at the bend of the river, and its wheel had not turned for thirty years.",
    "de": "Die alte Mühle stand an der Biegung des Flusses, und ihr Rad hatte sich lange nicht gedreht.",
    "fr": "Le vieux moulin se trouvait au bord de la rivière et sa roue ne tournait plus depuis longtemps.",
    "es": "El viejo molino estaba junto al río y su rueda no había girado en treinta años.",
    "pl": "Stary młyn stał w zakolu rzeki, a jego koło nie obracało się od trzydziestu lat.",
    "ru": "Старая мельница стояла на изгибе реки, и её колесо не вращалось тридцать лет.",
    "el": "Ο παλιός μύλος στεκόταν στη στροφή του ποταμού και η ρόδα του δεν είχε γυρίσει.",
    "tr": "Eski değirmen nehrin kıyısında duruyordu ve çarkı otuz yıldır dönmemişti.",
}


@pytest.mark.parametrize("code", CAPITALS)
def test_a_text_in_capitals_has_the_language_that_it_has_in_small_letters(code: str) -> None:
    text = CAPITALS[code]
    assert mostly_capitals(text.upper()) and not mostly_capitals(text) and not mostly_capitals(text.title())
    small, large = detect(text), detect(text.upper())
    assert large[0] == small[0] == code
    assert large[1] > 0.65  # FineWeb's bound
    assert detect(text.upper() + " " + text[:20])[0] == code


def test_texts_without_cases_or_letters_are_left_alone() -> None:
    assert not any(map(mostly_capitals, ["", "123", "渔船在天亮前", "a", "A b", "\ud800"]))
    assert mostly_capitals("A") and mostly_capitals("İSTANBUL") and not mostly_capitals("istanbul İ")
    assert detect("\ud800 THE OLD MILL STOOD BY THE RIVER AND ITS WHEEL HAD NOT TURNED FOR YEARS")[0] == "en"
    assert language.detect("MMXXIV XII", languages=("en",))[0]


RUNS = ["......", "-'-'-'", "a.b.c.", "@", "a@", "a@b.", "(", ")", "...a", "a..", "…", "\"'", "a-b-", "1-2-", "://",
        ":-)", "U.S.", "US$", "'s", "n't", "_", "5%", "x@y.z", "中。", "a,b"]  # fmt: skip


class Copied(str):
    """A text that counts the characters cut out of it."""

    characters = 0

    def __getitem__(self, key):  # type: ignore[no-untyped-def, override]
        piece = super().__getitem__(key)
        Copied.characters += len(piece)
        return piece


def copied(chunk: str) -> int:
    Copied.characters = 0
    tokens_of_chunk.__wrapped__(Copied(chunk))
    return Copied.characters


@pytest.mark.parametrize("run", RUNS)
def test_twice_as_many_marks_are_twice_the_work(run: str) -> None:
    assert copied(run * 2000) < 2.2 * copied(run * 1000) + 1000


@needs_native
@pytest.mark.parametrize("run", RUNS)
def test_a_megabyte_of_marks_is_counted(run: str) -> None:
    """With quadratic work, one of these would take the better part of an hour."""
    text = run * (1_000_000 // len(run))
    assert len(native_counter().count(text)) >= 1


@needs_native
def test_the_core_and_the_twin_cut_long_runs_alike() -> None:
    for run in RUNS:
        for chunk in (run * 40, "a" + run * 31, run * 29 + "b", run * 17 + "." + run * 3):
            assert native_counter().tokens_of_chunk(chunk) == list(tokens_of_chunk(chunk)), chunk


@needs_native
def test_full_width_marks_end_sentences_and_part_words() -> None:
    _, words, _, _, _ = extractor().blocks("<p>磨坊，水轮！<p>磨坊水轮<p>one，two！")
    assert words[0] == words[1] == pytest.approx(2.4) and words[2] == 2
