"""Limits of what a client may send, keep and ask for: all of them are here.

They are far above what the page and an honest program need, and low enough that no client takes a
session, memory or disk from the others.
"""

from __future__ import annotations

CONNECTIONS = 64
"""Sockets at once, of pages and sessions together."""
HEAD_S = 10.0
"""A connection that has sent no whole request by then is closed."""
SESSIONS = 4
"""Live sessions at once; two cores draw two at 25 frames a second."""
SESSION_S = 4 * 3600.0
"""Length of a session."""
START_S = 15.0
"""Time until a session's ``start`` message, and between a session's messages before it."""
UNREAD_S = 10.0
"""A client that takes no bytes for so long is gone."""
IDLE_PINGS_S = 20.0
"""Between WebSocket pings, and until the answer to one."""

MESSAGE_BYTES = 8_000_000
"""Of a message of a session: a picture of the face to be drawn."""
PICTURE_BYTES = 1_000_000
"""Of a JPEG of the camera."""
PICTURE_PIXELS = 1920 * 1080
"""Of a JPEG of the camera, decoded."""
TEXT_BYTES = 4_000
"""Of a JSON message."""
MESSAGES_A_SECOND, MESSAGES_AT_ONCE = 200.0, 400.0
"""Of a session, of all kinds together: 20 ms pieces of two voices and 60 pictures are 160."""
BYTES_A_SECOND, BYTES_AT_ONCE = 4_000_000.0, 16_000_000.0
"""Of a session."""
REFERENCES_A_MINUTE = 10.0
"""Pictures of the face to be drawn."""
SOUND_RATE = 16_000
"""Samples a second."""
SOUND_SPEED, SOUND_AT_ONCE_S = 1.1, 5.0
"""The partner's sound may come so much faster than it sounds; a stalled network sends its backlog
at once."""
VOICE_AT_ONCE_S = 120.0
"""The agent's own voice is made faster than it sounds, and waits."""
SIZE = (128, 768)
"""Longer side of a session's pictures in pixels, least and greatest."""
RECORDING_S = 1800.0
"""Length of a recording."""
SPARE_BYTES = 1_000_000_000
"""Of the disk that uploads and recordings leave free."""

UPLOAD_BYTES = 2_000_000_000
"""Of a clip or a sound."""
UPLOAD_S = 1800.0
"""Time for an upload."""
UPLOADS = 20
"""Files that wait to be used by a job; the oldest make room."""
REQUEST_BYTES = 20_000
"""Of a request other than an upload."""
WAITING = 50
"""Jobs in the queue."""
KEPT = 200
"""Finished videos; the oldest make room."""
JOB_S = 6 * 3600.0
"""Length of a job's work."""
CANCEL_S = 3.0
"""Time for a cancelled job to clean up before it is killed."""
