"""The order in which images are to be painted."""

import numpy as np
import torch
from scipy.spatial.distance import cdist

from synthograph.annotation.sampling import suggested_order


def test_farthest_first_against_all_distances() -> None:
    ws = torch.randn(40, 3, 5, generator=torch.Generator().manual_seed(1))
    order = suggested_order(ws)
    points = ws.reshape(40, -1).double().numpy()
    far = cdist(points, points)
    assert sorted(order) == list(range(40))
    assert order[0] == int(np.linalg.norm(points - points.mean(0), axis=1).argmin())
    for k in range(1, 40):
        left = [place for place in range(40) if place not in order[:k]]
        gaps = far[np.ix_(left, order[:k])].min(1)
        assert far[order[k], order[:k]].min() >= gaps.max() - 1e-9


def test_every_cluster_is_seen_before_any_is_seen_twice() -> None:
    centres = 50 * torch.eye(6)
    near = torch.randn(30, 6, generator=torch.Generator().manual_seed(2))
    ws = (centres.repeat(5, 1) + near)[:, None]
    assert {place % 6 for place in suggested_order(ws)[:6]} == set(range(6))


def test_equal_latents_are_all_named_once() -> None:
    assert sorted(suggested_order(torch.zeros(4, 2, 3))) == [0, 1, 2, 3]
