"""A listener's traits: measured in windows, drawn for a seed, and said."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dimcli.core.errors import InputError
from dimcli.core.motion import expression_index
from dimcli.data.synthetic.signals import add_blink, add_nod
from dimcli.data.traits import TRAITS, traits_said
from dimcli.models.dim.traits import (
    LARGEST,
    LEAST_SPREAD,
    People,
    drawn_person,
    fitted,
    told,
    traits_of,
)

FPS = 25.0
FRAMES = 160


def window(
    *,
    nod_degrees: float = 2.0,
    nod_at: float = 2.0,
    blinks: int = 4,
    smile: float = 0.5,
    turn: float = 1.0,
) -> torch.Tensor:
    values = np.zeros((FRAMES, 56), np.float32)
    pitch, lid = np.zeros(FRAMES), np.zeros(FRAMES)
    add_nod(pitch, FPS, nod_at, size=nod_degrees, hz=2.0, cycles=3, decay=0.9)
    for time in np.linspace(0.5, 5.9, blinks):
        add_blink(lid, FPS, float(time), peak=0.7, close_s=0.08, open_s=0.12)
    values[:, 0] = np.radians(pitch)
    values[:, 1] = np.radians(turn * np.sin(2 * np.pi * 0.3 * np.arange(FRAMES) / FPS))
    for side in ("Left", "Right"):
        values[:, expression_index(f"eyeBlink{side}")] = lid
        values[:, expression_index(f"mouthSmile{side}")] = smile
    return torch.from_numpy(values)


@pytest.mark.parametrize(
    ("trait", "more"),
    [
        ("nods", {"nod_degrees": 4.0}),
        ("blinks", {"blinks": 8}),
        ("smile", {"smile": 0.8}),
        ("head", {"turn": 2.0}),
    ],
)
def test_each_trait_shows_what_it_is_called_after_and_little_else(trait, more):
    usual, other = traits_of(torch.stack([window(), window(**more)]), FPS)
    change = dict(zip(TRAITS, (other - usual).tolist(), strict=True))
    assert change.pop(trait) > 0.25
    assert max(abs(value) for value in change.values()) < 0.1


def test_what_people_differ_in_is_told_from_what_moments_differ_in():
    random = np.random.default_rng(0)
    people = [
        window(smile=float(0.5 + 0.2 * random.normal()), turn=float(np.exp(random.normal() / 2)))
        for _ in range(60)
    ]
    attitudes = torch.arange(len(people)) % 2 + 1
    found = fitted(torch.stack(people), attitudes, FPS)
    smile = TRAITS.index("smile")
    assert found.mean[smile] == pytest.approx(0.5, abs=0.08)
    assert found.std[smile] == pytest.approx(0.2, abs=0.06)
    assert found.spread[smile] > 0.95
    assert not found.usual[[0, 3]].any()
    assert torch.allclose(found.usual[1], -found.usual[2], atol=1e-4)
    moments = torch.stack(
        [window(nod_at=0.5, nod_degrees=float(np.exp(random.normal()))) for _ in range(60)]
    )
    assert fitted(moments, torch.zeros(60), FPS).spread[TRAITS.index("nods")] < 0.7


def test_few_seeds_show_how_people_differ_and_many_are_normal():
    state = torch.get_rng_state()
    people = torch.stack([drawn_person(seed) for seed in range(1024)])
    assert torch.equal(torch.get_rng_state(), state)
    assert people.mean(dim=0).abs().max() < 0.01
    assert (people.std(dim=0) - 1).abs().max() < 0.01
    assert (torch.corrcoef(people.T) - torch.eye(len(TRAITS))).abs().max() < 0.05
    quarters = (torch.special.ndtr(people) * 4).long()
    for four in quarters.split(4)[:20]:
        assert all(sorted(trait.tolist()) == [0, 1, 2, 3] for trait in four.T)
    assert people[0].abs().max() < 0.4
    far = torch.stack([drawn_person(seed * 10**12) for seed in range(1, 200)])
    assert far.isfinite().all() and far.mean(dim=0).abs().max() < 0.3


def test_a_seed_is_a_person_and_what_is_said_holds():
    usual = torch.zeros(4, 4)
    usual[3] = 1.0
    people = People(torch.zeros(4), torch.full((4,), 0.5), torch.full((4,), LEAST_SPREAD), usual)
    one, again, other = (told(people, 0, {}, seed) for seed in (1, 1, 2))
    assert one.shape == (1, 5)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    said = told(people, 0, {"nods": 2.0}, 1)
    assert said[0, 0].item() == pytest.approx(np.log(2) / 0.5)
    assert torch.equal(said[0, 1:], one[0, 1:])
    assert told(replace(people, std=people.std / 10), 0, {"nods": 3.0}, 1)[0, 0] == LARGEST
    # an attitude, and a lift, shift what is usual, and what is said is said of that
    assert torch.allclose(told(people, 3, {}, 1)[0, :4], one[0, :4] + 1)
    assert told(people, 3, {"nods": 2.0}, 1)[0, 0].item() == pytest.approx(1 + np.log(2) / 0.5)
    smile = TRAITS.index("smile")
    lifted = told(people, 0, {}, 1, smile_lift=0.25)
    assert lifted[0, smile].item() == pytest.approx(one[0, smile].item() + 0.5)
    halved = told(people, 0, {"smile": 0.5}, 1, smile_lift=0.25)
    assert halved[0, smile].item() == pytest.approx(0.25)


def test_words_of_traits():
    assert dict(traits_said("lively", "head=0.5"))["head"] == 0.5
    assert dict(traits_said("lively", None))["nods"] > 1
    assert traits_said(None, "") == ()
    for style, text in (("loud", None), (None, "nods=9"), (None, "nods"), (None, "ears=1")):
        with pytest.raises(InputError, match=r"expected .*"):
            traits_said(style, text)
