"""What does each network cost? Multiply-adds as counted, and the time of a window, a step and a score on this machine.

    window  a whole clip of one face, R + T crops; a score by windows
    step    one more crop of one face, only where the network is causal; a score by steps takes a hop of them

Every registered network at full size is written as a bundle's graphs once, and run as the engine runs them: OpenVINO,
one core a call, in each precision that the processor is made for. Rounds go through all of them, so that noise hits all
alike, and times are compared round by round. Weights are random, which decides nothing here: nothing of them is zero.

Run it with `make bench` or `python benchmarks/networks.py`; then `python benchmarks/readme.py` writes docs/networks.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from common import percentiles, save
from streamguard_export.make_bundle import NOT_TRAINED, About, unmeasured_bundle, usable_precisions
from streamguard_export.registered import build
from torch import nn

from streamguard.bundle import Bundle, Graph, Precision
from streamguard.engine.backend import Backend
from streamguard.engine.backend_openvino import OpenVinoBackend
from streamguard.engine.parity import sample_clips
from streamguard.nets.cost import Cost, cost_of
from streamguard.nets.registry import ENTRIES, Entry, options_as_text

MEASURE_OF_ALL = "gml-s"
"""Whose score by steps the others are compared with."""
COSTLY_MACS = 100_000_000_000
"""What costs more takes seconds, and is measured in one of so many rounds:"""
COSTLY_EVERY = 4
SMALL = {"width": "0.1", "size_px": "64"}
"""Options of --quick."""

Key: TypeAlias = tuple[str, Graph, Precision]
Round: TypeAlias = Mapping[Key, list[float]]
"""Milliseconds of each call in one round."""


@dataclass(slots=True, kw_only=True)
class Runner:
    """One graph of a network at one precision."""

    backend: Backend
    crops: np.ndarray  # (1, R + T, H, W, 3) uint8
    hop_steps: int
    macs: int
    """Of a call."""
    age: int = 0
    slot: int = field(init=False, default=-1)

    def score(self) -> list[float]:
        """Milliseconds of each call that a score takes: one window, or a hop of steps."""
        if self.backend.graph == "window":
            return [self._window()]
        if self.slot < 0:
            self.slot = self.backend.open_slot()
        self._step()  # not counted: the networks before have emptied the processor's caches, as no live stream does
        return [self._step() for _ in range(self.hop_steps)]

    def _window(self) -> float:
        before = time.perf_counter()
        self.backend.run({"crops": self.crops})
        return (time.perf_counter() - before) * 1e3

    def _step(self) -> float:
        arrays = {"crops": self.crops[:, self.age % self.crops.shape[1]], "age": np.array([self.age])}
        before = time.perf_counter()
        self.backend.step([self.slot], arrays)
        self.age += 1
        return (time.perf_counter() - before) * 1e3


def say(words: str) -> None:
    sys.stderr.write(f"{time.perf_counter() - STARTED:5.0f} s  {words}\n")
    sys.stderr.flush()


STARTED = time.perf_counter()


def filled(net: nn.Module) -> nn.Module:
    """Without the zeros and ones that an untrained network begins with: engines leave out what they multiply."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            if bool(((parameter == 0) | (parameter == 1)).all()):
                parameter.uniform_(0.1, 0.5, generator=random)
    return net


def exported(folder: Path, entry: Entry, net: nn.Module, precisions: Sequence[Precision]) -> Bundle:
    """A bundle that promises nothing: `make_bundle` without its measuring, which takes longer than all of this."""
    about = About(
        network=entry.name,
        version="measured",
        trained=False,
        grid_s=entry.grid_s,
        hop_s=entry.hop_s,
        recipe=entry.recipe,
        provenance=NOT_TRAINED,
    )
    folder.mkdir()
    return unmeasured_bundle(
        folder, net, about, precisions=precisions, progress=lambda line: say(f"{entry.name}: {line}")
    )


