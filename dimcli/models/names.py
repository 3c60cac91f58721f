"""The presets, said without importing torch, which takes seconds."""

from __future__ import annotations

PRESETS = {
    "paper": "sizes and training of the paper, for a GPU",
    "released-sizes": "the released code's sizes",
    "small": "what listener-small is",
    "live": "what listener-live is: answers a stream",
    "speaker": "what speaker-small is",
    "table": "smaller, for whole tables on a CPU",
    "tiny": "a second of training, for trying commands",
}
"""Names of the presets, and what each is for."""

ADAPT = "adapt"
"""The preset of fine-tuning for a trained model that goes on with little data: the model's own
settings, trained as :data:`dimcli.models.config.ADAPTATION` says."""
ADAPTS = "a trained listener goes on with little data"
