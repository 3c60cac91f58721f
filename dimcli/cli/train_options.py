"""What the commands that train share: their options, written down once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any

import typer

from dimcli.cli.options import LARGEST_SEED, Device, DeviceOption, ForceOption, JsonOption

PresetOption = Annotated[str, typer.Option(help="paper, official, small, speaker, table or tiny.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="A setting, as in --set training.batch_size=16. Repeatable."),
]
StepsOption = Annotated[int | None, typer.Option(min=1, help="Steps. Default: the preset's.")]
PresetSeedOption = Annotated[
    int | None, typer.Option(min=0, max=LARGEST_SEED, help="Seed. Default: the preset's.")
]
MinutesOption = Annotated[
    float, typer.Option(min=0.0, help="Stop after so long, to --resume later. 0: no limit.")
]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on where the run stopped.")]


@dataclass(frozen=True)
class Common:
    """The options that every stage takes, as typed."""

    preset: PresetOption = "small"
    settings: SetOption = None
    steps: StepsOption = None
    seed: PresetSeedOption = None
    minutes: MinutesOption = 0.0
    resume: ResumeOption = False
    device: DeviceOption = Device.auto
    force: ForceOption = False
    as_json: JsonOption = False


def with_common(command: Callable[..., None]) -> Callable[..., None]:
    """``command(..., common: Common)`` as Typer wants it: with each of the common options as a
    parameter of its own, after the command's.
    """
    own = inspect.signature(command, eval_str=True).parameters
    shared = inspect.signature(Common, eval_str=True).parameters
    names = [field.name for field in fields(Common)]

    def typed(**given: Any) -> None:
        common = Common(**{name: given.pop(name) for name in names})
        command(**given, common=common)

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in (*own.values(), *shared.values())
        if parameter.name != "common"
    ]
    typed.__doc__, typed.__name__ = command.__doc__, command.__name__
    typed.__annotations__ = {each.name: each.annotation for each in parameters}
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return typed


def overrides(settings: list[str] | None) -> dict[str, str]:
    """The values of ``--set`` by key."""
    from dimcli.core.errors import InputError

    found = {}
    for setting in settings or []:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected key=value, as in training.batch_size=16")
        found[key.strip()] = value.strip()
    return found
