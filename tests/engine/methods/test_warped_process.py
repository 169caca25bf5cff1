"""The process of probabilities on a stretched scale, and what gaussian_process gains by it."""

from itertools import product

import numpy as np
import pytest

from tests.engine.games import play
from worker.engine.arrays import Mask, Scores
from worker.engine.attribution import Attribution
from worker.engine.game.superpixels import Pixels, make_pixels
from worker.engine.methods.exact import Exact
from worker.engine.methods.gaussian_process import GaussianProcess
from worker.engine.methods.gp_estimator import SUMMED_SEED, estimate
from worker.engine.methods.gp_posterior import MEAN, Prior
from worker.engine.methods.owen_index import OwenIndex
from worker.engine.methods.pair_sampling import draw_pairs
from worker.engine.methods.prior_family import PriorFamily
from worker.engine.methods.product_kernels import ProductKernels
from worker.engine.methods.score_scale import shrink, stretch
from worker.engine.methods.value_index import ShapleyIndex
from worker.engine.methods.warped_process import WarpedProcess, stretched_parts
from worker.engine.request import MAX_SEED

PLAYERS = 10
SHAPE = (2, 5, 1)


class Classifier:
    """Makes probabilities of K classes from sums over players, and of some pairs of them."""

    def __init__(self, seed: int, players: int = PLAYERS, classes: int = 3) -> None:
        draw = np.random.default_rng(seed)
        self._alone = 2 * draw.normal(size=(players, classes))
        self._together = draw.normal(size=(players - 1, classes))

    def __call__(self, mask: Mask) -> Scores:
        inside = mask.ravel().astype(np.float64)
        logits = inside @ self._alone + (inside[1:] * inside[:-1]) @ self._together
        odds = np.exp(logits - logits.max())
        probabilities: Scores = odds / odds.sum()
        return probabilities


def run(value: object, max_evals: int, **options: object) -> Attribution:
    make = lambda game: GaussianProcess(game, max_evals=max_evals, **options)  # noqa: E731
    return play(make, value, SHAPE)


def exact_values(value: object) -> Scores:
    return play(lambda game: Exact(game, max_evals=2**PLAYERS), value, SHAPE).regions.values


def made_pairs(pairs: int, seed: int = 0) -> tuple[Mask, Scores]:
    """Draw pairs, the full and the empty coalition first, and score both of each."""
    value = Classifier(seed)
    drawn = draw_pairs(PLAYERS, pairs, np.random.default_rng(seed))
    members = np.concatenate([np.ones((1, PLAYERS), dtype=bool), drawn])
    return members, np.array([[value(row), value(~row)] for row in members])


def made_prior(rough: float = 0.01) -> Prior:
    draw = np.random.default_rng(1)
    rates = draw.uniform(0.05, 0.3, (2, PLAYERS))
    return Prior(ProductKernels(rates, np.array([1, 0.5])), draw.uniform(0, 0.1, PLAYERS), rough)


def test_the_parts_are_of_one_process_of_all_coalitions() -> None:
    """Covariances of the whole game are the sum of both parts, of its complement the difference."""
    signs = np.array(list(product([-1.0, 1.0], repeat=4)))
    rates = np.array([[0.1, 0.3, 0.2, 0.4]])
    prior = Prior(ProductKernels(rates, np.array([1.0])), np.zeros(4), rough=0.01)
    odd, even = prior.smooth_parts(signs, signs)
    assert odd == pytest.approx(prior.smooth(signs, signs))
    assert odd[:, ::-1] == pytest.approx(-odd)  # complements, in this order of coalitions
    assert even[:, ::-1] == pytest.approx(even)
    assert np.diag(even) == pytest.approx(np.full(16, 1 + MEAN))


def test_held_out_scores_are_predicted_from_the_other_pairs() -> None:
    members, scores = made_pairs(25)
    signs, prior = np.where(members, 1.0, -1.0), made_prior()
    found = WarpedProcess(prior, signs, scores).held_out()
    mean = stretched_parts(scores)[1]
    for left_out in (0, 7, 25):
        others = np.arange(len(signs)) != left_out
        without = WarpedProcess(prior, signs[others], scores[others])
        # The mean that is taken off is of all pairs; the prior hardly feels the difference
        assert stretched_parts(scores[others])[1] == pytest.approx(mean, abs=0.3)
        expected = without.predict(*prior.smooth_parts(signs[[left_out]], signs[others]))[0]
        assert found[left_out] == pytest.approx(expected, abs=2e-3)


