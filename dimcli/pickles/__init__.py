"""The one reader of other people's pickles: arrays, tensors and plain values, nothing else."""

from dimcli.pickles.reader import read_npy, read_pickle, read_torch

__all__ = ["read_npy", "read_pickle", "read_torch"]
