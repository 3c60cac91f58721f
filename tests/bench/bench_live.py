"""A conversation at its own speed: rate, delay, clock, memory, and how many at once.

``python -m tests.bench.bench_live [--seconds 60] [--weights listener-live] [--sessions 2 3]``. The
example clip is played in a loop as 20 ms of sound and single pictures; the face is drawn at 512
pixels and encoded as JPEG. Delays are from a made event, a loud onset or a nod, to the first frame
that depends on it: that comes out otherwise of a model without codes, which may not change.
"""

import argparse
import gc
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from dimcli.core.errors import InputError
from dimcli.core.motion import PITCH, Floats, Picture
from dimcli.jobs.render import read_reference, renderer_for
from dimcli.live.loop import Loop
from dimcli.live.session import PATIENCE_S, LiveFrame, Session
from dimcli.media import read_audio, read_frames
from dimcli.models.checkpoint import load_dim
from dimcli.models.dim.dim import DIM
from dimcli.tracking.streaming import track_online
from dimcli.web.messages import jpeg

EXAMPLES = Path(__file__).parents[2] / "examples"
CLIP, PICTURE = EXAMPLES / "speaker.mp4", EXAMPLES / "listener.png"
SIZE = 512
EVENTS, CLIP_S = 20, 4.0


def listener_of(weights: str) -> DIM:
    """A causal listener: trained weights, or untrained ones of the small preset's size."""
    try:
        return load_dim(Path(weights))[1]
    except InputError:
        from dimcli.core.config import with_overrides
        from dimcli.models.dim.config import preset

        print(f"{weights} is not here: untrained weights of its size")
        torch.manual_seed(0)
        causal = {"data.audio_dim": 32, "data.audio_encoder": "mel", "dim.outputs": "listener"}
        causal |= {"dim.causal": True, "vq.causal": True}
        return DIM(with_overrides(preset("small", "finetune"), causal)).eval()


def continuous() -> DIM:
    """A small untrained listener whose every number depends on everything before."""
    from dimcli.core.config import with_overrides
    from dimcli.models.dim.config import preset

    plain = {"dim.targets": "motion", "dim.listener_inputs": "motion", "dim.outputs": "listener"}
    plain |= {"dim.visible_targets": False, "dim.code_geometry": False, "dim.causal": True}
    plain |= {"vq.causal": True, "data.audio_dim": 32, "data.audio_encoder": "mel"}
    torch.manual_seed(0)
    return DIM(with_overrides(preset("tiny", "finetune"), plain)).eval()


def drawer() -> Callable[[Floats], bytes]:
    """What draws a frame and encodes it."""
    reference, _ = read_reference(PICTURE)
    ready = renderer_for("arkit", "portrait", reference, SIZE).renderer

    def draw(values: Floats) -> bytes:
        (frame,) = ready.render(values[None])
        return jpeg(frame)

    return draw


