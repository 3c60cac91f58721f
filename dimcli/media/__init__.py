"""Pictures, sound and video from and to files."""

from dimcli.media.frames import (
    SYNTHETIC_TAG,
    Picture,
    VideoWriter,
    check_region,
    check_video_output,
    quiet_libraries,
    read_frames,
)
from dimcli.media.pictures import PICTURE_SUFFIXES, read_picture
from dimcli.media.probe import VideoInfo, audio_track, has_audio, has_video, probe_video
from dimcli.media.sound import bounded_track, is_silent, read_audio

__all__ = [
    "PICTURE_SUFFIXES", "SYNTHETIC_TAG", "Picture", "VideoInfo", "VideoWriter", "audio_track",
    "bounded_track", "check_region", "check_video_output", "has_audio", "has_video", "is_silent",
    "probe_video", "quiet_libraries", "read_audio", "read_frames", "read_picture",
]  # fmt: skip
