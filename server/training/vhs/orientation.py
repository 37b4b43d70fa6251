"""Train the network that says how a radiograph is turned: every sample is shown in all eight ways."""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from imeasure_server.vhs.orientation import ORIENTATIONS, build_orientation_network, orientation_input, turned
from vhs.dataset import RenderedSet
from vhs.samples import framed_sample

SAMPLES_A_BATCH = 8


class TurnedSamples(IterableDataset[tuple[Tensor, Tensor]]):
    """(8, 1, side, side): one sample in the eight orientations, by the index that brings it back."""

    def __init__(self, rendered: RenderedSet, seed: int) -> None:
        self._rendered, self._seed = rendered, seed

    def __iter__(self) -> Any:
        torch.set_num_threads(1)
        rng = np.random.default_rng(self._seed)
        while True:
            picture, _ = framed_sample(self._rendered[int(rng.integers(self._rendered.rendered))], rng)
            rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
            grey = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
            yield torch.stack([orientation_input(_away(grey, index)) for index in range(ORIENTATIONS)])


def _away(grey: np.ndarray[Any, np.dtype[np.uint8]], orientation: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The picture that `turned` with this orientation brings back to the canonical pose."""
    back = np.rot90(grey, -(orientation % 4))
    result = np.ascontiguousarray(back[:, ::-1] if orientation >= 4 else back)
    assert np.array_equal(turned(result, orientation), grey)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=Path, required=True)
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--output", type=Path, required=True, help="file of weights, .safetensors")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build_orientation_network()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-3)
    loader = DataLoader(
        TurnedSamples(RenderedSet(options.maps, options.count), 7), batch_size=SAMPLES_A_BATCH, num_workers=1
    )
    truth = torch.arange(ORIENTATIONS).repeat(SAMPLES_A_BATCH)
    start, budget, right = time.monotonic(), options.minutes * 60, 0.0
    for step, batch in enumerate(loader):
        spent = time.monotonic() - start
        if spent >= budget:
            break
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * min(1.0, spent / budget)))
        logits = network(batch.flatten(0, 1))
        loss = nn.functional.cross_entropy(logits, truth)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        right += 0.05 * (float((logits.argmax(1) == truth).float().mean()) - right)
        if step % 50 == 0:
            print(step, round(spent / 60, 2), float(loss.detach()), round(right, 4), flush=True)
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, options.output)


if __name__ == "__main__":
    main()
