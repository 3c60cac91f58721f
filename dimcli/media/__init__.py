"""Pictures, sound and video from and to files."""

from dimcli.media.frames import (
    SYNTHETIC_TAG,
    Picture,
    VideoWriter,
    bounded_track,
    check_video_output,
    is_silent,
    quiet_libraries,
    read_audio,
    read_frames,
)
from dimcli.media.pictures import PICTURE_SUFFIXES, read_picture
from dimcli.media.probe import VideoInfo, audio_track, has_audio, has_video, probe_video

__all__ = [
    "PICTURE_SUFFIXES", "SYNTHETIC_TAG", "Picture", "VideoInfo", "VideoWriter", "audio_track",
    "bounded_track", "check_video_output", "has_audio", "has_video", "is_silent", "probe_video",
    "quiet_libraries", "read_audio", "read_frames", "read_picture",
]  # fmt: skip