def runners(bundle: Bundle, entry: Entry, cost: Cost, stack: ExitStack) -> Iterator[tuple[Key, Runner]]:
    """Compiled, and run once."""
    crops = sample_clips(bundle.manifest.clip, 1)
    for graph, specs in bundle.manifest.graphs.items():
        for precision in specs:
            say(f"{entry.name}: compiling the {graph} graph in {precision}")
            backend = stack.enter_context(closing(OpenVinoBackend(bundle, graph, precision)))
            macs = cost.clip_macs if graph == "window" else cost.step_macs or 0
            runner = Runner(backend=backend, crops=crops, hop_steps=entry.hop_steps, macs=macs)
            runner.score()
            yield (entry.name, graph, precision), runner


def measured(every: Mapping[Key, Runner], rounds: int) -> list[Round]:
    found: list[Round] = []
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        due = {key: each for key, each in every.items() if each.macs <= COSTLY_MACS or number % COSTLY_EVERY == 0}
        found.append({key: each.score() for key, each in due.items()})
    return found


def times(name: str, precision: Precision, entry: Entry, rounds: Sequence[Round]) -> dict[str, Any]:
    """Of one network at one precision."""
    calls: dict[Graph, list[list[float]]] = {
        graph: [each[name, graph, precision] for each in rounds if (name, graph, precision) in each]
        for graph in ("window", "step")
    }
    by: Graph = "step" if calls["step"] else "window"
    scores = [sum(each) for each in calls[by]]
    found: dict[str, Any] = {
        f"{graph}_ms": {**percentiles([ms for call in each for ms in call]), "runs": sum(map(len, each))}
        for graph, each in calls.items()
        if each
    }
    found["score_ms"] = {**percentiles(scores), "runs": len(scores)}
    found["share_of_a_core"] = round(float(np.mean(scores)) / (entry.hop_s * 1e3), 4)
    found[f"score_to_{MEASURE_OF_ALL}"] = ratio(rounds, (name, by, precision), (MEASURE_OF_ALL, "step", precision))
    if by == "step":
        found["steps_to_window"] = ratio(rounds, (name, "step", precision), (name, "window", precision))
    return found


def ratio(rounds: Sequence[Round], one: Key, other: Key) -> dict[str, float]:
    """Of two scores, round by round."""
    ratios = [sum(each[one]) / sum(each[other]) for each in rounds if one in each and other in each]
    return {"median": round(float(np.median(ratios)), 4), "worst": round(max(ratios), 4)}


def described(entry: Entry, net: Any, cost: Cost) -> dict[str, Any]:
    return {
        "options": options_as_text(net.options),
        "grid_s": entry.grid_s,
        "hop_s": entry.hop_s,
        "recipe": entry.recipe,
        **dataclasses.asdict(cost),
        "crop_macs": cost.crop_macs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="times that each network gives a score, in turns")
    parser.add_argument("--quick", action="store_true", help="tiny networks and 2 rounds: to see whether this runs")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    if args.quick and args.out is None:
        parser.error("--quick measures other networks than there are: say with --out where its results go")
    given, rounds = (SMALL, 2) if args.quick else ({}, args.rounds)
    precisions = usable_precisions()
    say(f"measured are {', '.join(precisions)}")
    networks: dict[str, dict[str, Any]] = {}
    every: dict[Key, Runner] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, entry in ENTRIES.items():
            net, cost = build(entry, given), cost_of(entry, given)
            networks[name] = described(entry, net, cost)
            bundle = exported(Path(folder) / name, entry, filled(net), precisions)
            every.update(runners(bundle, entry, cost, stack))
        found = measured(every, rounds)
    for name, about in networks.items():
        about["times"] = {each: times(name, each, ENTRIES[name], found) for each in precisions}
    what = "milliseconds of a call for one face on one core, OpenVINO; a score takes a window, or a hop of steps"
    save("networks", {"what": what, "quick": args.quick, "rounds": rounds, "networks": networks}, args.out)


if __name__ == "__main__":
    main()
