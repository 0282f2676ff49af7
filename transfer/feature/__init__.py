"""Feature transfer: a representation is carried over, and a new model learns on it. One file each, one line each."""

from transfer.feature.common_space import CommonSpace
from transfer.feature.coral import Coral
from transfer.feature.dann import Dann
from transfer.feature.deep_coral import DeepCoral
from transfer.feature.extraction import Extraction
from transfer.feature.mmd import Mmd
from transfer.feature.standardise import Standardise
from transfer.stage import methods_in

METHODS = methods_in(__name__)
ADAPTING = {name: method for name, method in METHODS.items() if method.kind == "adapt"}
TUNING = {name: method for name, method in METHODS.items() if method.kind == "tune"}
