"""Feature transfer: a representation is carried over, and a new model learns on it. One file each, one line each."""

from transfer.feature.extraction import Extraction
from transfer.stage import methods_in

METHODS = methods_in(__name__)
