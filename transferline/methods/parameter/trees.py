"""Decision trees as arrays, and STRUT's refitting of their thresholds and leaves on other examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

PRIOR = 1.0  # weight of a leaf's source distribution, in target examples


@dataclass(frozen=True)
class Tree:
    """A binary decision tree with node 0 as its root.

    `below` (nodes, 2) are the children of a node: left for values up to `threshold`, right for larger ones. A leaf is its own
    child. `shares` (nodes, labels) is the label distribution of the examples that reached a node.
    """

    feature: np.ndarray
    threshold: np.ndarray
    below: np.ndarray
    shares: np.ndarray

    def is_leaf(self, node: int) -> bool:
        return bool(self.below[node, 0] == node)

    def depth(self, node: int = 0) -> int:
        """Number of splits on the longest path from a node to a leaf."""
        return 0 if self.is_leaf(node) else 1 + max(self.depth(int(child)) for child in self.below[node])


def trees_of(forest: Any, labels: int) -> list[Tree]:
    """The trees of a fitted scikit-learn forest. A label without training examples has a share of zero in every node."""
    made = []
    for one in forest.estimators_:
        tree = one.tree_
        here = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        below = np.stack([tree.children_left, tree.children_right], axis=1)
        shares = np.zeros((tree.node_count, labels), dtype=np.float32)
        counts = tree.value[:, 0, :]
        shares[:, forest.classes_.astype(int)] = counts / counts.sum(axis=1, keepdims=True)
        feature = np.where(leaf, 0, tree.feature).astype(np.int64)
        threshold = below_or_at(np.where(leaf, 0.0, tree.threshold))
        made.append(Tree(feature, threshold, np.where(leaf[:, None], here[:, None], below).astype(np.int64), shares))
    return made


def below_or_at(numbers: np.ndarray) -> np.ndarray:
    """Round fp64 numbers down to fp32.

    scikit-learn compares fp32 features with fp64 thresholds. Rounding down keeps every feature on its side of the threshold;
    rounding to the nearest value could move a threshold past a feature.
    """
    near = np.asarray(numbers, dtype=np.float32)
    return np.where(near.astype(np.float64) > numbers, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def refit(tree: Tree, points: np.ndarray, y_true: np.ndarray, weights: np.ndarray | None = None) -> Tree:
    """Refit a tree's thresholds and leaves on other examples, keeping its structure.

    `points` are features (n, width), `truth` label numbers (n,), `weights` sample weights (n,).
    """
    weights = np.ones(len(points)) if weights is None else weights.astype(np.float64)
    labels = tree.shares.shape[1]
    feature, threshold, below, shares = (np.array(getattr(tree, name)) for name in Tree.__dataclass_fields__)
    counts = np.zeros((len(points), labels))
    counts[np.arange(len(points)), y_true] = weights
    waiting = [(0, np.arange(len(points)))]
    while waiting:
        node, reach = waiting.pop()
        here = counts[reach].sum(axis=0)
        shares[node] = (here + PRIOR * tree.shares[node]) / (here.sum() + PRIOR)
        if tree.is_leaf(node):
            continue
        left, right = (int(child) for child in tree.below[node])
        column = points[reach, feature[node]].astype(np.float32)
        # no example, or no split between them: make this node a leaf
        if len(reach) == 0 or column.min() == column.max():
            below[node] = node
            continue
        threshold[node] = _threshold(column, counts[reach], tree.shares[left], tree.shares[right])
        above = column > threshold[node]
        waiting += [(left, reach[~above]), (right, reach[above])]
    return Tree(feature, threshold, below, shares.astype(np.float32))


def _threshold(column: np.ndarray, counts: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """The threshold that splits labels most like the source's split (the paper's divergence gain)."""
    order = np.argsort(column, kind="stable")
    values, sums = column[order], np.cumsum(counts[order], axis=0)
    ends = np.flatnonzero(values[:-1] < values[1:])  # a threshold must lie between two different values
    lower, total = sums[ends], sums[-1]
    upper = total - lower
    sides = [side.sum(axis=1) / total.sum() for side in (lower, upper)]
    loss = sides[0] * divergence(lower, left) + sides[1] * divergence(upper, right)
    best = ends[int(np.argmin(loss))]
    return float(below_or_at(np.array((float(values[best]) + float(values[best + 1])) / 2)))


def divergence(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence, in bits, of rows of counts (n, labels) from shares (labels,)."""
    given = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    middle = (given + shares) / 2
    return (_relative(given, middle) + _relative(np.broadcast_to(shares, given.shape), middle)) / 2


def _relative(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Relative entropy of rows, in bits."""
    safe = np.where(one > 0, one, 1.0)
    return (one * np.log2(safe / np.maximum(other, 1e-12))).sum(axis=1)
