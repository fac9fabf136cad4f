"""What a task's file does not say: how many examples stand before a question, and what stands before an answer.

The rows are those of DCLM's CORE (Li et al. 2024, arXiv 2406.11794, appendix G) as nanochat's evaluation bundle has
them; a `tasks.toml` beside a task's file says the same for other tasks, or otherwise for these.
"""

from __future__ import annotations

from dataclasses import dataclass

ANSWER = "\nAnswer: "


@dataclass(frozen=True, slots=True)
class Setup:
    """How the rows of a file become prompts.

    Attributes:
        file: The task's file, by its name without folder and suffix.
        shots: Solved rows of the same file before the question.
        delimiter: Text between question and answer.
        baseline: What a guess scores, as CORE counts it, where that is not one in as many as there are answers.
    """

    file: str
    shots: int = 0
    delimiter: str = " "
    baseline: float | None = None


CORE: dict[str, Setup] = {
    "hellaswag_zeroshot": Setup("hellaswag", 0, baseline=0.25),
    "jeopardy": Setup("jeopardy_all", 10, ANSWER, 0.0),
    "bigbench_qa_wikidata": Setup("bigbench_qa_wikidata", 10, baseline=0.0),
    "arc_easy": Setup("arc_easy", 10, ANSWER, 0.25),
    "arc_challenge": Setup("arc_challenge", 10, ANSWER, 0.25),
    "copa": Setup("copa", 0, baseline=0.5),
    "commonsense_qa": Setup("commonsense_qa", 10, baseline=0.2),
    "piqa": Setup("piqa", 10, ANSWER, 0.5),
    "openbook_qa": Setup("openbook_qa", 0, baseline=0.25),
    "lambada_openai": Setup("lambada_openai", 0, baseline=0.0),
    "hellaswag": Setup("hellaswag", 10, baseline=0.25),
    "winograd": Setup("winograd_wsc", 0, baseline=0.5),
    "winogrande": Setup("winogrande", 0, baseline=0.5),
    "bigbench_dyck_languages": Setup("bigbench_dyck_languages", 10, baseline=0.0),
    "agi_eval_lsat_ar": Setup("agi_eval_lsat_ar", 3, baseline=0.2),
    "bigbench_cs_algorithms": Setup("bigbench_cs_algorithms", 10, baseline=0.0),
    "bigbench_operators": Setup("bigbench_operators", 10, baseline=0.0),
    "bigbench_repeat_copy_logic": Setup("bigbench_repeat_copy_logic", 10, baseline=0.0),
    "squad": Setup("squad", 10, baseline=0.0),
    "coqa": Setup("coqa", 0, baseline=0.0),
    "boolq": Setup("boolq", 10, ANSWER, 0.62),
    "bigbench_language_identification": Setup("bigbench_language_identification", 10, baseline=0.091),
}
"""The 22 tasks whose centred scores have CORE as their mean."""
