"""What a training run is: a TOML file to frozen dataclasses, or a refusal that names the key.

Every key has a meaning here, and a key that has none is an error: a misspelt one would otherwise train something else.
Recipes of our own lie in recipes/ and are known by name; `--set net.options.motion=none` changes single values.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..crop import SQUARE_SPAN
from ..errors import ConfigError
from ..nets.registry import ENTRIES, Entry
from ..strict import build, shown

OWN = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetPart:
    """Which network, and what it sees."""

    name: str
    """As `streamguard models nets` lists them."""
    options: dict[str, str] = field(default_factory=dict)
    """Of the network, over its defaults."""
    span: float = SQUARE_SPAN
    """Side of the crop in face scales, for networks that see a still square. The bundle must be made with the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitPart:
    """What training starts from."""

    kind: Literal["none", "imagenet", "weights"] = "none"
    """imagenet: the image network inside, of its published weights. weights: all of a network, as was saved of it."""
    file: str = ""
    """Of the weights. Only gml-s has ImageNet weights that are fetched without one."""
    lr_factor: float = 1.0
    """On the learning rate of what the image network had."""
    held: tuple[str, ...] = ()
    """Names of layers that are not trained begin so: stem, blocks.0., ... Their norms keep their statistics."""
    freeze_norms: bool = False
    """The statistics of norms that the image network had stay what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPart:
    """How pairs are made, and how often each is seen."""

    stride: int = 1
    """From frame to frame of a pair, in the network's own grid."""
    tile_px: int = 224
    """Larger pictures are reduced to this before anything is done to them."""
    bank: int = 256
    """Pairs that are kept at a time. The oldest gives way to a new one."""
    reuse: float = 4.0
    """How often a pair is seen, on average and with other augmentation each time; more often if workers are slow."""
    workers: int = 1
    """Processes that make pairs; 0: made between steps, and two runs are equal."""
    degraded: float = 0.9
    """Share of the pairs that are coded, rescaled, ... before they are kept; both sides alike."""
    augment: float = 1.0
    """How far crops and colours are changed at each use, both sides alike: 0 not at all."""
    monitor_groups: float = 0.08
    """Share of the groups which have real video that is not trained on, but looked at meanwhile. 0: no curve."""
    monitor_pairs: int = 48
    """Pairs of theirs that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossPart:
    """Weights of what is minimised. The cross-entropy of the main classifier has 1."""

    anomaly: float = 1.0
    """Size of the anomaly on real faces."""
    second: float = 1.0
    """Cross-entropy of the anomaly branch's classifier."""
    ranking: float = 0.0
    """A fake's logit above that of the very frames it was made of."""
    margin: float = 1.0
    """By how much."""
    difference: float = 0.0
    """An extra layer, not kept afterwards, that says of each place whether it was altered."""
    smoothing: float = 0.0
    """Labels are this far from 0 and 1, over 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerPart:
    kind: Literal["adamw", "sgd", "alternating"] = "adamw"
    """alternating: AltFreezing's, with SGD."""
    weight_decay: float = 0.01
    """Of kernels and matrices; norms and biases do not decay."""
    momentum: float = 0.9
    """Of SGD."""
    spatial_frozen: int = 20
    temporal_frozen: int = 1
    """Of alternating: for how many steps in a row these kernels are held still."""
    clip_norm: float = 1.0
    """Longer gradients are shortened to this; 0: not."""
    ema: float = 0.998
    """Decay of the running mean of the weights, which is what is saved; 0: the last weights are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfacesPart:
    """How GML-S's classifier of surfaces is fitted when all stages are over, where the network has it
    (net.options.texture)."""

    crops: int = 24
    """Of each track."""
    l2: float = 0.1
    """How strongly weights are pulled towards 0."""
    share: float = 2.0
    """What its logit counts beside that of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPart:
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 on a GPU, fp32 on a CPU."""
    channels_last: bool = True
    log_every: int = 10
    evaluate_every: int = 200
    """Steps between looks at the monitored groups; 0: only at the end of a stage."""
    checkpoint_every_s: float = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One after the other, each with a learning rate that rises, then falls as a cosine."""

    steps: int
    lr: float
    warmup: int = 50
    """Steps in which the learning rate rises; at most a fifth of the stage."""
    final: float = 0.02
    """Share of the learning rate that is left at the end."""
    pairs: int = 8
    """In a step."""
    length: int = 8
    """Crops of a clip; 1: single frames."""
    windows: int = 1
    """Clips that a step sees of each pair, at places of their own."""
    made_length: int = 0
    """Frames that a pair is made of; 0: as many as a clip."""
    pseudo: float = 1.0
    """Share of the pairs that are real footage and a fake that is made of it."""
    twins: float = 0.0
    """Share of the pairs that are genuine fakes and the footage they were made from."""
    alone: float = 0.0
    """Share of the pairs that are genuine fakes without such footage, each with a real clip of somebody else."""
    stills: float = 0.0
    """Share of pseudo pairs that are made of still pictures, where the kind needs no motion."""
    kinds: dict[str, float] = field(default_factory=dict)
    """Kinds of pseudo-fakes with their weights."""

    @property
    def pair_length(self) -> int:
        return max(self.length, self.made_length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    net: NetPart
    stages: tuple[Stage, ...]
    seed: int = 0
    init: InitPart = field(default_factory=InitPart)
    data: DataPart = field(default_factory=DataPart)
    loss: LossPart = field(default_factory=LossPart)
    optimizer: OptimizerPart = field(default_factory=OptimizerPart)
    surfaces: SurfacesPart = field(default_factory=SurfacesPart)
    run: RunPart = field(default_factory=RunPart)

    @property
    def entry(self) -> Entry:
        return ENTRIES[self.net.name]

    @property
    def options(self) -> dict[str, str]:
        """All of the network's, also those that the recipe leaves as they are."""
        return {**self.entry.options(), **self.net.options}

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)


