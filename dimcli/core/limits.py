"""Limits of what a file may hold: beyond them it is refused before anything is allocated for it.

They are far above what the work needs, and low enough that no file takes more than about a
gigabyte of memory or runs without end.
"""

FRAME_PIXELS = 7680 * 4320
"""Pixels of a video's frame: 8K."""
MODEL_PARAMETERS = 300_000_000
"""Of a model: 1.2 GB, and four times that in training."""
BATCH_FRAMES = 500_000
"""Frames of all windows of a batch; the shipped models take 2,560."""
PICTURE_PIXELS = 64_000_000
"""Pixels of a still picture: every telephone's in its largest common size."""
JPEG_SCANS = 500
"""Passes over a JPEG's pixels: an encoder makes ten, and a file of a megabyte has room for 80,000,
hours of work."""
SIDE_PIXELS = 16_384
"""Width or height of a frame."""
VIDEO_S = 12 * 3600.0
"""Length of a video; it is streamed, so this bounds time and not memory."""
MOTION_FRAMES = 450_000
"""Of a motion, and of a video that becomes one: five hours at 25 frames a second."""
SOUND_S = 2 * 3600.0
"""Length of a sound, which is held in memory: half a gigabyte at 16 kHz."""
GAP_S = 60.0
"""How much later than the other picture or sound may start; the gap is filled."""
LOWEST_SOUND_RATE, HIGHEST_SOUND_RATE = 1_000, 768_000
"""Samples a second of a sound file."""
HIGHEST_FPS = 480.0
"""Frames a second: containers without a rate report their clock (1,000 or more) instead."""
SOUND_CHANNELS = 64
"""Channels of a sound."""

JSON_BYTES, YAML_BYTES = 16_000_000, 1_000_000
"""Of a JSON and of a YAML file; the latter takes ten seconds a megabyte."""
TABLE_BYTES = 64_000_000
"""Of a csv table, a transcript or a TextGrid."""
LINES_BYTES, LINE_BYTES = 512_000_000, 1_000_000
"""Of a file with a JSON value on each line, and of a line."""
DOCUMENT_DEPTH, DOCUMENT_PARTS = 32, 5_000_000
"""Nesting of a JSON or YAML document, and values in it."""
LARGEST_SEED = 2**32 - 1
"""Of a seed, which is at least 0."""

ARRAYS_BYTES, MOTION_BYTES = 1_000_000_000, 300_000_000
"""What the arrays of an ``.npz`` file inflate to, and those of a motion, as float64."""
MOTION_META_BYTES = 8_000_000
"""Of the JSON that goes with a motion."""
LARGEST_NUMBER = 1e6
"""Of motion and features in a data set: products of larger ones leave float32."""
ARCHIVE_LISTING_BYTES = 16_000_000
"""Of the list of members of a zip archive."""

PICKLE_STEPS = 3_000_000
"""Operations of a pickle, and values in it, each counted wherever it stands."""
PICKLE_BYTES, PICKLE_GROWTH = 300_000_000, 8
"""What a pickle may take in memory: so many bytes, or so many times its size if that is more."""
