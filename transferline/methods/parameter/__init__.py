"""Parameter transfer: methods that tune pretrained weights on a labelled target. One file per method, one import per file."""

from transferline.core.stage import methods_in
from transferline.methods.parameter.adapter import Adapter
from transferline.methods.parameter.bitfit import BitFit
from transferline.methods.parameter.discriminative import Discriminative
from transferline.methods.parameter.distill import Distill
from transferline.methods.parameter.forest import Forest, RefittedForest
from transferline.methods.parameter.freeze import Freeze
from transferline.methods.parameter.full import Full
from transferline.methods.parameter.gradual import Gradual
from transferline.methods.parameter.l2sp import L2SP
from transferline.methods.parameter.lora import Lora
from transferline.methods.parameter.lpft import LPFT
from transferline.methods.parameter.prefix import Prefix
from transferline.methods.parameter.probe import Probe
from transferline.methods.parameter.progressive import Progressive
from transferline.methods.parameter.prompt import Prompt
from transferline.methods.parameter.reinitialise import Reinitialise

METHODS = methods_in(__name__)