def own_recipes() -> dict[str, Path]:
    """Those that come with the package, by name."""
    return {path.stem: path for path in sorted(OWN.glob("*.toml"), key=lambda path: path.stem)}


def read_recipe(name_or_path: str, changes: Iterable[str] = ()) -> Recipe:
    """One of our own by its name, or a file. ConfigError for whatever is wrong, also in `changes` (a.b=c)."""
    path = own_recipes().get(name_or_path, Path(name_or_path))
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        names = ", ".join(own_recipes())
        raise ConfigError("RECIPE", f"{shown(str(path))} cannot be read; recipes with a name: {names}") from exc
    return recipe_from_text(text, changes)


def recipe_from_text(text: str, changes: Iterable[str] = ()) -> Recipe:
    try:
        values = tomllib.loads(text)
    except ValueError as exc:  # TOMLDecodeError, and a whole number of thousands of digits
        raise ConfigError("recipe", f"is not TOML: {exc}") from exc
    for change in changes:
        _change(values, change)
    _options_as_text(values)
    _know_keys(Recipe, values, "")
    recipe = build(Recipe, values, _refuse, fill_defaults=True)
    _check(recipe)
    return recipe


def recipe_as_text(recipe: Recipe) -> str:
    """TOML that `recipe_from_text` makes the same recipe of."""
    return "\n".join(_tables("", dataclasses.asdict(recipe))) + "\n"


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    """So many in all; each stage keeps its share, and at least one."""
    shares = [stage.steps / recipe.steps for stage in recipe.stages]
    counts = [max(1, round(share * steps)) for share in shares]
    stages = tuple(dataclasses.replace(stage, steps=count) for stage, count in zip(recipe.stages, counts, strict=True))
    return dataclasses.replace(recipe, stages=stages)


def _refuse(where: str, problem: str) -> ConfigError:
    return ConfigError(f"recipe: {where}" if where else "recipe", problem)


def _change(values: dict[str, Any], change: str) -> None:
    """a.b=c; stages are numbered from 0, and * means all of them."""
    key, equals, text = change.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError("--set", f"must be KEY=VALUE, as in optimizer.weight_decay=0.05, not {shown(change)}")
    _put(values, parts, _value(text.strip()), change)


def _put(inside: Any, parts: list[str], value: Any, change: str) -> None:
    first, rest = parts[0], parts[1:]
    if isinstance(inside, list):
        places = range(len(inside)) if first == "*" else [int(first)] if first.isdecimal() else []
        if not rest or not places or max(places) >= len(inside):
            raise ConfigError("--set", f"{shown(change)}: name one of stages 0 to {len(inside) - 1}, or *, and a key")
        for place in places:
            _put(inside[place], rest, value, change)
    elif not isinstance(inside, dict):
        raise ConfigError("--set", f"{shown(change)}: there is nothing below what comes before {shown(first)}")
    elif rest:
        _put(inside.setdefault(first, {}), rest, value, change)
    else:
        inside[first] = value