def test_a_smooth_process_keeps_the_scores_that_it_knows() -> None:
    members, scores = made_pairs(25)
    signs, prior = np.where(members, 1.0, -1.0), made_prior(rough=1e-9)
    predicted = WarpedProcess(prior, signs, scores).predict(*prior.smooth_parts(signs, signs))
    assert predicted == pytest.approx((scores[:, 0] - scores[:, 1]) / 2, abs=1e-4)


@pytest.mark.parametrize("budget", [60, 140])
def test_values_of_probabilities_are_nearer_on_the_stretched_scale(budget: int) -> None:
    ratios = []
    for seed in range(10):
        value = Classifier(seed)
        exact = exact_values(value)
        warped, linear = (
            ((run(value, budget, seed=seed, score_scale=scale).regions.values - exact) ** 2).sum()
            for scale in ("auto", "linear")
        )
        ratios.append(warped / linear)
    assert np.exp(np.log(ratios).mean()) < 0.8


def test_intervals_cover_about_95_percent_of_the_values_of_probabilities() -> None:
    covered = []
    for seed in range(12):
        value = Classifier(seed)
        exact = exact_values(value)
        for budget in (30, 60, 140):
            found = run(value, budget, seed=seed).regions.interval
            assert found is not None
            covered.append((found.low <= exact) & (exact <= found.high))
    assert 0.92 <= np.mean(covered) <= 0.99


def test_scores_that_are_no_probabilities_are_modelled_as_they_are() -> None:
    classifier = Classifier(0)
    value = lambda mask: np.append(classifier(mask), 1.5)  # noqa: E731
    auto, linear = (run(value, 60, score_scale=scale) for scale in ("auto", "linear"))
    assert auto.values.tobytes() == linear.values.tobytes()
    assert run(classifier, 60).values.tobytes() != linear.values[..., :3].tobytes()


def test_an_output_that_is_predicted_worse_on_the_stretched_scale_keeps_its_other_values() -> None:
    """A sum of the players is one already, so nothing is nearer to it than a linear process."""
    weights = np.random.default_rng(2).dirichlet(np.ones(PLAYERS))
    members, scores = made_pairs(30)
    sums = np.stack([members @ weights, ~members @ weights], axis=1)[..., np.newaxis]
    both = np.concatenate([sums, scores], axis=2)  # (N, 2, 4)
    signs, index = np.where(members, 1.0, -1.0), ShapleyIndex(PLAYERS)
    family = PriorFamily.uniform(PLAYERS)
    prior = family.prior(family.learn(signs, [(both[:, 0] - both[:, 1]) / 2]))
    found, linear = (
        estimate(members, both, prior, index, complete=False, warped=warped)
        for warped in (True, False)
    )
    assert found.values[:, 0].tolist() == linear.values[:, 0].tolist()
    assert found.errors[:, 0].tolist() == linear.errors[:, 0].tolist()
    assert found.values[:, 1].tolist() != linear.values[:, 1].tolist()
    assert found.errors[:, 1].mean() < linear.errors[:, 1].mean()


def test_a_sum_from_0_to_1_is_found_within_its_errors() -> None:
    weights = np.random.default_rng(2).dirichlet(np.ones(PLAYERS))
    found = run(lambda mask: np.array([mask.ravel() @ weights]), 60).regions
    assert found.errors is not None
    assert (np.abs(found.values[:, 0] - weights) < 3 * found.errors[:, 0] + 1e-9).all()


def test_with_all_coalitions_values_are_exact() -> None:
    value = Classifier(3)
    found = run(value, 2**PLAYERS)
    assert found.exact
    assert found.regions.values == pytest.approx(exact_values(value), abs=1e-9)


def test_values_add_up_and_a_constant_output_gets_zeros() -> None:
    classifier = Classifier(4)
    value = lambda mask: np.append(classifier(mask), 0.25)  # noqa: E731
    found = run(value, 60)
    assert found.efficiency_gap == pytest.approx(np.zeros(4), abs=1e-9)
    assert np.abs(found.values[..., 3]).max() < 1e-9
    assert np.isfinite(found.standard_errors).all()


