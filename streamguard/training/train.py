"""A recipe and prepared footage -> trained weights. What `streamguard train` runs.

    recipe -> stages -> batches (batches.py) -> losses (objective.py) -> weights (optimize.py), every step
                     -> a look at people who are not trained on (monitor.py), log, curve, checkpoint, now and then

The folder that it fills: recipe.toml, groups.json, log.jsonl, loss.png, checkpoint-STEP.pt, stage-N.safetensors at each
stage's end, weights.safetensors at the end of all.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.index import Index
from ..errors import CheckpointError, ConfigError, DataError, TrainingError
from ..nets.gml_s import GmlS
from ..nets.texture import TextureHead
from ..strict import Refuse, added, build, read_json, shown
from ..weights.load import save_weights
from .batches import Ahead, Batch, Batches
from .checkpoint import checkpoints, load_checkpoint, save_checkpoint
from .monitor import look, monitor_batches, monitor_pairs, monitored_groups
from .objective import TERMS, Objective, build_net
from .optimize import Descent, RunningMean, learning_rate
from .ranks import Ranks
from .recipe import Recipe, Stage, recipe_as_text, recipe_from_text
from .record import Line, Record
from .surfaces import fit_surfaces

WEIGHTS = "weights.safetensors"
RECIPE = "recipe.toml"
GROUPS = "groups.json"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Whose faces are used for what. Nobody is in two of them."""

    trained: tuple[str, ...]
    monitored: tuple[str, ...]
    """Looked at while training runs."""
    held_out: tuple[str, ...]
    """Not touched, here and by the trainings of the weights that it began from."""
    seen_before: tuple[str, ...] | None = added(())
    """Whom the weights that it began from were trained on; None: nobody knows, and so nobody counts as held out."""

    def as_text(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def of_text(cls, text: str | bytes, refuse: Refuse) -> Groups:
        data = text.encode() if isinstance(text, str) else text
        return build(cls, read_json(data, "", refuse), refuse)


def groups_for(index: Index, recipe: Recipe, held_out: Iterable[str]) -> Groups:
    """DataError for a group that is not there; ConfigError if the weights to begin from were trained on someone who
    shall be held out. Where nobody knows whom they were trained on, `held_out` stays empty: it is a promise."""
    held = {footage.group for footage in index.of_groups(held_out)}
    seen_before = _seen_before(Path(recipe.init.file), held) if recipe.init.kind == "weights" else ()
    rest = [group for group in index.groups if group not in held]
    if not rest:
        raise DataError(str(index.folder), "all groups are held out: there is nobody to train on")
    monitored = monitored_groups(index, rest, recipe)
    trained = tuple(group for group in rest if group not in set(monitored))
    promised = () if seen_before is None else tuple(sorted(held))
    return Groups(trained=trained, monitored=tuple(monitored), held_out=promised, seen_before=seen_before)


def read_groups(path: Path, key: str) -> Groups:
    """What a training wrote as groups.json. ConfigError of `key` for anything else."""

    def refuse(where: str, problem: str) -> ConfigError:
        why = f"{where}: {problem}" if where else problem
        return ConfigError(key, f"{path} does not say who was trained on and who was held out ({why})")

    try:
        data = path.read_bytes()
    except OSError as exc:
        raise refuse("", f"cannot be read: {exc.strerror}") from exc
    return Groups.of_text(data, refuse)


def _seen_before(weights: Path, held: set[str]) -> tuple[str, ...] | None:
    """Whom these weights were trained on, as the groups.json beside them says; None if nobody knows."""
    path = weights.parent / GROUPS
    if not path.exists():
        return None
    groups = read_groups(path, "recipe: init.file")
    known = {*groups.trained, *(groups.seen_before or ())}
    seen = sorted(known & held)
    if seen:
        names = ", ".join(shown(name) for name in seen[:3]) + (", ..." if len(seen) > 3 else "")
        raise ConfigError(
            "recipe: init.file",
            f"{weights} was trained on {len(seen)} of the {len(held)} groups that shall be held out ({names}): "
            "begin from weights that never saw them, or hold out others",
        )
    return None if groups.seen_before is None else tuple(sorted(known))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a training ended."""

    finished: bool
    """Not: it was stopped, and can be resumed."""
    step: int
    seconds: float
    monitored: Mapping[str, float]
    """The last look: auc and ranked; empty if there was none."""


class Training:
    """One training, from its start or from its newest checkpoint, to its end or to where it is stopped."""

    def __init__(
        self,
        recipe: Recipe,
        index: Index,
        out: Path,
        groups: Groups,
        ranks: Ranks,
        *,
        minutes: float | None = None,
        resume: bool = False,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[Line], None] = lambda line: None,
    ) -> None:
        """`minutes`: stages end early if their share of these is over; a resumed training keeps those that it was
        begun with, unless it is given others. `tell` hears every line of the log."""
        self.recipe, self.groups = recipe, groups
        self._index, self._out, self._ranks, self._clock, self._tell = index, out, ranks, clock, tell
        self._minutes = minutes
        if groups.seen_before is None and ranks.first:
            _log.warning(
                "nobody knows whom %s was trained on (no groups.json beside it tells): nobody counts as held out, "
                "and no bundle of this training will say that it never saw someone",
                recipe.init.file,
            )
        torch.manual_seed(recipe.seed)
        net = build_net(recipe)
        self.objective = Objective(net, recipe.loss, freeze_norms=recipe.init.freeze_norms).to(ranks.device)
        if recipe.run.channels_last and not any(isinstance(each, nn.Conv3d) for each in net.modules()):
            self.objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.objective.train()
        self._precision = _precision(recipe, ranks)
        self.mean = RunningMean(net, recipe.optimizer.ema) if recipe.optimizer.ema else None
        self._descent = Descent(self.objective, recipe)
        # Dropout is each process's own; the weights, made before, are alike.
        torch.manual_seed(recipe.seed + ranks.rank)
        self._step = self._stage = self._stage_step = 0
        self._before_s = 0.0
        """That earlier runs of this training took."""
        self._stage_before_s = 0.0
        """Where the present stage began."""
        self._resumed: dict[str, Any] | None = None
        self._last_look: dict[str, float] = {}
        self._surfaces: dict[str, Tensor] | None = None
        """As they were fitted."""
        if resume:
            self._resume()
        self._budget_s = math.inf if self._minutes is None else 60 * self._minutes
        self._module: nn.Module = self.objective
        if ranks.count > 1:
            from torch.nn.parallel import DistributedDataParallel  # seconds to import, and seldom needed

            ids = [ranks.device] if ranks.device.type == "cuda" else None
            # Alternation and clips without real faces leave parameters without a gradient.
            self._module = DistributedDataParallel(self.objective, device_ids=ids, find_unused_parameters=True)
        self._pairs = monitor_pairs(index, groups.monitored, recipe) if groups.monitored and ranks.first else []

    @property
    def net(self) -> nn.Module:
        return self.objective.net

    def run(self, stopped: Callable[[], bool] = lambda: False) -> Outcome:
        """`stopped` is asked after each step."""
        self._started_s = self._clock()
        record = Record(self._out, step=self._step) if self._ranks.first else None
        if record is not None:
            _write(self._out / RECIPE, recipe_as_text(self.recipe))
            _write(self._out / GROUPS, self.groups.as_text())
        try:
            while self._stage < len(self.recipe.stages):
                if not self._run_stage(record, stopped):
                    return self._outcome(finished=False)
            if record is not None:
                self._save(self._out / WEIGHTS)
            self._checkpoint([])
            return self._outcome(finished=True)
        finally:
            if record is not None:
                record.close()

    def _run_stage(self, record: Record | None, stopped: Callable[[], bool]) -> bool:
        """Whether it is over; else it was stopped."""
        number, stage = self._stage, self.recipe.stages[self._stage]
        looks = monitor_batches(self._pairs, self.recipe, stage.length) if self._pairs else []
        with ExitStack() as stack:
            seed = self._ranks.rank
            batches = stack.enter_context(Batches(self._index, self.groups.trained, self.recipe, number, seed=seed))
            if self._resumed is not None:
                self._go_on(batches)
            feed = stack.enter_context(closing(Ahead(batches))) if self._ranks.device.type == "cuda" else batches
            meter = _Meter(self._clock)
            saved_s = self._clock()
            progress = self._progress(stage)
            while progress < 1:
                lr = learning_rate(stage, self._stage_step, progress)
                meter.add(*self._one_step(feed.next(), lr), self._crops(stage))
                progress = self._progress(stage)
                if record is not None:
                    last = progress >= 1
                    told = {"step": self._step, "stage": number, "lr": lr}
                    self._note(record, told, meter, feed, looks, last=last)
                stop = self._ranks.any(stopped())
                if stop or self._ranks.any(self._clock() - saved_s >= self.recipe.run.checkpoint_every_s):
                    self._checkpoint(self._ranks.gathered(feed.state()))
                    saved_s = self._clock()
                if stop:
                    return False
        self._stage, self._stage_step, self._stage_before_s = number + 1, 0, self._seconds()
        if self._ranks.first:
            self._save(self._out / f"stage-{number + 1}.safetensors")
        return True

    def _note(
        self, record: Record, line: Line, meter: _Meter, feed: Batches | Ahead, looks: list[Batch], *, last: bool
    ) -> None:
        """In the log, where it is time for it or the stage's last step."""
        looked = last or self._due(self.recipe.run.evaluate_every)
        if not (looked or self._due(self.recipe.run.log_every)):
            return
        line |= {**meter.taken(), "seconds": round(self._seconds(), 2), **feed.statistics()}
        if looked and looks:
            line |= self._look(looks)
        record.put(line)
        self._tell(line)
        if looked:
            record.draw()

    def _one_step(self, batch: Batch, lr: float) -> tuple[list[float], float]:
        """What was lost, and the gradients' norm."""
        given = [torch.from_numpy(each).to(self._ranks.device) for each in batch[:5]]
        with self._frozen():
            with torch.autocast(self._ranks.device.type, self._precision, enabled=self._precision != torch.float32):
                terms: Tensor = self._module(*given)
            values = terms.tolist()
            self._check(math.isfinite(values[0]), f"the loss is {values[0]}")
            terms[0].backward()
        norm = self._descent.step(lr)
        self._check(math.isfinite(norm), f"the gradients' norm is {norm}")
        if self.mean is not None:
            self.mean.update()
        self._step += 1
        self._stage_step += 1
        return values, norm

    def _frozen(self) -> AbstractContextManager[None]:
        """Several processes exchange the gradients of all parameters: there nothing may come and go."""
        return self._descent.frozen() if self._ranks.count == 1 else nullcontext()

    def _check(self, fine: bool, problem: str) -> None:
        if not fine:
            raise TrainingError(
                f"step {self._step + 1}: {problem}. Try a lower learning rate, a longer warm-up, or clip_norm; "
                f"--resume goes on from the last checkpoint in {self._out}"
            )

    def _progress(self, stage: Stage) -> float:
        """How much of the stage is over, by steps or by time, whichever is further."""
        of_steps = self._stage_step / stage.steps
        if math.isinf(self._budget_s):
            return of_steps
        of_time = (self._seconds() - self._stage_before_s) / (self._budget_s * self._share(stage))
        return self._ranks.of_first(max(of_steps, of_time))

    def _share(self, stage: Stage) -> float:
        """Of the time: as many crops as it has, of all."""
        return stage.steps * self._crops(stage) / sum(each.steps * self._crops(each) for each in self.recipe.stages)

    def _crops(self, stage: Stage) -> int:
        """In a step."""
        return 2 * stage.pairs * stage.windows * stage.length

    def _due(self, every: int) -> bool:
        return every > 0 and self._step % every == 0

    def _seconds(self) -> float:
        return self._before_s + self._clock() - self._started_s

    def _look(self, looks: list[Batch]) -> dict[str, float]:
        self.objective.eval()
        with self._kept_weights():
            found = look(self.net, looks, self._ranks.device, self._precision)
        self.objective.train()
        self._last_look = {name: round(value, 4) for name, value in found.items() if math.isfinite(value)}
        return self._last_look

    def _kept_weights(self) -> AbstractContextManager[None]:
        return nullcontext() if self.mean is None else self.mean.applied()

    def _save(self, path: Path) -> None:
        over = self._stage == len(self.recipe.stages)
        with self._kept_weights():
            if over and isinstance(self.net, GmlS) and self.net.texture is not None:
                self._fit_surfaces(self.net, self.net.texture)
            save_weights(self.net, path)

    def _fit_surfaces(self, net: GmlS, head: TextureHead) -> None:
        """Once: the same network is saved twice when all is over."""
        if self._surfaces is None:
            self.objective.eval()
            fit_surfaces(net, self._index, self.groups.trained, self.recipe)
            self.objective.train()
            self._surfaces = {name: tensor.clone() for name, tensor in head.state_dict().items()}
        head.load_state_dict(self._surfaces)

    def _outcome(self, *, finished: bool) -> Outcome:
        return Outcome(finished=finished, step=self._step, seconds=self._seconds(), monitored=self._last_look)

    def _checkpoint(self, batches: list[dict[str, Any]]) -> None:
        randoms = self._ranks.gathered(_random_state(self._ranks.device))
        if not self._ranks.first:
            return
        state = {
            "recipe": recipe_as_text(self.recipe),
            "groups": self.groups.as_text(),
            "minutes": self._minutes,
            "step": self._step,
            "stage": self._stage,
            "stage_step": self._stage_step,
            "seconds": self._seconds(),
            "stage_before_s": self._stage_before_s,
            "last_look": self._last_look,
            "objective": self.objective.state_dict(),
            "descent": self._descent.state(),
            "mean": None if self.mean is None else {"steps": self.mean.steps, "state": self.mean.state},
            "random": randoms,
            "batches": batches,
        }
        save_checkpoint(self._out, self._step, state)

    def _resume(self) -> None:
        found = checkpoints(self._out) if self._out.is_dir() else []
        if not found:
            raise ConfigError("--resume", f"there is no checkpoint in {self._out}")
        path = found[-1]
        state = load_checkpoint(path)
        try:
            self._take(state, path)
        except (KeyError, ValueError, TypeError, RuntimeError, IndexError) as exc:
            raise CheckpointError(str(path), "", f"does not fit this training ({exc})") from exc

    def _take(self, state: dict[str, Any], path: Path) -> None:
        if _groups_in(state, path) != self.groups:
            raise ValueError("it was begun with other groups")
        if self._minutes is None:
            self._minutes = state.get("minutes")  # checkpoints of before say nothing of it
        self._step, self._stage, self._stage_step = state["step"], state["stage"], state["stage_step"]
        self._before_s, self._stage_before_s = state["seconds"], state["stage_before_s"]
        self._last_look = state["last_look"]
        self.objective.load_state_dict(state["objective"])
        self._descent.restore(state["descent"])
        if self.mean is not None:
            self.mean.restore(state["mean"]["state"], state["mean"]["steps"])
        self._resumed = state

    def _go_on(self, batches: Batches) -> None:
        """Last of all: what is made in between must not draw from the generators."""
        state, self._resumed = self._resumed, None
        assert state is not None
        if len(state["batches"]) == self._ranks.count:
            batches.restore(state["batches"][self._ranks.rank])
        if len(state["random"]) == self._ranks.count:
            _restore_random(state["random"][self._ranks.rank], self._ranks.device)


def begun(out: Path) -> tuple[Recipe, Groups]:
    """The recipe and the groups of the newest checkpoint there."""
    found = checkpoints(out) if out.is_dir() else []
    if not found:
        raise ConfigError("--resume", f"there is no checkpoint in {out}")
    state = load_checkpoint(found[-1])
    try:
        return recipe_from_text(state["recipe"]), _groups_in(state, found[-1])
    except (KeyError, ValueError, TypeError, AttributeError) as exc:
        raise CheckpointError(str(found[-1]), "", f"is damaged ({exc})") from exc


def _groups_in(state: Mapping[str, Any], path: Path) -> Groups:
    def refuse(where: str, problem: str) -> CheckpointError:
        return CheckpointError(str(path), f"groups {where}", problem)

    return Groups.of_text(state["groups"], refuse)


def _precision(recipe: Recipe, ranks: Ranks) -> torch.dtype:
    wanted = recipe.run.precision
    if wanted == "auto":
        wanted = "bf16" if ranks.device.type == "cuda" else "fp32"
    return torch.bfloat16 if wanted == "bf16" else torch.float32


def _random_state(device: torch.device) -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def _restore_random(state: Mapping[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


class _Meter:
    """Means of what happened since they were last taken."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begin()

    def _begin(self) -> None:
        self._rows: list[list[float]] = []
        self._crops = 0
        self._since_s = self._clock()

    def add(self, terms: list[float], norm: float, crops: int) -> None:
        self._rows.append([*terms, norm])
        self._crops += crops

    def taken(self) -> dict[str, float]:
        means = np.mean(self._rows, axis=0).tolist()
        names = (*TERMS, "gradient")
        values = {name: round(value, 5) for name, value in zip(names, means, strict=True) if value}
        values["crops_s"] = round(self._crops / max(1e-9, self._clock() - self._since_s), 1)
        self._begin()
        return values
