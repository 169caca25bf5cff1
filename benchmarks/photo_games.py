"""Games of photos: superpixels shown or hidden, scored by a model, with near-exact Shapley values.

A game is one .npz file, for M superpixels of a picture (H, W, C) as the model sees it and K
outputs:

- labels (H, W): the superpixel of each pixel; picture, uint8; hidden, float32: with nothing visible
- outputs (K,) and names (K,): of the model, the highest score first
- ends (2, K): the scores of the empty and of the full coalition
- members (P, ceil(M / 8)): the smaller coalition of each pair, by np.packbits, in the order drawn;
  the first p of P pairs are a random design, too
- scores (P, 2, K): of the coalition and of its complement
- truth (M, K) and errors (M, K): the Shapley values and their standard errors
- halves (2, M, K): the values by either half of the pairs alone
- settings: what the game was made with

The truth is Kernel SHAP's regression, weighted by leverage (gp_estimator.py), of what a Gaussian
process misses that was fitted to the other half of the pairs, plus that process's own values: the
mean over both halves. The regression has no prior and sees scores that are new to the process, so
the process takes off variance, without a bias towards its own values. With all pairs scored the
truth is exact.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.schemas.requests import Fit
from worker.adapters.model_input import fit_picture
from worker.engine.arrays import Indices, Labels, Mask, Pictures, Scores
from worker.engine.explanation import EngineTimings
from worker.engine.game.image_tree import empty_coalition
from worker.engine.game.players import PlayerCoalitions, Players
from worker.engine.game.superpixels import LabelMap, Slic, make_players
from worker.engine.masking.masker_spec import MaskerSpec
from worker.engine.masking.maskers import make_masker
from worker.engine.methods.gp_posterior import compute_posterior
from worker.engine.methods.leverage import regress_shapley
from worker.engine.methods.pair_sampling import count_pairs, draw_pairs
from worker.engine.methods.prior_family import PriorFamily
from worker.engine.methods.value_index import ShapleyIndex
from worker.engine.request import Top, select_outputs
from worker.engine.scoring.coalitions import score_coalitions
from worker.models.loading import LoadedModel
from worker.models.registry import read_registry

TRUTH_SEED = 2**31  # of the truth's pairs; estimates have the seeds 0, 1, ...
PROCESS_PAIRS = 1500  # that a process is fitted to; it takes time as their cube
TOGETHER = 1024  # coalitions of which the scores of all outputs are kept at a time


@dataclass(frozen=True, eq=False)
class PhotoGame:
    """The arrays of a file, with members unpacked to (P, M) bool."""

    labels: Labels
    picture: NDArray[np.uint8]
    hidden: Pictures
    outputs: Indices
    names: NDArray[np.str_]
    ends: Scores
    members: Mask
    scores: Scores
    truth: Scores
    errors: Scores
    halves: Scores
    settings: str

    @cached_property
    def players(self) -> Players:
        return make_players(LabelMap(self.labels), self.picture.astype(np.float32))

    @property
    def truth_errors(self) -> Scores:
        """Estimate the truth's squared error over its squared length, from its halves: (K,)."""
        apart = ((self.halves[0] - self.halves[1]) ** 2).sum(axis=0)
        estimated: Scores = apart / 4 / (self.truth**2).sum(axis=0)
        return estimated


@dataclass(frozen=True)
class GameSettings:
    """Which game is made of a photo: superpixels, masker, outputs, and evaluations of its truth."""

    model: str
    segments: int
    masker: str
    outputs: int
    truth: int


class LazyModel:
    """A model of the bundled ones, by its name, or the default of a models file; loaded once."""

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def loaded(self) -> LoadedModel:
        listed = Path(self._name) if self._name.endswith(".toml") else None
        registry = read_registry(listed, weights_cache=None)
        return registry.get(registry.default if listed else self._name)

    def scorer(
        self, picture: Pictures, labels: Labels, masker: MaskerSpec
    ) -> Callable[[Mask], Scores]:
        """Return a function of members (B, M): the scores of all outputs, (B, n_outputs)."""
        paint, places = make_masker(masker, picture), labels.astype(np.int64)
        predictor, timings = self.loaded.predictor, EngineTimings()
        return lambda members: score_coalitions(
            predictor, paint, PlayerCoalitions(places, members), timings=timings, threads=1
        )


