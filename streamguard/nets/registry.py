"""Every network by name, and its options as text: for bundles, checkpoints and command lines. Needs no torch to import.

`ENTRIES["gml"].build()` makes the network as it is meant, untrained and in eval mode; `build({"width": "0.25"})` makes
another one of its kind. `options_as_text(net.options)` is what to write down so that `build` makes the same again.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from torch import nn

Options = TypeVar("Options")

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?")
_TRUTH = {"yes": True, "no": False}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One network, and how a stream feeds it."""

    name: str
    summary: str
    module: str
    """Beside this one."""
    network: str
    """The class there: made of its options, `Gml(GmlOptions(...))`."""
    options_class: str
    """A frozen dataclass there, all of whose fields have defaults."""
    preset: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Options, as text, that make it this network and not another of its class."""
    grid_s: float
    """Media time from crop to crop."""
    hop_s: float
    """Media time from score to score."""
    recipe: Literal["square", "similarity"]
    """How its crops are cut."""

    @property
    def hop_steps(self) -> int:
        """New crops for each score."""
        return round(self.hop_s / self.grid_s)

    def build(self, given: Mapping[str, str] = {}) -> nn.Module:
        """The network with these options over the preset over the defaults, with weights as for training anew."""
        net: nn.Module = getattr(self._module(), self.network)(self._options(given))
        return net.eval()

    def options(self) -> dict[str, str]:
        """All that `build` takes, as text, with the values that it has without being given any. Needs torch, too."""
        return options_as_text(self._options({}))

    def _options(self, given: Mapping[str, str]) -> Any:
        return options_from_text(getattr(self._module(), self.options_class), {**self.preset, **given})

    def _module(self) -> ModuleType:
        return import_module(f"{__package__}.{self.module}")


ENTRIES: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            name="gml",
            summary="Xception with motion between crops in each of its blocks; sees 8 crops, at each score anew",
            module="gml",
            network="Gml",
            options_class="GmlOptions",
            preset={"form": "centred"},
            grid_s=0.08,
            hop_s=0.32,
            recipe="square",
        ),
        Entry(
            name="gml-causal",
            summary="the same, looking back only, in one layer of each middle block: computes each crop once",
            module="gml",
            network="Gml",
            options_class="GmlOptions",
            # Eight of 34 layers, so that a face that moved is caught up with soon: all of them would remember 68 crops.
            preset={"form": "causal", "temporal": "6,9,12,15,18,21,24,27"},
            grid_s=0.08,
            hop_s=0.32,
            recipe="square",
        ),
        Entry(
            name="gml-s",
            summary="the small one for real time: looks back only, and not far; computes each crop once",
            module="gml_s",
            network="GmlS",
            options_class="GmlSOptions",
            grid_s=0.08,
            hop_s=0.32,
            recipe="square",
        ),
        Entry(
            name="altfreezing",
            summary="AltFreezing's 3D ResNet-50, for its published weights; sees 32 frames, at each score anew",
            module="altfreezing",
            network="AltFreezing",
            options_class="AltFreezingOptions",
            grid_s=0.04,
            hop_s=0.64,
            recipe="similarity",
        ),
    )
}


def options_from_text(cls: type[Options], given: Mapping[str, str]) -> Options:
    """The options class made of text; what is not given has its default.

    An option that there is not, or text that is no value of it, is a ValueError that says what there is.
    """
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # any dataclass
    for name in given:
        if name not in names:
            raise ValueError(f"there is no option {_shown(name)}; there are: {', '.join(names)}")
    return cls(**{name: _value(name, hints[name], text) for name, text in given.items()})


def options_as_text(options: Any) -> dict[str, str]:
    """Every option of a dataclass of options, so that `options_from_text` makes an equal one."""
    return {field.name: _as_text(getattr(options, field.name)) for field in dataclasses.fields(options)}


def _value(name: str, hint: Any, text: str) -> Any:
    if get_origin(hint) is Literal:
        return _one_of(name, {choice: choice for choice in get_args(hint)}, text)
    if get_origin(hint) is tuple:
        return tuple(_whole(name, item, "whole numbers with commas") for item in text.split(",")) if text else ()
    if hint is bool:
        return _one_of(name, _TRUTH, text)
    if hint is int:
        return _whole(name, text, "a whole number")
    if hint is float:
        return _decimal(name, text)
    if hint is str:
        return text
    raise TypeError(f"options are numbers, text, yes or no: {name} is {hint}")


def _one_of(name: str, choices: Mapping[str, Any], text: str) -> Any:
    if text not in choices:
        raise ValueError(f"option {name} is one of {', '.join(choices)}, not {_shown(text)}")
    return choices[text]


def _whole(name: str, text: str, what: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"option {name} is {what}, not {_shown(text)}")
    return int(text)


def _decimal(name: str, text: str) -> float:
    if not _DECIMAL.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"option {name} is a number, not {_shown(text)}")
    return float(text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