class Playing:
    """The clip in a loop into a conversation, at its own speed, and what comes out of it."""

    def __init__(self, listener: DIM, sound: Floats, pictures: list[Picture], draw) -> None:
        self.frames: list[tuple[int, float, float, bool]] = []
        self.memory: list[float] = []
        self.steps: list[float] = []
        session = Session(listener)
        answer = session._answer

        def timed(count: int) -> None:
            began = time.thread_time()
            answer(count)
            self.steps.append(time.thread_time() - began)

        session._answer = timed  # type: ignore[method-assign]
        self.delay_s = session.delay_s
        self.loop = Loop(session, self._shown, draw=draw)
        self._began = time.monotonic() - self.loop.now_s
        self._sound, self._pictures, self._ended = sound, pictures, False
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def _shown(self, frame: LiveFrame, drawn: bytes | None) -> None:
        came = time.monotonic() - self._began
        self.frames.append((frame.index, frame.time_s, came, drawn is not None))

    def _play(self) -> None:
        tick, length = 0, len(self._sound) // 320
        while not self._ended:
            tick += 1
            time.sleep(max(0.0, self._began + tick * 0.02 - time.monotonic()))
            place = (tick - 1) % length
            self.loop.hear(self._sound[320 * place : 320 * place + 320])
            if tick % 2 == 1:
                self.loop.see(self._pictures[(tick // 2) % len(self._pictures)])
            if tick % 500 == 0:
                self.memory.append(rss_mb())

    def stop(self) -> None:
        self._ended = True
        self._thread.join()
        self.loop.close()
        if self.loop.error:
            raise self.loop.error


def rss_mb() -> float:
    """What this process holds in memory now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return pages * resource.getpagesize() / 2**20


def events(listener: DIM, sound: Floats, values: Floats) -> dict[str, list[float]]:
    """Seconds from an event to the due time of the first frame that depends on it, by its kind,
    the machine's own work not counted."""
    random = np.random.default_rng(0)
    plain = answered(listener, sound, values)
    found: dict[str, list[float]] = {"loud onset": [], "nod": []}
    for at in random.uniform(2.0, CLIP_S - 1.0, EVENTS):
        louder, nodding = sound.copy(), values.copy()
        louder[round(at * 16000) : round((at + 0.3) * 16000)] *= 6
        first = int(np.ceil(at * 25))
        nodding[first : first + 10, PITCH] += 0.15 * np.hanning(10).astype(np.float32)
        for kind, other, begins in (
            ("loud onset", answered(listener, louder, values), at),
            ("nod", answered(listener, sound, nodding), (first + 1) / 25),
        ):
            changed = np.flatnonzero((other != plain).any(axis=1))
            if len(changed):
                found[kind].append(changed[0] / 25 - begins)
    return found


def answered(listener: DIM, sound: Floats, values: Floats) -> Floats:
    """What a session makes of a clip."""
    session = Session(listener)
    session.hear(sound)
    for index, row in enumerate(values):
        session.notice(row, index / 25)
    return np.stack([frame.values for frame in session.finish(len(values))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--weights", default="listener-live")
    parser.add_argument("--sessions", type=int, nargs="*", default=[])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    began = time.perf_counter()
    listener, draw = listener_of(options.weights), drawer()
    print(f"models and picture ready after {time.perf_counter() - began:.1f} s")
    sound, pictures = read_audio(CLIP, 16000), list(read_frames(CLIP))
    late = np.zeros(1)  # of a conversation alone
    for count in [1, *options.sessions]:
        gc.collect()
        cpu, wall = time.process_time(), time.monotonic()
        made = [
            Playing(listener, sound, pictures, draw if not index else drawer())
            for index in range(count)
        ]
        time.sleep(options.seconds)
        for each in made:
            each.stop()
        took = time.monotonic() - wall
        print(f"{count} at once, {took:.0f} s, on {cv2.getNumberOfCPUs()} cores")
        print(f"  CPU a second of conversation: {(time.process_time() - cpu) / took / count:.2f} s")
        lateness = [report(each, took) for each in made]
        late = lateness[0] if count == 1 else late
    frames = round(CLIP_S * 25)
    waits = events(continuous(), sound[: 640 * frames], track_online(CLIP).values[:frames])
    for kind, found in waits.items():
        due = 1000 * (np.array(found) + made[0].delay_s)
        there = np.add.outer(due, 1000 * late)
        print(
            f"from {kind} to the face's answer: due after p50 {np.median(due):.0f}, "
            f"p95 {np.percentile(due, 95):.0f} ms ({len(due)}), drawn and encoded after "
            f"p50 {np.median(there):.0f}, p95 {np.percentile(there, 95):.0f} ms"
        )


def report(playing: Playing, took: float) -> Floats:
    """Print what came out of a conversation of ``took`` seconds; how late each frame was, s."""
    index, time_s, came, drawn = (np.array(each) for each in zip(*playing.frames, strict=True))
    late = came - time_s - playing.delay_s
    tenth = max(1, len(late) // 10)
    drift = np.median(late[-tenth:]) - np.median(late[tenth : 2 * tenth])
    print(
        f"  {len(index) / (took - playing.delay_s):.2f} frames a second, {drawn.mean():.1%} drawn, "
        f"first after {came[0]:.2f} s, drift {1000 * drift:+.1f} ms"
    )
    print(
        f"  after its due time a frame is there p50 {1000 * np.median(late):.0f}, "
        f"p95 {1000 * np.percentile(late, 95):.0f} ms; a step takes CPU p50 "
        f"{1000 * np.median(playing.steps):.0f}, p95 {1000 * np.percentile(playing.steps, 95):.0f} "
        f"ms; due {1000 * playing.delay_s:.0f} ms after its time, of which patience "
        f"{1000 * PATIENCE_S:.0f}"
    )
    if len(playing.memory) > 1:
        print(f"  memory {playing.memory[0]:.0f} to {playing.memory[-1]:.0f} MB")
    return late


if __name__ == "__main__":
    main()
