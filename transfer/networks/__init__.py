"""Architectures of our own, for what no architecture of transformers can express. Importing this makes them known.

They are PreTrainedModels like all others: `AutoModel...from_pretrained(folder)` loads them wherever this package was imported. A
served model of theirs needs it too, which is why whatever can be written in a stock architecture's terms is.
"""

from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

from transfer.networks.cross_stitch import CrossStitchConfig, CrossStitchForSequenceClassification
from transfer.networks.features import FeaturesConfig, FeaturesForSequenceClassification, FeaturesModel
from transfer.networks.forest import ForestConfig, ForestForSequenceClassification
from transfer.networks.layered import LayeredConfig, LayeredForSequenceClassification
from transfer.networks.progressive import ProgressiveConfig, ProgressiveForSequenceClassification
from transfer.networks.recurrent import AwdLstmConfig, AwdLstmModel, BiLmConfig, BiLmModel
from transfer.networks.recurrent_heads import (
    AwdLstmForCausalLM,
    AwdLstmForSequenceClassification,
    BiLmForCausalLM,
    BiLmForSequenceClassification,
)
from transfer.networks.static import StaticConfig, StaticForSequenceClassification, StaticModel

for _config, _encoder, _classifier in (
    (AwdLstmConfig, AwdLstmModel, AwdLstmForSequenceClassification),
    (BiLmConfig, BiLmModel, BiLmForSequenceClassification),
    (CrossStitchConfig, None, CrossStitchForSequenceClassification),
    (FeaturesConfig, FeaturesModel, FeaturesForSequenceClassification),
    (ForestConfig, None, ForestForSequenceClassification),
    (LayeredConfig, None, LayeredForSequenceClassification),
    (ProgressiveConfig, None, ProgressiveForSequenceClassification),
    (StaticConfig, StaticModel, StaticForSequenceClassification),
):
    AutoConfig.register(_config.model_type, _config)
    AutoModelForSequenceClassification.register(_config, _classifier)
    if _encoder is not None:
        AutoModel.register(_config, _encoder)
AutoModelForCausalLM.register(AwdLstmConfig, AwdLstmForCausalLM)
AutoModelForCausalLM.register(BiLmConfig, BiLmForCausalLM)
