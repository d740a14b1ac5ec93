"""Makes the untrained bundle that comes with the package: python -m streamguard_export.untrained [OUT]

It is nets/toy.py with the weights of a fixed seed: everything can be run and measured with it, and its scores mean
nothing. The same code makes the same bundle.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from streamguard.bundle import UNTRAINED, Bundle, Precision
from streamguard.engine.backend_openvino import fast_precisions
from streamguard.nets.toy import ToyClipNet

from .make_bundle import NOT_TRAINED, About, make_bundle

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")

ABOUT = About(
    network="untrained",
    version="1",
    trained=False,
    grid_s=0.08,
    hop_s=0.64,
    recipe="square",
    provenance=NOT_TRAINED,
)


def make(out: Path) -> Bundle:
    """Write the bundle to a folder, in place of an older one. It has both precisions, whoever makes it."""
    device, fast = fast_precisions()
    if missing := set(PRECISIONS) - fast:
        raise SystemExit(f"{device} cannot show what {', '.join(missing)} does: make the bundle on one that can")
    return make_bundle(out, ToyClipNet(), ABOUT, precisions=PRECISIONS)


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
