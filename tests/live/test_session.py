"""A session gives what the whole clip would be answered with, however it is fed."""

import numpy as np
import pytest

from dimcli.audio import load_encoder
from dimcli.audio.log_mel import online_mel
from dimcli.core.motion import Motion
from dimcli.core.progress import silent
from dimcli.jobs.generate import Listener, Source
from dimcli.live.session import Session
from dimcli.media import read_audio, read_frames
from dimcli.models.dim.online import OnlineModel
from dimcli.tracking.streaming import Watch, watched
from dimcli.tracking.trackers import face_tracker
from tests.answers import generate_online
from tests.stores import smooth

FRAMES = 150


@pytest.fixture(scope="module")
def partner() -> Motion:
    """The partner at 30 pictures a second; a few are missing, and for a second all of them."""
    random = np.random.default_rng(1)
    valid = random.random(180) > 0.1
    valid[90:120] = False
    return Motion(smooth(random, 180, 56), fps=30.0, valid=valid)


def fed(session: Session, sound: np.ndarray, partner: Motion, cuts: list[float]) -> np.ndarray:
    """Values of the frames of a session that is fed and asked at the times ``cuts``."""
    frames, heard, seen = [], 0, 0
    for time_s in cuts:
        end = round(time_s * 16000)
        session.hear(sound[heard:end])
        heard = max(heard, end)
        while seen < len(partner) and seen / partner.fps <= time_s:
            if partner.valid[seen] or seen % 2:  # nobody in the picture, or no picture
                values = partner.values[seen] if partner.valid[seen] else None
                session.notice(values, seen / partner.fps)
            seen += 1
        frames += session.advance(time_s)
    frames += session.finish(FRAMES)
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.time_s for frame in frames] == [i / 25 for i in range(FRAMES)]
    return np.stack([frame.values for frame in frames])


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_however_the_input_is_cut_the_frames_are_those_of_the_whole_clip(
    listener, sound, partner, seed
):
    random = np.random.default_rng(seed)
    cuts = [*np.sort(random.uniform(0, 6, random.integers(1, 300))), 6.0]
    seen = watched(partner, 25.0, FRAMES)
    assert 0.05 < 1 - seen.valid.mean() < 0.15
    whole = generate_online(listener, seen, online_mel(sound, 25.0, FRAMES), seed=4)
    assert np.array_equal(fed(Session(listener, seed=4), sound, partner, cuts), whole.values)
    assert np.ptp(whole.values, axis=0).max() > 0.1


def test_frames_come_at_a_steady_rate_when_nothing_is_heard_or_seen(listener):
    session = Session(listener)
    given = [session.advance(tick * 0.01) for tick in range(300)]
    late = [tick * 0.01 - frame.time_s for tick, each in enumerate(given) for frame in each]
    assert len(late) == 1 + int((2.99 - session.delay_s) * 25)
    assert max(late) < session.delay_s + 0.011
    assert not any(frame.seen or frame.speaking for each in given for frame in each)


def test_sound_that_comes_after_it_was_given_up_does_not_put_off_what_follows(listener, sound):
    session = Session(listener)
    session.hear(sound[:16000])
    session.advance(2.0)  # nothing for a second
    session.hear(sound[16000:32000])  # then all of it at once
    assert session.heard_s == pytest.approx(2.0)
    for chunk in range(20):
        session.hear(sound[32000 + 800 * chunk : 32800 + 800 * chunk])
        session.advance(2.05 + 0.05 * chunk)
    assert session.heard_s == pytest.approx(3.0)


def test_what_is_seen_at_the_rate_asked_for_is_taken_as_it_is():
    motion = Motion(smooth(np.random.default_rng(0), 20, 56), fps=25.0)
    assert np.array_equal(watched(motion, 25.0, 20).values, motion.values)


def test_a_picture_counts_from_when_it_comes_and_who_is_gone_for_long_is_not_there():
    watch = Watch(25.0)
    first, second = np.full((2, 56), [[0.1], [0.2]], np.float32)
    watch.take(first, 0.0)
    assert np.array_equal(watch.next(), first)
    watch.take(second, 0.02)  # of the frame that was given already
    watch.take(first, 0.01)  # older than what is known
    assert np.array_equal(watch.next(), second)
    rows = np.stack([watch.next() for _ in range(14)])
    there = np.isfinite(rows[:, 0])
    assert there[:11].all()
    assert not there[11:].any()


@pytest.mark.slow
def test_a_session_that_is_shown_a_clip_gives_what_the_job_does_online(listener, short_speaker):
    job = Listener(OnlineModel(listener, "listener"), load_encoder("mel", online=True))
    motion = face_tracker(short_speaker, online=True)(silent)
    heard = read_audio(short_speaker, 16000)
    answer = job.answer(job.perceive(Source(heard, motion)), seed=5)
    session, frames = Session(listener, seed=5), []
    for index, picture in enumerate(read_frames(short_speaker)):
        session.hear(heard[640 * index : 640 * (index + 1)])
        session.see(picture, index / 25)
        frames += session.advance(index / 25)
    frames += session.finish(len(motion))
    assert np.array_equal(np.stack([frame.values for frame in frames]), answer.values)
    assert all(frame.seen for frame in frames)