@pytest.mark.parametrize("concept", ["shapley", "owen"])
def test_values_are_those_of_the_predicted_game(concept: str) -> None:
    """Of 10 players all pairs are summed: the known scores, and what is predicted of the others."""
    index = (
        ShapleyIndex(PLAYERS)
        if concept == "shapley"
        else OwenIndex.of(make_pixels(Pixels(), SHAPE))
    )
    drawn, value = index.draw(40, np.random.default_rng(0)), Classifier(0)
    members = np.concatenate([np.ones((1, PLAYERS), dtype=bool), drawn])
    scores = np.array([[value(row), value(~row)] for row in members])
    signs = np.where(members, 1.0, -1.0)
    family = PriorFamily.uniform(PLAYERS)
    prior = family.prior(family.learn(signs, stretched_parts(scores)[0]))
    estimated = estimate(members, scores, prior, index, complete=False, warped=True)

    everything = np.concatenate([members[:1], index.draw(10**6, np.random.default_rng(1))])
    all_signs = np.where(everything, 1.0, -1.0)
    odd = WarpedProcess(prior, signs, scores).predict(*prior.smooth_parts(all_signs, signs))
    known = {row.tobytes(): i for i, row in enumerate(members)}
    known |= {row.tobytes(): i for i, row in enumerate(~members)}
    for i, row in enumerate(everything):
        if row.tobytes() in known:
            j = known[row.tobytes()]
            sign = 1 if (row == members[j]).all() else -1
            odd[i] = sign * (scores[j, 0] - scores[j, 1]) / 2
    assert estimated.values == pytest.approx(index.weights(all_signs).T @ odd, abs=1e-8)


def test_probabilities_near_0_are_told_apart() -> None:
    p = np.array([1e-8, 1e-6, 1e-4])
    assert (np.diff(stretch(p)) > 0.05).all()


def test_predicted_scores_are_the_means_of_what_the_process_leaves_open() -> None:
    """Against draws from the process: far from 0.5 the mean is not the score of the mean."""
    members, scores = made_pairs(6)
    signs, prior = np.where(members, 1.0, -1.0), made_prior()
    others = np.where(draw_pairs(PLAYERS, 60, np.random.default_rng(3)), 1.0, -1.0)
    smooth = prior.smooth_parts(others, signs)
    found = WarpedProcess(prior, signs, scores).predict(*smooth)

    parts, mean = stretched_parts(scores)
    grams = prior.known_parts(signs)
    weights = [np.linalg.solve(gram, part) for gram, part in zip(grams, parts, strict=True)]
    amplitudes = sum((p * w).sum(axis=0) for p, w in zip(parts, weights, strict=True))
    amplitudes = amplitudes / (2 * len(signs))
    draws, drawn = np.random.default_rng(4), []
    for known, gram, weight in zip(smooth, grams, weights, strict=True):
        left = gram[0, 0] - (known * np.linalg.solve(gram, known.T).T).sum(axis=1)
        deviation = np.sqrt(left[:, np.newaxis] * amplitudes)
        drawn.append(known @ weight + deviation * draws.normal(size=(4000, *deviation.shape)))
    odd, even = drawn
    expected = (shrink(mean + even + odd) - shrink(mean + even - odd)).mean(axis=0) / 2
    assert found == pytest.approx(expected, abs=0.06)
    of_means = [known @ weight for known, weight in zip(smooth, weights, strict=True)]
    plain = shrink(mean + of_means[1] + of_means[0]) - shrink(mean + of_means[1] - of_means[0])
    assert np.abs(found - expected).mean() < np.abs(plain / 2 - expected).mean() / 3


def test_summed_pairs_are_others_than_those_of_any_seed() -> None:
    """Else a run of seed 0 would be summed over no pair but its own."""
    index = ShapleyIndex(30)
    summed = index.draw(200, np.random.default_rng(SUMMED_SEED))
    rows = {row.tobytes() for row in summed[summed.sum(axis=1) > 2]}
    for seed in (0, 1, MAX_SEED):
        drawn = index.draw(200, np.random.default_rng(seed))
        assert sum(row.tobytes() in rows for row in drawn) < 5
