"""Feature transfer: methods that reuse or align representations. One file per method, one import per file."""

from transferline.core.stage import methods_in
from transferline.methods.feature.common_space import CommonSpace
from transferline.methods.feature.coral import Coral
from transferline.methods.feature.dann import Dann
from transferline.methods.feature.deep_coral import DeepCoral
from transferline.methods.feature.extraction import Extraction
from transferline.methods.feature.mmd import Mmd
from transferline.methods.feature.standardise import Standardise

METHODS = methods_in(__name__)
ADAPTING = {name: method for name, method in METHODS.items() if method.kind == "adapt"}
TUNING = {name: method for name, method in METHODS.items() if method.kind == "tune"}
