"""The pages for verifiers repeat numbers of the code."""

from math import log2

import numpy as np
import pytest

from service.evidence.archives import MAX_BYTES, MAX_MEMBERS
from service.schemas.regions import MAX_NUMBERS, MAX_REGIONS, MAX_ROWS
from tests.docs.pages import ROOT
from worker.engine.evidence.transcript import DIGEST, ROW
from worker.engine.game.coalitions import CHUNK
from worker.engine.game.merge_tree import NOISE
from worker.engine.methods.even_energy import ROUNDING
from worker.engine.methods.gaussian_process import DRAWN, DRAWN_BY_LOOKS, FIRST_CHECK, WIDENED
from worker.engine.methods.kernel import STEADY
from worker.engine.methods.kernel_sampling import DRAWS
from worker.engine.methods.least_squares import CERTAIN
from worker.engine.methods.permutation import PRIOR_SAMPLES
from worker.engine.methods.ridge import GRID, NEGLIGIBLE, ODDS
from worker.engine.metrics.faithfulness import POINTS
from worker.engine.metrics.perturbation import STEP
from worker.engine.regions import COVERED

SAID = {
    "bundle.md": [
        f"at most {MAX_MEMBERS} files",
        f"2^31 + 2^{log2(MAX_BYTES - 2**31):g} bytes",
        f"at most {MAX_REGIONS:,} of them, and {MAX_NUMBERS:,} regions times outputs",
        f"regions times outputs are at most {MAX_ROWS:,}",
        f"longer than {ROW} bytes is kept as its BLAKE2b digest (RFC 7693) of {DIGEST} bytes",
    ],
    "methods.md": [
        f"cost = (d² + {NOISE:g}²)",
        f"At most {CHUNK} coalitions are asked for at a time",
        f"n + {PRIOR_SAMPLES - 1}, n complete permutations",
        f" e_i² + {PRIOR_SAMPLES} m) / (n + {PRIOR_SAMPLES - 1}))",
        f"From {STEADY} (M ",
        f"fewer than {STEADY} (M ",
        f"`choice` of {DRAWS} times the pairs",
        f"{1 - CERTAIN:.0e}, there are no errors".replace("e-09", "e-9"),
        f"g = 0..{len(GRID) - 1}",
        f"_g = {4 * ODDS:g} ",
        f"those up to {NEGLIGIBLE:.0e} are left out".replace("e-06", "e-6"),
        f"({ROUNDING:g} · largest absolute score)²",
        f"the first max({FIRST_CHECK}, ⌊{DRAWN} M⌋)",
        f"or max({FIRST_CHECK}, {DRAWN_BY_LOOKS:g} M) of superpixels".replace(" 1 M", " M"),
        f"{WIDENED} e_i",
        f"k = max(1, ⌊n / {1 / STEP:g}⌋)",
        f"x is {POINTS} numbers evenly",
        f"A {COVERED:.0%} interval".replace("%", " %"),
        f"the {(1 + COVERED) / 2:.1%} quantile".replace("%", " %"),
    ],
}


@pytest.mark.parametrize(
    ("page", "said"), [(page, said) for page, all_said in SAID.items() for said in all_said]
)
def test_a_number_of_a_page_is_that_of_the_code(page, said):
    text = " ".join((ROOT / "docs" / page).read_text().split())
    assert said in text


def test_the_grid_of_odds_is_that_of_the_page():
    np.testing.assert_allclose(GRID, 10 ** (-8 + np.arange(len(GRID)) / 5), rtol=1e-12)
