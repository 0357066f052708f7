"""Style mixing: rows of w exchanged, as published."""

from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.ops.pixels import to_pixels
from synthograph.sampling.latents import Rendering, as_styles, of_seeds, render
from synthograph.sampling.mixing import exchange, mix, parse_styles
from tests.sampling.test_generate import make_snapshot


def test_which_styles() -> None:
    assert parse_styles(None, 8) == [0, 1, 2, 3], "the coarser half"
    assert parse_styles("0-2,5,1", 8) == [0, 1, 2, 5]
    assert parse_styles("000-002,007", 8) == [0, 1, 2, 7]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0-8", "the largest style row is 7"),
        ("x", "'x' is neither a number"),
        ("3-1", "runs backwards"),
        ("", "'' is neither"),
        ("9" * 5000, "the largest style row is 7"),
    ],
)
def test_what_are_no_styles(text: str, words: str) -> None:
    with pytest.raises(UserError, match=f"--styles .*{words}"):
        parse_styles(text, 8)


def test_styles_are_exchanged_one_by_one() -> None:
    """Beside a loop that follows the published description."""
    rows, cols = torch.randn(2, 4, 3), torch.randn(3, 4, 3)
    expected = []
    for row in rows:
        for col in cols:
            w = row.clone()
            for place in (0, 2):
                w[place] = col[place]
            expected.append(w)
    torch.testing.assert_close(exchange(rows, cols, [0, 2]), torch.stack(expected), rtol=0, atol=0)
    assert (exchange(rows, cols, []) == rows.repeat_interleave(3, 0)).all()


def test_equal_to_mapping_exchange_synthesis(tmp_path: Path) -> None:
    """Two modalities and two classes; the network's own modules do the same by hand."""
    snapshot, how = make_snapshot(tmp_path), Rendering(truncation=0.7)
    rows = as_styles(snapshot, [of_seeds(snapshot, [85, 100], ["a b"] * 2, "{}")], how)
    cols = as_styles(snapshot, [of_seeds(snapshot, [55], ["c/d"], "{}")], how)
    mixed = mix(rows, cols, [0, 1])
    assert mixed.names == ("85-55", "100-55") and mixed.labels == ("a b", "a b")
    generator, made = snapshot.generator, []
    for seed in (85, 100):
        ws = [
            generator.mapping(
                torch.from_numpy(np.random.RandomState(s).randn(1, 8)).float(),
                torch.eye(2)[k : k + 1],
                truncation_psi=0.7,
            )
            for s, k in ((seed, 0), (55, 1))
        ]
        ws[0][:, :2] = ws[1][:, :2]
        made.append(to_pixels(generator.synthesis(ws[0], noise_mode="const"), 8)[0])
    drawn = np.stack([*render(snapshot, mixed.values, mixed.seeds, how)])
    assert np.abs(drawn.astype(int) - np.stack(made)).max() <= 1, "a batch rounds otherwise"
    assert drawn.shape == (2, 4, 8, 8) and (drawn[0] != drawn[1]).any()
