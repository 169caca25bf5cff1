"""The methods: the card of each, and the settings it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from service.schemas.models import MethodCard
from service.schemas.requests import ExplanationSettings, Method, Pixels, Slic, Superpixels

LUNDBERG_LEE = "Lundberg and Lee, A unified approach to interpreting model predictions, 2017"
MOST_INTERACTING = 50  # superpixels, whose pairs the engine takes
EXACT_PLAYERS = 16  # each further player doubles the evaluations


@dataclass(frozen=True)
class MethodTraits:
    """A method's card, and its defaults."""

    title: str
    solution_concept: str
    reference: str
    superpixels: Superpixels
    max_evals: int | None  # None: depends on the players, see evaluation_budget.py
    most_players: int | None = None  # the engine's own limit
    own: frozenset[str] = frozenset()  # settings that only some methods take


METHODS: Mapping[Method, MethodTraits] = {
    "partition": MethodTraits(
        title="Partition",
        solution_concept="Owen values of a fixed binary tree: of the image, or of superpixels",
        reference=f"Owen, Values of games with a priori unions, 1977; {LUNDBERG_LEE}",
        superpixels=Pixels(kind="pixels"),
        max_evals=500,
        own=frozenset({"batch_size", "fixed_context"}),
    ),
    "permutation": MethodTraits(
        title="Permutation",
        solution_concept="Shapley values of superpixels; of pixels, Owen values of the image tree",
        reference="Castro, Gómez and Tejada, Polynomial calculation of the Shapley value based on "
        f"sampling, 2009; {LUNDBERG_LEE}",
        superpixels=Pixels(kind="pixels"),
        max_evals=None,
    ),
    "kernel": MethodTraits(
        title="Kernel SHAP",
        solution_concept="Shapley values",
        reference=f"{LUNDBERG_LEE}; Covert and Lee, Improving KernelSHAP, 2021",
        superpixels=Slic(kind="slic"),
        max_evals=1000,
        most_players=4096,
        own=frozenset({"regularization"}),
    ),
    "exact": MethodTraits(
        title="Exact",
        solution_concept="Shapley values",
        reference="Shapley, A value for n-person games, 1953",
        superpixels=Slic(kind="slic", segments=10),
        max_evals=2**EXACT_PLAYERS,
        most_players=EXACT_PLAYERS,
    ),
    "gaussian_process": MethodTraits(
        title="Gaussian process on the odd part",
        solution_concept="Shapley values, or Owen values of a fixed binary tree",
        reference="OddSHAP, 2026, arXiv:2602.01399; PolySHAP, 2026, arXiv:2601.18608",
        superpixels=Slic(kind="slic"),
        max_evals=500,
        most_players=1024,
        own=frozenset(
            {"target_standard_error", "sampling", "prior", "score_scale"}
            | {"interactions", "solution_concept"}
        ),
    ),
}
OWN_SETTINGS = frozenset().union(*(traits.own for traits in METHODS.values()))


def methods_taking(setting: str) -> list[str]:
    """Returns the methods that take a setting of `OWN_SETTINGS`."""
    return [name for name, traits in METHODS.items() if setting in traits.own]


def method_cards() -> list[MethodCard]:
    """The cards of all methods."""
    return [_card(name) for name in get_args(Method)]


def _card(method: Method) -> MethodCard:
    traits = METHODS[method]
    schema = ExplanationSettings.model_json_schema()  # less other methods' settings
    fields = schema["properties"]
    for name in OWN_SETTINGS - traits.own:
        del fields[name]
    fields["method"] = {**fields["method"], "const": method, "default": method}
    fields["superpixels"]["default"] = traits.superpixels.model_dump()
    fields["max_evals"]["default"] = traits.max_evals
    return MethodCard(
        name=method,
        title=traits.title,
        solution_concept=traits.solution_concept,
        reference=traits.reference,
        settings_schema=schema,
    )
