"""Architectures of our own, for what no architecture of transformers can express. Importing this makes them known.

They are PreTrainedModels like all others: `AutoModel...from_pretrained(folder)` loads them wherever this package was imported. A
served model of theirs needs it too, which is why whatever can be written in a stock architecture's terms is.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
)

from transfer.networks.cross_stitch import CrossStitchConfig, CrossStitchForSequenceClassification
from transfer.networks.layered import LayeredConfig, LayeredForSequenceClassification
from transfer.networks.progressive import ProgressiveConfig, ProgressiveForSequenceClassification
from transfer.networks.static import StaticConfig, StaticForSequenceClassification, StaticModel

OWN = (StaticConfig.model_type, LayeredConfig.model_type, ProgressiveConfig.model_type, CrossStitchConfig.model_type)

for _config in (StaticConfig, LayeredConfig, ProgressiveConfig, CrossStitchConfig):
    AutoConfig.register(_config.model_type, _config)
AutoModel.register(StaticConfig, StaticModel)
AutoModelForSequenceClassification.register(StaticConfig, StaticForSequenceClassification)
AutoModelForSequenceClassification.register(LayeredConfig, LayeredForSequenceClassification)
AutoModelForSequenceClassification.register(CrossStitchConfig, CrossStitchForSequenceClassification)
AutoModelForSequenceClassification.register(ProgressiveConfig, ProgressiveForSequenceClassification)
