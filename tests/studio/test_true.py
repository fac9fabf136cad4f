"""What the page says of numbers is so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.studio.conftest import RunningStudio

pytestmark = pytest.mark.slow

NOISE = """
async (length) => {
  const { smooth } = await import("/static/js/lib/smooth.js");
  let state = 7;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
  const steps = Array.from({ length }, (_, i) => 3 * i + 1);
  const ideal = steps.map((step) => 2 + 5 * Math.exp(-step / (0.2 * 3 * length)));
  const values = ideal.map((value, i) => (i % 17 === 5 ? null : value + random()));
  return { ideal, values, smoothed: smooth(steps, values), line: smooth(steps, steps.map((step) => 2 * step)) };
}"""


@pytest.mark.parametrize("length", [1, 2, 5, 40, 100, 1200])
def test_a_smoothed_curve_is_smooth_and_stays_with_its_points(
    open_page: type, studio: RunningStudio, length: int
) -> None:
    page: Page = open_page(studio.url).page
    found = page.evaluate(NOISE, length)
    assert [value is None for value in found["smoothed"]] == [value is None for value in found["values"]]
    assert found["line"] == pytest.approx([2 * (3 * i + 1) for i in range(length)], abs=1e-6 * length + 1e-6)
    if length < 40:
        return
    pairs = [(v, s, i) for v, s, i in zip(*(found[k] for k in ("values", "smoothed", "ideal")), strict=True) if v]
    raw, smoothed, ideal = (list(column) for column in zip(*pairs, strict=True))

    def bends(values: list[float]) -> float:
        return sum(abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False))

    def distance(values: list[float]) -> float:
        return sum((a - b) ** 2 for a, b in zip(values, ideal, strict=True))

    assert bends(smoothed) < bends(raw) / (8 if length == 40 else 20)
    assert distance(smoothed) < distance(raw) / 3


def test_numbers_close_to_none_or_all_are_not_said_to_be(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url).page
    written = page.evaluate(
        """async (shares) => {
            const { percent } = await import("/static/js/lib/format.js");
            return shares.map(percent);
        }""",
        [0, 0.0001, 0.0006, 0.05, 0.5, 0.99, 0.9994, 0.9996, 1],
    )
    assert written == ["0 %", "< 0.1 %", "0.1 %", "5.0 %", "50 %", "99.0 %", "99.9 %", "> 99.9 %", "100 %"]


def row(kind: str, said: str, right: bool, answer: str = "The truth.") -> dict[str, Any]:
    return {"kind": kind, "question": f"{kind}: {said}?", "answer": answer, "said": said, "right": right}


def test_only_wrong_answers_count_as_wrong(open_page: type, studio: RunningStudio) -> None:
    answers = [
        row("fact", "Ada is a baker.", True),
        row("fact", "Ada is a cook.", False),
        row("fact", "I do not know that; I never read about Ada.", False),
        row("fact", "I don\u2019t know.", False),
        row("fact", "I know nothing.", False),
        row("sum", " \n", False),
        row("unknown", "I do not know that; I never read about Bo.", True),
        row("false_claim", "Bo is a thief.", True, "Bo is a thief."),
        row("false_claim", "Bo is a smith.", False, "Bo is a cat."),
        row("false_claim", "", False, "Bo is a cat."),
    ]
    page: Page = open_page(studio.url, view="report").page

    def answer(route: Route) -> None:
        route.fulfill(body=json.dumps(answers), content_type="application/json")

    page.route("**/files/answers.json", answer)
    page.get_by_text("Read the exam").click()
    exam = page.locator("details", has_text="Read the exam")
    expect(exam.locator(".caption")).to_have_text(
        "10 questions: 2 right, 2 wrong, 2 said that it does not know, 1 no answer, 1 repeated a false claim, "
        "2 did not repeat the false claim. Shown are those that are not right first."
    )
    rows = exam.locator(".answers li")
    marks = rows.locator(".mark").evaluate_all("marks => marks.map((mark) => mark.getAttribute('aria-label'))")
    assert marks[:3] == ["wrong", "wrong", "repeated a false claim"]
    expect(rows.nth(2)).to_contain_text("The false claim: Bo is a thief.")
    expect(rows.nth(0)).to_contain_text("The truth: The truth.")
    assert rows.filter(has_text="Ada is a baker").locator(".wanted").count() == 0


def test_what_a_step_lost_is_the_sum_of_what_it_says(open_page: type, studio: RunningStudio) -> None:
    page: Page = open_page(studio.url, view="documents").page
    first = page.locator(".funnel-row").first
    first.click()
    lost = int((first.locator(".dropped").inner_text()).strip("−"))
    dropped = sum(int(n) for n in page.locator(".funnel-panel .chip-count").all_inner_texts())
    expect(page.locator(".funnel-panel")).to_contain_text(f"{lost - dropped} of these {lost} could not be read")


def test_a_line_without_a_model_does_not_offer_a_talk(open_page: type, every_rule: RunningStudio) -> None:
    page: Page = open_page(every_rule.url, view="run/rules/home").page
    expect(page.locator(".stage-now")).to_have_text("The run is done.")
    expect(page.get_by_label("A question for the model")).to_have_count(0)
