"""What a cohort of explanations tells: counts, the worst, disagreement, and where credit falls.

The definitions are those of the dashboard's Cohorts (cases.js), and so are the orders.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeVar

from service.api.results.credit import Credit, mean_credit
from service.api.results.report_texts import verdict
from service.jobs.records import JobSpec, State
from service.schemas.documents import ClassName
from service.schemas.results import Outcome, OutputResult

NOTES = ("no_standard_errors", "coarse_regions")  # true of most results
VERDICTS = {False: "wrong", None: "not known", True: "right"}  # worst first
BETTER, WORSE = "better than random", "not better than random"

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Case:
    """An explanation with a result. credit: of the predicted class; None: of no pixel."""

    id: str
    spec: JobSpec
    outcome: Outcome
    predicted: OutputResult
    credit: Credit | None

    @classmethod
    def of(cls, state: State, spec: JobSpec, outcome: Outcome, credit: Credit | None) -> "Case":
        return cls(state.id, spec, outcome, predicted_of(outcome), credit)

    @property
    def name(self) -> str:
        return self.spec.image.name or self.id

    @property
    def truth(self) -> ClassName | None:
        return self.spec.true_label

    @property
    def correct(self) -> bool | None:
        return self.spec.correct(self.outcome)

    @property
    def doubts(self) -> list[str]:
        return sorted({each.code for each in self.outcome.warnings if each.code not in NOTES})

    @property
    def faithful(self) -> set[str]:
        """What its curves say of the predicted class, beside a random order."""
        own = (each for each in self.outcome.metrics if each.output == self.predicted.index)
        return {verdict(each.metric, each.area, each.baseline_area) for each in own}


def predicted_of(outcome: Outcome) -> OutputResult:
    return outcome.top or outcome.outputs[0]


def worst_first(cases: Iterable[Case]) -> list[Case]:
    """Sorts: wrong ones, the surest on top; then those not known and the right ones.

    Of each of these first those with doubts, then by the lowest score.
    """

    def rank(case: Case) -> tuple[int, bool, float]:
        place, score = list(VERDICTS).index(case.correct), case.predicted.score
        return (place, False, -score) if place == 0 else (place, not case.doubts, score)

    return sorted(cases, key=rank)


def counts_of(cases: Sequence[Case]) -> dict[str, Any]:
    """Counts right, wrong and not known; accuracy: None where no truth is known."""
    found = Counter(case.correct for case in cases)
    told = found[True] + found[False]
    counts = {"right": found[True], "wrong": found[False], "unknown": found[None]}
    return {**counts, "cases": len(cases), "accuracy": found[True] / told if told else None}


def per_true_class(cases: Sequence[Case]) -> list[dict[str, Any]]:
    named = grouped((case for case in cases if case.truth), lambda case: _label(case.truth))
    return [{"label": label, **counts_of(those)} for label, those in named]


def per_predicted_class(cases: Sequence[Case]) -> list[dict[str, Any]]:
    return [
        {
            "label": label,
            "cases": len(those),
            "score": fmean(case.predicted.score for case in those),
        }
        for label, those in grouped(cases, lambda case: _label(case.predicted))
    ]


def confusions(cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Returns which classes were taken for which, how often, and how surely at most."""
    wrong = [case for case in cases if case.correct is False]
    pairs = grouped(wrong, lambda case: (_label(case.truth), _label(case.predicted)))
    return [
        {
            "truth": truth,
            "predicted": predicted,
            "cases": len(those),
            "score": max(case.predicted.score for case in those),
        }
        for (truth, predicted), those in pairs
    ]


def disagreeing(cases: Sequence[Case]) -> list[Case]:
    """Returns those whose curves disagree: some are better than a random order, others are not."""
    return [case for case in cases if {BETTER, WORSE} <= case.faithful]


def warnings_of(cases: Sequence[Case]) -> list[tuple[str, int]]:
    """Returns each code of a warning with the number of explanations that have it."""
    codes = Counter(code for case in cases for code in {w.code for w in case.outcome.warnings})
    return [(str(code), count) for code, count in codes.most_common()]


def credit_over(cases: Sequence[Case]) -> Credit | None:
    return mean_credit([case.credit for case in cases if case.credit])


def grouped(each: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Returns the groups of equal keys, the largest first."""
    groups: dict[K, list[T]] = {}
    for item in each:
        groups.setdefault(key(item), []).append(item)
    return sorted(groups.items(), key=lambda group: -len(group[1]))


def _label(named: ClassName | OutputResult | None) -> str:
    return "" if named is None else named.label or f"output {named.index}"
