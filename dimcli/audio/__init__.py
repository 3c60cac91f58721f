"""Sound to features at the motion's frame rate."""

from dimcli.audio.encoders import (
    ENCODERS,
    HUBERT,
    L2L_MEL,
    MEL,
    MEL4,
    NO_SOUND,
    encode,
    encoder,
    encoder_here,
    is_encoder,
    load_encoder,
)
from dimcli.audio.features import AudioEncoder, AudioFeatures, LoadedEncoder
from dimcli.audio.log_mel import ACTIVITY, LEVEL, MEL_DIM, NUM_MELS, PITCH, VOICING, mel, silence
from dimcli.audio.sound import SAMPLE_RATE

__all__ = [
    "ACTIVITY", "ENCODERS", "HUBERT", "L2L_MEL", "LEVEL", "MEL", "MEL4", "MEL_DIM", "NO_SOUND",
    "NUM_MELS", "PITCH", "SAMPLE_RATE", "VOICING", "AudioEncoder", "AudioFeatures", "LoadedEncoder",
    "encode", "encoder", "encoder_here", "is_encoder", "load_encoder", "mel", "silence",
]  # fmt: skip
