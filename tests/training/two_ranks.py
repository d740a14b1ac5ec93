"""One of two processes of a training: run by test_train.py, which tells it its rank as torchrun would."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import torch

from streamguard.data.index import Index
from streamguard.training import fakes
from streamguard.training.batches import Batch
from streamguard.training.ranks import open_ranks
from streamguard.training.recipe import read_recipe
from streamguard.training.train import Training, groups_for
from tests.training.prepared import blue


class Watched(Training):
    """Remembers what its first batch was."""

    seen = ""

    def _one_step(self, batch: Batch, lr: float) -> tuple[list[float], float]:
        self.seen = self.seen or hashlib.sha256(batch.crops.tobytes()).hexdigest()
        return super()._one_step(batch, lr)


def main(data: Path, folder: Path, store: Path) -> None:
    torch.set_num_threads(1)
    fakes.KINDS["blue"] = blue
    recipe = read_recipe(str(folder / "recipe.toml"), ["stages.0.steps=3", "stages.1.steps=2"])
    index = Index.open(data)
    with open_ranks("cpu", rendezvous=store.as_uri()) as ranks:
        out = folder / "out"
        out.mkdir(exist_ok=True)
        training = Watched(recipe, index, out, groups_for(index, recipe, []), ranks)
        training.run()
        # Without the norms' statistics: those of rank 0 go to all with the next step.
        weights = b"".join(each.detach().contiguous().numpy().tobytes() for each in training.net.parameters())
        told = {"weights": hashlib.sha256(weights).hexdigest(), "seen": training.seen}
        (folder / f"rank-{ranks.rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
