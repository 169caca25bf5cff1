"""Sums of product kernels: covariances of the odd and of the even part of a game.

Between the scores at signs s and t, a kernel of rates r has the covariance

- sinh(sum_i r_i s_i t_i) / sinh(sum_i r_i) of the odd part,
- cosh(sum_i r_i s_i t_i) / cosh(sum_i r_i) of the even part, with that of the mean,

as gp_covariance.py derives. Both come from one exponential. Exponentials are computed in blocks
that stay in a processor's cache.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from worker.engine.arrays import Scores

CELLS = 2**15  # exponentials in a block, 256 kB
ROWS = 32  # of a symmetric matrix in a block; half of their own square is computed in vain


@dataclass(frozen=True, eq=False)
class ProductKernels:
    """Q kernels of M players. rates: (Q, M) > 0; shares: (Q,) >= 0, their variances."""

    rates: Scores
    shares: Scores

    def covariances(self, signs: Scores, others: Scores, *, parts: int = 1) -> Scores:
        """Return the sums of covariances for signs (N, M) and (B, M): (parts, N, B).

        parts: 1 for the odd part, 2 for that and the even part.
        """
        found = np.empty((parts, len(signs), len(others)))
        step = max(1, CELLS // (len(self.rates) * len(others)))
        for start in range(0, len(signs), step):
            rows = slice(start, start + step)
            sums = self.sum(*self.exponentials(signs[rows], others), parts=parts)
            found[:, rows] = sums.reshape(parts, -1, len(others))
        return found

    def exponentials(self, signs: Scores, others: Scores) -> tuple[Scores, Scores]:
        """Return e^x and e^-x of x = sum_i r_i s_i t_i for each kernel: (Q, N B) each."""
        weighted = (self.rates[:, np.newaxis] * signs).reshape(-1, signs.shape[1])  # (Q N, M)
        powers = (weighted @ others.T).reshape(len(self.rates), -1)
        np.exp(powers, out=powers)
        return powers, 1 / powers

    def sum(self, powers: Scores, inverses: Scores, *, parts: int) -> Scores:
        """Sum the covariances (parts, B) of exponentials (Q, B) each."""
        weights = (self.shares * self.norms)[:parts]
        sums, others = weights @ powers, weights @ inverses
        sums[0] -= others[0]
        sums[1:] += others[1:]
        return sums

    @cached_property
    def norms(self) -> Scores:
        """Return the reciprocals of 2 sinh and of 2 cosh of the sums of rates: (2, Q)."""
        totals = self.rates.sum(axis=1)
        norms: Scores = 0.5 / np.stack([np.sinh(totals), np.cosh(totals)])
        return norms


@dataclass(frozen=True, eq=False)
class Gram:
    """The covariances among scores at signs (N, M), with the exponentials that slopes need.

    _blocks: rows, columns from the first of them on, and their exponentials (Q, N B) each.
    """

    kernels: ProductKernels
    signs: Scores
    _blocks: list[tuple[slice, slice, Scores, Scores]]

    @classmethod
    def of(cls, kernels: ProductKernels, signs: Scores) -> Self:
        """Compute all exponentials."""
        blocks = []
        for start in range(0, len(signs), ROWS):
            rows, later = slice(start, start + ROWS), slice(start, len(signs))
            blocks.append((rows, later, *kernels.exponentials(signs[rows], signs[later])))
        return cls(kernels, signs, blocks)

    def covariances(self, parts: int) -> Scores:
        """Return the sums of covariances, of the odd and the even part: (parts, N, N)."""
        found = np.empty((parts, len(self.signs), len(self.signs)))
        for rows, later, powers, inverses in self._blocks:
            block = found[:, rows, later]
            block[:] = self.kernels.sum(powers, inverses, parts=parts).reshape(block.shape)
            found[:, later, rows] = block.swapaxes(1, 2)
        return found

    def weigh(self, weights: Scores) -> tuple[Scores, Scores]:
        """Return each kernel's sum of weights * covariances, and its slope by the logs of rates.

        weights: (parts, N, N), symmetric. Returned are (Q,) and (Q, M), both times the shares.

        With x the exponent and T the sum of rates, the slopes by rate i are
        cosh(x) s_i t_i / sinh(T) - odd / tanh(T) and sinh(x) s_i t_i / cosh(T) - even * tanh(T).
        """
        rates, shares = self.kernels.rates, self.kernels.shares
        norms = self.kernels.norms[: len(weights)]  # (parts, Q)
        tanh = np.tanh(rates.sum(axis=1))  # (Q,)
        sums, slopes = np.zeros_like(norms), np.zeros_like(rates)
        once = np.triu(weights) + np.triu(weights, 1)
        for rows, later, powers, inverses in self._blocks:
            sinh, cosh = powers - inverses, powers + inverses  # (Q, n B), twice both
            of_odd, *of_even = once[:, rows, later].reshape(len(weights), -1)  # (n B,)
            by_inner = cosh * of_odd
            sums[0] += sinh @ of_odd
            for each in of_even:
                by_inner += tanh[:, np.newaxis] * (sinh * each)
                sums[1] += cosh @ each
            by_signs = by_inner.reshape(-1, len(self.signs[later])) @ self.signs[later]
            by_signs = by_signs.reshape(len(rates), -1, rates.shape[1]) * self.signs[rows]
            slopes += by_signs.sum(axis=1)
        sums *= norms
        of_norms = (sums * np.stack([1 / tanh, tanh])[: len(weights)]).sum(axis=0)
        by_rates = norms[0][:, np.newaxis] * slopes - of_norms[:, np.newaxis]
        return shares * sums.sum(axis=0), shares[:, np.newaxis] * rates * by_rates
