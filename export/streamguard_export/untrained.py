"""Makes the bundle that comes with the package: python -m streamguard_export.untrained [OUT]

It is nets/toy.py with the weights of a fixed seed: everything can be run and measured with it, and its scores mean
nothing. The same code makes the same bundle.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from streamguard.bundle import (
    UNTRAINED,
    Bundle,
    ClipSpec,
    Graph,
    GraphSpec,
    OutputSpec,
    Parity,
    Precision,
    Provenance,
    StateSpec,
    open_bundle,
    seal,
)
from streamguard.engine.backend_openvino import OpenVinoBackend, fast_precisions
from streamguard.engine.backend_torch import TorchBackend
from streamguard.engine.parity import graph_scores, sample_clips
from streamguard.nets.toy import LENGTH, MEMORY, SIZE_PX, ToyClipNet

from .onnx_files import export_graphs

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
CLIPS = 16
"""What tolerance and parity are measured on."""
MARGIN = 2
"""Other processors add up in other orders than the one that made the bundle."""
LEAST_TOLERANCE = 1e-5


def make(out: Path) -> Bundle:
    """Write the bundle to a folder, in place of what is there."""
    net = ToyClipNet().eval()
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        states = {name: torch.zeros(2, *shape) for name, shape in net.state_shapes.items()}
        frame = (SIZE_PX, SIZE_PX, 3)
        export_graphs(
            folder,
            net,
            window={"crops": torch.zeros(2, MEMORY + LENGTH, *frame, dtype=torch.uint8)},
            step={
                "crops": torch.zeros(2, *frame, dtype=torch.uint8),
                "age": torch.zeros(2, dtype=torch.int64),
                **states,
            },
            output="logits",
            next_states=[f"next_{name}" for name in states],
        )
        graphs: dict[Graph, dict[Precision, GraphSpec]]
        graphs = {
            "window": {each: GraphSpec(file="window.onnx", tolerance=1.0) for each in PRECISIONS},
            "step": {each: GraphSpec(file="step.onnx", tolerance=1.0) for each in PRECISIONS},
        }
        loose = seal(folder, fields(net, graphs, [Parity(precision=each, step_to_window=1.0) for each in PRECISIONS]))
        seal(folder, fields(net, *measured(net, loose)))
        out.mkdir(parents=True, exist_ok=True)
        for old in out.iterdir():
            old.unlink()
        for path in sorted(folder.iterdir()):
            shutil.copyfile(path, out / path.name)
    return open_bundle(out)


def fields(
    net: ToyClipNet, graphs: dict[Graph, dict[Precision, GraphSpec]], parity: Sequence[Parity]
) -> dict[str, Any]:
    return {
        "network": "untrained",
        "version": "1",
        "trained": False,
        "clip": ClipSpec(size_px=SIZE_PX, grid_s=0.08, length=LENGTH, memory=MEMORY, hop_s=0.64, recipe="square"),
        "output": OutputSpec(tensor="logits", kind="logit"),
        "graphs": graphs,
        "states": [
            StateSpec(input=name, output=f"next_{name}", shape=shape) for name, shape in net.state_shapes.items()
        ],
        "parity": list(parity),
        "provenance": Provenance(data="none", commit="none", licence="Apache-2.0"),
    }


def measured(net: ToyClipNet, bundle: Bundle) -> tuple[dict[Graph, dict[Precision, GraphSpec]], list[Parity]]:
    """Differences to PyTorch, and between the graphs, of this processor at each precision."""
    device, fast = fast_precisions()
    if missing := set(PRECISIONS) - fast:
        raise SystemExit(f"{device} cannot show what {', '.join(missing)} does: make the bundle on one that can")
    manifest = bundle.manifest
    clips = sample_clips(manifest.clip, CLIPS)
    reference = {graph: graph_scores(TorchBackend(net, manifest, graph), manifest, clips) for graph in manifest.graphs}
    graphs: dict[Graph, dict[Precision, GraphSpec]] = {graph: {} for graph in manifest.graphs}
    parity = []
    for precision in PRECISIONS:
        scores: dict[Graph, np.ndarray] = {}
        for graph, specs in manifest.graphs.items():
            backend = OpenVinoBackend(bundle, graph, precision)
            scores[graph] = graph_scores(backend, manifest, clips)
            backend.close()
            difference = float(np.abs(scores[graph] - reference[graph]).max())
            tolerance = max(LEAST_TOLERANCE, rounded_up(MARGIN * difference))
            graphs[graph][precision] = GraphSpec(file=specs[precision].file, tolerance=tolerance)
        apart = float(np.abs(scores["step"] - scores["window"]).max())
        parity.append(Parity(precision=precision, step_to_window=rounded_up(apart)))
    return graphs, parity


def rounded_up(value: float) -> float:
    """To one digit: what is measured again elsewhere is a little different."""
    if value == 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(value))
    return float(f"{math.ceil(value / unit) * unit:.0e}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m streamguard_export.untrained", description=__doc__)
    parser.add_argument("out", nargs="?", type=Path, default=UNTRAINED, help="folder (default: %(default)s)")
    bundle = make(parser.parse_args().out)
    for graph, specs in bundle.manifest.graphs.items():
        for precision, spec in specs.items():
            sys.stdout.write(f"{graph} {precision}: within {spec.tolerance:g} of PyTorch\n")
    for parity in bundle.manifest.parity:
        sys.stdout.write(f"step to window {parity.precision}: {parity.step_to_window:g}\n")


if __name__ == "__main__":
    main()
