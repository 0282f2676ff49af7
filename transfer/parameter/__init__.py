"""Parameter transfer: how a model's weights are carried over to a labelled target. One file each, one line each."""

from transfer.parameter.adapter import Adapter
from transfer.parameter.bitfit import BitFit
from transfer.parameter.discriminative import Discriminative
from transfer.parameter.distill import Distill
from transfer.parameter.forest import Forest, RefittedForest
from transfer.parameter.freeze import Freeze
from transfer.parameter.full import Full
from transfer.parameter.gradual import Gradual
from transfer.parameter.l2sp import L2SP
from transfer.parameter.lora import Lora
from transfer.parameter.lpft import LPFT
from transfer.parameter.prefix import Prefix
from transfer.parameter.probe import Probe
from transfer.parameter.progressive import Progressive
from transfer.parameter.prompt import Prompt
from transfer.parameter.reinitialise import Reinitialise
from transfer.stage import methods_in

METHODS = methods_in(__name__)
