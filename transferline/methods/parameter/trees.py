"""Decision trees as arrays, and the refitting of one tree's thresholds and leaves on other examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

PRIOR = 1.0  # examples of the target that a leaf's distribution in the source is worth


@dataclass(frozen=True)
class Tree:
    """Node 0 is the root. `below` (nodes, 2) are the nodes to the left (at most `threshold`) and right; a leaf's are itself.

    `shares` (nodes, labels) are the labels' shares among the examples that reached a node.
    """

    feature: np.ndarray
    threshold: np.ndarray
    below: np.ndarray
    shares: np.ndarray

    def is_leaf(self, node: int) -> bool:
        return bool(self.below[node, 0] == node)

    def depth(self, node: int = 0) -> int:
        """Questions on the longest way down."""
        return 0 if self.is_leaf(node) else 1 + max(self.depth(int(child)) for child in self.below[node])


def trees_of(forest: Any, labels: int) -> list[Tree]:
    """The trees of a fitted scikit-learn forest; a label that it never saw has no share anywhere."""
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
    """The largest fp32 numbers that are not above some fp64 ones: fp32 features then fall to the same side of them."""
    near = np.asarray(numbers, dtype=np.float32)
    return np.where(near.astype(np.float64) > numbers, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def refit(tree: Tree, points: np.ndarray, y_true: np.ndarray, weights: np.ndarray | None = None) -> Tree:
    """The same questions with thresholds and leaves of other examples: points (n, width), label numbers (n,)."""
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
        if len(reach) == 0 or column.min() == column.max():  # nothing to ask of: the tree ends here
            below[node] = node
            continue
        threshold[node] = _threshold(column, counts[reach], tree.shares[left], tree.shares[right])
        goes = column > threshold[node]
        waiting += [(left, reach[~goes]), (right, reach[goes])]
    return Tree(feature, threshold, below, shares.astype(np.float32))


def _threshold(column: np.ndarray, counts: np.ndarray, left: np.ndarray, right: np.ndarray) -> float:
    """Where to cut: the labels on either side should be like the source's there (the paper's divergence gain)."""
    order = np.argsort(column, kind="stable")
    values, sums = column[order], np.cumsum(counts[order], axis=0)
    ends = np.flatnonzero(values[:-1] < values[1:])
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
