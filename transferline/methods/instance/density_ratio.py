"""Importance weighting: weight each source example by the density ratio P_target(x) / P_source(x).

Shimodaira, "Improving predictive inference under covariate shift by weighting the log-likelihood function" (2000), section 2.
The default estimator is a classifier between the domains (Bickel, Brueckner & Scheffer 2009, section 4: its odds, corrected for
the sizes of both domains). Kernel mean matching is that of Huang et al. (2007). skada has the others: KLIEP (Sugiyama et al. 2008),
Gaussian densities and kernel densities. The classifier is our own, because skada 0.6's classifier returns the inverse ratio.

Between normal distributions of 2, 8, 16 and 32 dimensions, about one standard deviation apart, estimates correlate with the true
ratio by 1.0 to 0.90 (classifier), 1.0 to 0.87 (gaussian), 0.99 to 0.78 (kmm), 0.9 to 0.1 (kliep) and 1.0 to 0.05 (kernel). Use the
last two with few dimensions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from transferline.core.stage import Work
from transferline.methods.instance.source_examples import ByFeatures

Estimator = Literal["classifier", "kliep", "kmm", "gaussian", "kernel"]
FOLDS = 5
_WIDE = (
    0.1  # kmm's RBF gamma is this over the number of dimensions: a narrower kernel sees single points, not the shift
)
_RIDGE = 1e-3  # on kmm's weights, per example: without it the weights of neighbours jump between zero and the bound
_BOUND = 1000.0  # highest weight of kmm (Huang et al. 2007, section 5)


class DensityRatio(ByFeatures):
    """Weight source examples by their density ratio between target and source domain."""

    source: ClassVar[str] = "Shimodaira 2000, section 2; Bickel et al. 2009, section 4"

    version: ClassVar[int] = 2  # kernel mean matching with a wider kernel and a ridge

    method: Literal["density-ratio"] = "density-ratio"
    estimator: Estimator = "classifier"
    most: Annotated[float, Field(gt=0)] = 10.0
    """maximum weight, so that a few examples cannot dominate"""

    def weigh(self, work: Work, own: Sequence[dict], source_rows: Sequence[dict]) -> np.ndarray:
        mine, theirs = self.features(work, own, source_rows)
        return np.minimum(density_ratio(theirs, mine, self.estimator), self.most)


def density_ratio(source: np.ndarray, target: np.ndarray, estimator: Estimator = "classifier") -> np.ndarray:
    """Estimate P_target / P_source at each source point, scaled to mean one, (n,). Source is (n, d), target (m, d)."""
    own = {"classifier": _by_classifier, "kmm": _by_kernel_means}
    ratio = own[estimator](source, target) if estimator in own else _by_library(source, target, estimator)
    ratio = np.maximum(np.nan_to_num(ratio, nan=0.0, posinf=0.0), 0.0)
    mean = float(ratio.mean())
    return ratio / mean if mean > 0 else np.ones(len(source))


def _by_classifier(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Density ratio from the cross-validated odds of logistic regression between the domains.

    All weights are one unless the classifier's log loss beats that of the domains' shares by two standard errors. Otherwise the
    weights would be noise.
    """
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    points, domain = np.concatenate([source, target]), np.repeat([0, 1], [len(source), len(target)])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    Cs = np.logspace(-6, 1, 8)  # from almost constant odds to hardly regularised
    chooser = LogisticRegressionCV(
        Cs=Cs, cv=folds, scoring="neg_log_loss", l1_ratios=(0.0,), use_legacy_attributes=False, max_iter=2000
    )
    odds = cross_val_predict(chooser, points, domain, cv=folds, method="predict_proba")
    odds = np.clip(odds, 1e-6, 1 - 1e-6)
    share = domain.mean()
    gained = np.log(odds[np.arange(len(domain)), domain]) - np.log(np.where(domain == 1, share, 1 - share))
    if gained.mean() < 2 * gained.std() / np.sqrt(len(gained)):
        return np.ones(len(source))
    return (odds[:, 1] / odds[:, 0])[: len(source)] * (len(source) / len(target))


def _by_kernel_means(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Weights under which the mean of the source equals that of the target in the space of an RBF kernel.

    Huang et al., "Correcting Sample Selection Bias by Unlabeled Data" (2007), equation 12. Its condition that the weights' mean is
    about one is met by scaling them.
    """
    from scipy.optimize import minimize
    from sklearn.metrics.pairwise import rbf_kernel

    gamma, rows = _WIDE / source.shape[1], len(source)
    within = rbf_kernel(source, gamma=gamma) + _RIDGE * rows * np.eye(rows)
    across = rbf_kernel(source, target, gamma=gamma).mean(axis=1) * rows

    def objective(weights: np.ndarray) -> tuple[float, np.ndarray]:
        products = within @ weights
        return float(weights @ (products / 2 - across)), products - across

    bounds = [(0.0, _BOUND)] * rows
    return minimize(objective, np.ones(rows), jac=True, method="L-BFGS-B", bounds=bounds).x


def _by_library(source: np.ndarray, target: np.ndarray, estimator: Estimator) -> np.ndarray:
    import skada

    width = 1.0 / source.shape[1]  # RBF gamma 1 / d, as in scikit-learn: features are scaled to unit variance
    made: dict[str, Any] = {
        "kliep": lambda: skada.KLIEPReweightAdapter(
            gamma=[width * scale for scale in (0.1, 0.3, 1, 3)], random_state=0
        ),
        "gaussian": skada.GaussianReweightAdapter,
        "kernel": skada.DensityReweightAdapter,
    }
    adapter = made[estimator]()
    points = np.concatenate([source, target])
    domain = np.repeat([1, -2], [len(source), len(target)])  # skada: sources are positive, targets negative
    adapter.fit(points, sample_domain=domain)
    return np.asarray(adapter.compute_weights(points, sample_domain=domain))[: len(source)]
