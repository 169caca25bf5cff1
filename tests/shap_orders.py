"""shap 0.51, the last for Python 3.11, with the orders that 0.54 draws from NumPy's stream.

For pictures, 0.51's PermutationExplainer draws from numba's stream, whatever its `seed`. So its
shuffle is replaced; the tree, the masks and the sums remain its own.
"""

import numpy as np


def draw_from_numpy(shap_module, monkeypatch):
    """Make the PermutationExplainer of shap 0.51 shuffle as that of 0.54 does."""
    monkeypatch.setattr(shap_module.explainers._permutation, "partition_tree_shuffle", _shuffle)


def _shuffle(indexes, index_mask, clustering):
    """Order all leaves of a tree: one draw for each row; if negative, the left child comes first.

    clustering: row i is node M + i of M leaves: the numbers of its children, then unused columns.
    """
    assert index_mask.all()
    left_first = np.random.randn(len(clustering)) < 0
    leaves, order, stack = len(index_mask), [], [2 * len(index_mask) - 2]
    while stack:
        node = stack.pop()
        if node < leaves:
            order.append(node)
        else:
            left, right = clustering[node - leaves, :2].astype(int)
            stack += [right, left] if left_first[node - leaves] else [left, right]
    indexes[:] = order
