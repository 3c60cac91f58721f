"""Limits of what a file may hold: beyond them it is refused before anything is allocated for it.

They are far above what the work needs, and low enough that no file takes more than about a
gigabyte of memory or runs without end.
"""

FRAME_PIXELS = 7680 * 4320
"""Pixels of a video's frame: 8K."""
SIDE_PIXELS = 16_384
"""Width or height of a frame."""
VIDEO_S = 12 * 3600.0
"""Length of a video; it is streamed, so this bounds time and not memory."""
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
