"""Pictures of the closest pairs."""

import io

import numpy as np
import torch
from PIL import Image

from synthograph.metrics.audit.pairs import MAX_PAIRS, picture
from synthograph.results.audit import ClosestPair
from tests.metrics.images import noise

NAMES = [f"{number}.png" for number in range(40)]


def test_a_pair_stands_side_by_side() -> None:
    synthetic, train = noise(seed=1, bright=100), noise(seed=2)
    pairs = [
        ClosestPair(fake=3, train=5, score=0.9),
        ClosestPair(fake=3, train=6, score=0.8),
        ClosestPair(fake=0, train=5, score=0.7),
    ]
    data = picture(synthetic, train, pairs, (NAMES, NAMES))
    assert data is not None
    shown = np.asarray(Image.open(io.BytesIO(data)))
    assert shown.shape[0] > 3 * 64
    left = torch.cat(list(synthetic.batches()))[3, 0].numpy().repeat(4, 0).repeat(4, 1)
    right = torch.cat(list(train.batches()))[5, 0].numpy().repeat(4, 0).repeat(4, 1)
    for side in (left, right):
        windows = np.lib.stride_tricks.sliding_window_view(shown[:80, :, 0], (64, 64))
        assert (windows == side).all(axis=(2, 3)).any()


def test_no_pairs_no_picture_and_many_are_cut() -> None:
    images = noise()
    assert picture(images, images, [], (NAMES, NAMES)) is None
    pairs = [ClosestPair(fake=i % 40, train=i % 40, score=1.0) for i in range(60)]
    many = picture(images, images, pairs, (NAMES, NAMES))
    assert many is not None
    assert Image.open(io.BytesIO(many)).height < (MAX_PAIRS + 1) * 70
