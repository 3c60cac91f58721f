"""What the commands that train share: their options, written down once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from dimcli.cli.options import DeviceOption, ForceOption, JsonOption, with_options
from dimcli.core.limits import LARGEST_SEED
from dimcli.models.names import ADAPT, ADAPTS, PRESETS

PresetOption = Annotated[
    str,
    typer.Option(
        help="; ".join(f"{name}: {what}" for name, what in PRESETS.items())
        + f"; of finetune also {ADAPT}: {ADAPTS}."
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting, as in --set training.batch_size=16. Repeatable."),
]
StepsOption = Annotated[int | None, typer.Option(min=1, help="Steps. Default: the preset's.")]
EpochsOption = Annotated[
    float | None,
    typer.Option(min=0.001, max=1e6, help="Passes over the train split, instead of --steps."),
]
PresetSeedOption = Annotated[
    int | None, typer.Option(min=0, max=LARGEST_SEED, help="Seed. Default: the preset's.")
]
MinutesOption = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="Stop training after so long, --folds' models together, to --resume later; what "
        "compares at the end comes on top. 0: no limit.",
    ),
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")]


@dataclass(frozen=True)
class Common:
    """The options that every stage takes, as typed."""

    preset: PresetOption = "small"
    settings: SetOption = None
    steps: StepsOption = None
    epochs: EpochsOption = None
    seed: PresetSeedOption = None
    minutes: MinutesOption = 0.0
    resume: ResumeOption = False
    device: DeviceOption = "auto"
    force: ForceOption = False
    as_json: JsonOption = False


def with_common(command: Callable[..., None]) -> Callable[..., None]:
    """``command(..., common: Common)`` with each of the common options as one of its own."""
    return with_options(command, Common, lambda own, common: command(**own, common=common))


def check_preset(name: str, *more: str) -> None:
    """Raise InputError that lists the presets, and ``more`` of a command's own, for another."""
    from dimcli.core.config import require_choice

    require_choice("--preset", name, (*PRESETS, *more))


def overrides(settings: list[str] | None) -> dict[str, str]:
    """The values of ``--set`` by key."""
    from dimcli.core.errors import InputError

    values = {}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected key=value, as in training.batch_size=16")
        values[key.strip()] = value.strip()
    return values