def make_game(
    photo: Path, model: LazyModel, settings: GameSettings, masker: MaskerSpec
) -> PhotoGame:
    """Cut a photo into superpixels, and score the pairs of the truth."""
    loaded = model.loaded
    shape = loaded.predictor.input_shape
    fit: Fit = "crop" if loaded.card.fit == "pad" else loaded.card.fit  # players fill the input
    picture, _ = fit_picture(np.asarray(Image.open(photo).convert("RGB")), shape, fit=fit)
    players = make_players(Slic(settings.segments), picture)
    score = model.scorer(picture, players.labels, masker)

    ends = score(np.array([[False], [True]]).repeat(len(players), axis=1))  # (2, n_outputs)
    outputs = select_outputs(Top(settings.outputs), ends[1])
    random = np.random.default_rng(TRUTH_SEED)
    members = draw_pairs(len(players), (settings.truth - 2) // 2, random)
    both = np.stack([members, ~members], axis=1).reshape(-1, len(players))  # (2 P, M)
    parts = range(0, len(both), TOGETHER)
    scores = np.concatenate([score(both[i : i + TOGETHER])[:, outputs] for i in parts])
    scores = scores.reshape(len(members), 2, len(outputs))

    ends = ends[:, outputs]
    one, other = split(members)
    halves = [regress(members, scores, ends, *parts) for parts in ((one, other), (other, one))]
    return PhotoGame(
        labels=players.labels,
        picture=picture.astype(np.uint8),
        hidden=make_masker(masker, picture)(empty_coalition(picture.shape))[0],
        outputs=outputs,
        names=np.array([loaded.labels[k] for k in outputs]),
        ends=ends,
        members=members,
        scores=scores,
        truth=np.mean([values for values, _ in halves], axis=0),
        errors=np.hypot(halves[0][1], halves[1][1]) / 2,
        halves=np.array([values for values, _ in halves]),
        settings=str(settings),
    )


def regress(
    members: Mask, scores: Scores, ends: Scores, rows: Indices, others: Indices
) -> tuple[Scores, Scores]:
    """Estimate Shapley values from rows of drawn pairs, and their standard errors: (M, K) each.

    members: (P, M), the smaller coalition of each pair; scores: (P, 2, K); ends: (2, K). others:
    the pairs that the process is fitted to.
    """
    full = np.ones((1, members.shape[1]), dtype=np.bool_)
    signs = np.where(np.concatenate([full, members]), 1.0, -1.0)  # (1 + P, M)
    odd = np.concatenate([ends[1:] - ends[:1], scores[:, 0] - scores[:, 1]]) / 2
    learnt, judged = (np.concatenate([[0], 1 + each]) for each in (others[:PROCESS_PAIRS], rows))
    index = ShapleyIndex(members.shape[1])
    family = PriorFamily.uniform(members.shape[1])
    prior = family.prior(family.learn(signs[learnt], [odd[learnt]]))
    process = compute_posterior(prior, index, signs[learnt], odd[learnt])
    missed = odd[judged] - prior.smooth(signs[judged], signs[learnt]) @ process.weights
    inside = np.concatenate([full, members[rows]])
    rest, errors = regress_shapley(inside, missed, certain=1)
    return prior.smooth_values(index, signs[learnt]).T @ process.weights + rest, errors


def split(members: Mask) -> tuple[Indices, Indices]:
    """Divide pairs into halves, by turns within each size; both get the sizes that are complete."""
    halves: tuple[list[int], list[int]] = ([], [])
    sizes = members.sum(axis=1)
    for size in np.unique(sizes).tolist():
        rows = np.flatnonzero(sizes == size).tolist()
        complete = len(rows) == count_pairs(members.shape[1], size)
        for half, offset in zip(halves, (0, 1), strict=True):
            half += rows if complete else rows[offset::2]
    return np.sort(halves[0]), np.sort(halves[1])


def save(game: PhotoGame, path: Path) -> None:
    """Write a game."""
    arrays = {field.name: getattr(game, field.name) for field in fields(game)}
    write(path, arrays | {"members": np.packbits(game.members, axis=1)})


def load(path: Path) -> PhotoGame:
    """Read a game."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    players = len(arrays["truth"])
    members = np.unpackbits(arrays.pop("members"), axis=1, count=players).astype(np.bool_)
    return PhotoGame(**arrays | {"members": members, "settings": str(arrays["settings"])})


def write(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays; a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    partial.replace(path)


class KnownScores:
    """Scores coalitions of a game, (B, M) to (B, K), by the model only where it was not asked yet.

    path: the file that keeps the scores of coalitions beyond those of the truth.
    """

    def __init__(
        self, game: PhotoGame, model: LazyModel, masker: MaskerSpec, path: Path | None
    ) -> None:
        self._game, self._model, self._masker, self._path = game, model, masker, path
        rows = np.stack([game.members, ~game.members], axis=1).reshape(-1, len(game.truth))
        self._known = dict(zip(_keys(rows), game.scores.reshape(len(rows), -1), strict=True))
        self._new: list[bytes] = []
        if path is not None and path.exists():
            with np.load(path) as file:
                self._new = [row.tobytes() for row in file["members"]]
                self._known.update(zip(self._new, file["scores"], strict=True))
        self._saved = len(self._new)

    def __call__(self, members: Mask) -> Scores:
        keys = _keys(members)
        unknown = {key: i for i, key in enumerate(keys) if key not in self._known}
        if unknown:
            scores = self._score(members[list(unknown.values())])[:, self._game.outputs]
            self._known.update(zip(unknown, scores, strict=True))
            self._new += unknown
        return np.array([self._known[key] for key in keys])

    @cached_property
    def _score(self) -> Callable[[Mask], Scores]:
        picture = self._game.picture.astype(np.float32)
        return self._model.scorer(picture, self._game.labels, self._masker)

    def save(self) -> None:
        """Keep the scores that the model was asked for."""
        if self._path is not None and len(self._new) > self._saved:
            rows = np.array([np.frombuffer(key, np.uint8) for key in self._new])
            write(
                self._path,
                {"members": rows, "scores": np.array([self._known[k] for k in self._new])},
            )
            self._saved = len(self._new)


def _keys(members: Mask) -> Sequence[bytes]:
    return [row.tobytes() for row in np.packbits(members, axis=1)]
