"""Writes the numbers of benchmarks/results into README.md, where they stand. Run it after the benchmarks.

python benchmarks/readme.py           # write
python benchmarks/readme.py --check   # exit code 1 if the README says anything else
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def results(name: str) -> dict[str, Any]:
    return dict(json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())["results"])


def sentences() -> dict[str, str]:
    """Each sentence with numbers in it, by its first words."""
    pipeline, soak, push = results("pipeline"), results("soak"), results("push")
    time, cpu = pipeline["ratio_of_time"], pipeline["ratio_of_cpu"]
    with_network = pipeline["with_network"]
    scored_time, scored_cpu = with_network["ratio_of_time"], with_network["ratio_of_cpu"]
    ways = [soak[name] for name in ("push", "decode", "detector")]
    frames = ", ".join(f"{way['frames']:,}" for way in ways)
    slopes = ", ".join(str(way["slope_kib_per_1000_frames"]) for way in ways)
    stalled, to_copy = push["call_ms"]["stalled"], push["ratio_of_p99_stalled_to_copy"]
    return {
        "- **Cost.**": (
            f"Following one face in 720p takes {time['median']:.2f} times as long as a bare loop with the\n"
            "  same decoding, detector calls and crops (worst round"
            f" {time['worst']:.2f}), and {cpu['median']:.2f} times its CPU (worst {cpu['worst']:.2f}).\n"
            "  With the packaged network, small and run as often on both sides: "
            f"{scored_time['median']:.2f} times as long (worst\n"
            f"  {scored_time['worst']:.2f}), {scored_cpu['median']:.2f} times the CPU"
            f" (worst {scored_cpu['worst']:.2f})\n"
            "  ([pipeline.json](benchmarks/results/pipeline.json))."
        ),
        "- **Push.**": (
            f"With the network stalled, handing in a 720p array takes {stalled['p99']:.2f} ms at p99 and\n"
            f"  {stalled['p50']:.2f} ms in the median, {to_copy:.2f} times the p99 of the copy that it must make\n"
            "  ([push.json](benchmarks/results/push.json))."
        ),
        "- **Memory.**": (
            f"Over {frames} frames pushed, decoded, and scored by a StreamDetector, resident\n"
            f"  memory grows by {slopes} KiB per 1,000 frames after warm-up\n"
            "  ([soak.json](benchmarks/results/soak.json))."
        ),
    }


def filled(text: str) -> str:
    for start, sentence in sentences().items():
        pattern = re.escape(start) + r" .*?\.json\)\)\."
        text, count = re.subn(pattern, lambda _, line=f"{start} {sentence}": line, text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"README.md has {count} paragraphs that begin with {start!r}; one is needed")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    before = README.read_text()
    after = filled(before)
    if args.check:
        if before != after:
            sys.stderr.write("README.md and benchmarks/results differ: python benchmarks/readme.py\n")
        return int(before != after)
    README.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
