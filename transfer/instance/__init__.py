"""Instances: which texts and examples of a source are worth learning from. One file each, one line each."""

from transfer.instance.density_ratio import DensityRatio
from transfer.instance.nearest import Nearest
from transfer.instance.pooled import Pooled
from transfer.instance.similar import Similar
from transfer.instance.tradaboost import TrAdaBoost
from transfer.stage import methods_in

METHODS = methods_in(__name__)
SELECTING = {name: method for name, method in METHODS.items() if method is Nearest}
"""raw text of the domain, in `adapt`"""
BORROWING = {name: method for name, method in METHODS.items() if method is not Nearest}
"""labelled examples of other targets, in `instances`"""
