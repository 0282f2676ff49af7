"""Instance transfer: methods that select or weight source texts and examples. One file per method, one import per file."""

from transferline.core.stage import methods_in
from transferline.methods.instance.density_ratio import DensityRatio
from transferline.methods.instance.nearest import Nearest
from transferline.methods.instance.pooled import Pooled
from transferline.methods.instance.similar import Similar
from transferline.methods.instance.tradaboost import TrAdaBoost

METHODS = methods_in(__name__)
SELECTING = {name: method for name, method in METHODS.items() if method is Nearest}
"""select raw text of the domain corpus; used in `adapt`"""
INSTANCES = {name: method for name, method in METHODS.items() if method is not Nearest}
"""weight labelled examples of other targets; used in `instances`"""