def _value(text: str) -> Any:
    """As TOML has it; what is none is a word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text


def _options_as_text(values: dict[str, Any]) -> None:
    """Networks take options as text: here they may be written as what they are."""
    net = values.get("net")
    if isinstance(net, dict) and isinstance(net.get("options"), dict):
        net["options"] = {name: _option(value) for name, value in net["options"].items()}


def _option(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value) if isinstance(value, int | float) else value


def _know_keys(cls: Any, values: Any, where: str) -> None:
    """`build` refuses unknown keys too; here the refusal says which one was meant."""
    if not isinstance(values, Mapping):
        return
    hints = get_type_hints(cls)
    for name, value in values.items():
        inner = f"{where}.{name}" if where else name
        if name not in hints:
            near = difflib.get_close_matches(name, hints, n=1)
            meant = f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(hints)}"
            raise _refuse(shown(inner), f"there is no such key{meant}")
        hint = hints[name]
        if dataclasses.is_dataclass(hint):
            _know_keys(hint, value, inner)
        elif get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0]) and isinstance(value, list):
            for i, item in enumerate(value):
                _know_keys(get_args(hint)[0], item, f"{inner}.{i}")


_BOUNDS: dict[str, tuple[float, float]] = {
    "net.span": (1.0, SQUARE_SPAN),
    "init.lr_factor": (0.0, 10.0),
    "data.stride": (1, 50),
    "data.tile_px": (32, 1024),
    "data.bank": (1, 100_000),
    "data.reuse": (1.0, 10_000.0),
    "data.workers": (0, 256),
    "data.degraded": (0.0, 1.0),
    "data.augment": (0.0, 2.0),
    "data.monitor_groups": (0.0, 0.9),
    "data.monitor_pairs": (1, 100_000),
    "loss.anomaly": (0.0, 1000.0),
    "loss.second": (0.0, 1000.0),
    "loss.ranking": (0.0, 1000.0),
    "loss.margin": (0.0, 1000.0),
    "loss.difference": (0.0, 1000.0),
    "loss.smoothing": (0.0, 0.9),
    "surfaces.crops": (1, 10_000),
    "surfaces.l2": (0.0, 1000.0),
    "surfaces.share": (0.0, 100.0),
    "optimizer.weight_decay": (0.0, 10.0),
    "optimizer.momentum": (0.0, 0.9999),
    "optimizer.spatial_frozen": (1, 1_000_000),
    "optimizer.temporal_frozen": (1, 1_000_000),
    "optimizer.clip_norm": (0.0, 1e6),
    "optimizer.ema": (0.0, 0.99999),
    "run.log_every": (1, 1_000_000),
    "run.evaluate_every": (0, 1_000_000_000),
    "run.checkpoint_every_s": (0.0, 1e6),
}
_STAGE_BOUNDS: dict[str, tuple[float, float]] = {
    "steps": (1, 1_000_000_000),
    "lr": (0.0, 100.0),
    "warmup": (0, 1_000_000_000),
    "final": (0.0, 1.0),
    "pairs": (1, 100_000),
    "length": (1, 1000),
    "windows": (1, 1000),
    "made_length": (0, 1000),
    "pseudo": (0.0, 1.0),
    "twins": (0.0, 1.0),
    "alone": (0.0, 1.0),
    "stills": (0.0, 1.0),
}


_SEED_MAX = (1 << 63) - 1
"""The most that TOML promises, and PyTorch takes it with a rank added."""
_WEIGHT_MAX = 1e6
"""Of a kind of pseudo-fake: sums of weights must stay numbers."""


def _check(recipe: Recipe) -> None:
    _within("seed", recipe.seed, 0, _SEED_MAX)
    for key, (low, high) in _BOUNDS.items():
        part, name = key.split(".")
        _within(key, getattr(getattr(recipe, part), name), low, high)
    if recipe.net.name not in ENTRIES:
        raise _refuse("net.name", f"{shown(recipe.net.name)} is no network; there are: {', '.join(ENTRIES)}")
    if not recipe.stages:
        raise _refuse("stages", "there must be at least one")
    for i, stage in enumerate(recipe.stages):
        _check_stage(f"stages.{i}", stage)
    if recipe.init.kind == "weights" and not recipe.init.file:
        raise _refuse("init.file", "is needed to start from weights")
    if recipe.init.kind == "none" and recipe.init.file:
        raise _refuse("init.kind", "is none, but a file is given: say what is to be taken of it, imagenet or weights")


def _check_stage(where: str, stage: Stage) -> None:
    for name, (low, high) in _STAGE_BOUNDS.items():
        _within(f"{where}.{name}", getattr(stage, name), low, high)
    shares = stage.pseudo + stage.twins + stage.alone
    if not math.isclose(shares, 1.0, abs_tol=1e-6):
        raise _refuse(where, f"pseudo, twins and alone are shares and must give 1, not {shares:g}")
    if stage.made_length and stage.made_length < stage.length:
        raise _refuse(f"{where}.made_length", f"must be 0 or at least length, which is {stage.length}")
    for name, weight in stage.kinds.items():
        _within(f"{where}.kinds.{shown(name)}", weight, 0.0, _WEIGHT_MAX)
    if stage.pseudo and not any(stage.kinds.values()):
        raise _refuse(f"{where}.kinds", "there are pseudo-fakes in this stage: say of which kinds")


def _within(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        # A whole number of hundreds of digits is in TOML, and no float.
        given = f"{value:g}" if abs(value) < 1e300 else "a number of hundreds of digits"
        raise _refuse(key, f"must be {low:g} to {high:g}, not {given}")


def _tables(where: str, values: Mapping[str, Any]) -> list[str]:
    """Plain values first, then the tables below: TOML has no way back up."""
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if not _is_table(value)]
    for name, value in values.items():
        inner = f"{where}.{name}" if where else name
        if isinstance(value, Mapping):
            lines += ["", f"[{inner}]", *_tables(inner, value)]
        elif _is_table(value):
            for item in value:
                lines += ["", f"[[{inner}]]", *_tables(inner, item)]
    return lines


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, tuple | list) and any(map(_is_table, value)))


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    return repr(value)
