"""Two painters: Dice by hand, intervals, and what cannot be compared."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.annotation.agreement import agreement
from synthograph.core.errors import UserError
from synthograph.results import PainterAgreement
from synthograph.results.annotations import ClassAgreement
from synthograph.stats.masks import IGNORED
from tests.sampling.test_generate import make_snapshot


def masks(seed: int, count: int = 6) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 3, (count, 8, 8)).astype(np.uint8)


def test_dice_by_hand() -> None:
    one, other = masks(0), masks(1)
    one[2][one[2] == 2] = 0
    other[2][other[2] == 2] = 0
    other[3][other[3] == 1] = 0
    one[4, :3] = IGNORED
    found = agreement(one, other, ["background", "a", "b"], 0)
    assert [each.of_class for each in found] == ["", "a", "b"]
    for k, each in enumerate(found[1:], start=1):
        values = []
        for x, y in zip(one, other, strict=True):
            known = x != IGNORED
            both = (x[known] == k).sum() + (y[known] == k).sum()
            if both:
                values.append(2 * ((x == k) & (y == k) & known).sum() / both)
        assert each.dice == pytest.approx(np.mean(values))
        assert each.images == len(values) and each.interval is not None
        assert each.dice in each.interval
    assert found[1].missing == 1 and found[2].images == 5
    assert found[0].dice == pytest.approx((found[1].dice + found[2].dice) / 2)


def test_the_mean_counts_images_that_show_any_class() -> None:
    one = np.zeros((3, 8, 8), np.uint8)
    one[0, :4], one[1, :4] = 1, 2
    other = one.copy()
    names = ["background", "a", "b"]

    def counts() -> list[tuple[int, int]]:
        return [(each.images, each.missing) for each in agreement(one, other, names, 0)]

    assert counts() == [(2, 0), (1, 0), (1, 0)]
    other[:] = 0
    assert counts() == [(2, 2), (1, 1), (1, 1)]
    other[0, :4] = 2
    assert counts()[0] == (2, 2), "an image counts once, whatever classes one lacks"


def test_a_painting_with_itself_and_nothing_painted() -> None:
    one = masks(0)
    assert [each.dice for each in agreement(one, one, ["x", "a", "b"], 0)] == [1.0] * 3
    (empty,) = agreement(np.zeros_like(one), np.zeros_like(one), ["x", "a", "b"], 0)
    assert empty.dice is None and empty.images == 0


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    snapshot = make_snapshot(tmp_path / "s")
    sg.annotate_sample(network=snapshot.path, num=7, outdir=tmp_path / "A")
    return tmp_path / "A"


def paint(annotations: Path, painter: str, seed: int, count: int = 6, **options: object) -> None:
    folder = annotations.parent / f"{painter}{seed}"
    folder.mkdir()
    names = sorted(p.stem for p in (annotations / "images").glob("*.png") if "." not in p.stem)
    for name, ids in zip(names, masks(seed, count), strict=False):
        Image.fromarray(ids).save(folder / f"{name}.png")
    palette = folder / "palette.json"
    palette.write_text(json.dumps(["background", "a", "b"]))
    sg.annotate_import(annotations, masks=folder, palette=str(palette), painter=painter, **options)


def dice(classes: Sequence[ClassAgreement]) -> list[float | None]:
    return [each.dice for each in classes]


def test_two_painters_of_a_set(annotations: Path, tmp_path: Path) -> None:
    paint(annotations, "anna", 0)
    with pytest.raises(UserError, match="has masks of 1 painter; name two"):
        sg.annotate_agreement(str(annotations))
    paint(annotations, "ben", 1, 5)
    out = tmp_path / "new" / "agreement.json"
    found = sg.annotate_agreement(str(annotations), out=out).found
    expected = agreement(masks(0)[:5], masks(1)[:5], ["background", "a", "b"], 0)
    assert dice(found.classes) == pytest.approx(dice(expected)) and found.images == 5
    assert (found.only_first, found.only_second) == (1, 0)
    assert PainterAgreement.load(out) == found
    assert "anna" not in json.dumps(found.public().tree())
    text = repr(sg.annotate_agreement(f"{annotations}:anna", f"{annotations}:ben"))
    assert "5 images that both painted, 1 that one did" in text


def test_the_same_painter_twice_in_two_folders(annotations: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(annotations, tmp_path / "B"))
    paint(annotations, "anna", 0)
    shutil.copytree(annotations, tmp_path / "copy")
    with pytest.raises(UserError, match="its masks are those of .* name another one"):
        sg.annotate_agreement(str(annotations), str(tmp_path / "copy"))
    paint(again, "anna", 3)
    found = sg.annotate_agreement(str(annotations), str(again)).found
    expected = agreement(masks(0), masks(3), ["background", "a", "b"], 0)
    assert dice(found.classes) == pytest.approx(dice(expected))


def test_what_cannot_be_compared(annotations: Path, tmp_path: Path) -> None:
    paint(annotations, "anna", 0)
    other = make_snapshot(tmp_path / "t", classes=(), width=0)
    sg.annotate_sample(network=other.path, num=3, outdir=tmp_path / "B")
    snapshot = tmp_path / "s" / "generator-000000.safetensors"
    sg.annotate_sample(network=snapshot, num=7, trunc=0.5, outdir=tmp_path / "C")
    for first, second, message in (
        (f"{annotations}:bne", None, "nobody called 'bne'"),
        (f"{annotations}", f"{annotations}", "compared with itself"),
        (f"{annotations}", f"{tmp_path / 'B'}", "another network"),
        (f"{annotations}", f"{tmp_path / 'C'}", "has the classes , and"),
        (f"{tmp_path}", None, "no annotation set"),
    ):
        with pytest.raises(UserError, match=message):
            sg.annotate_agreement(first, second=second)
    paint(tmp_path / "C", "c", 5)
    with pytest.raises(UserError, match="is another image in"):
        sg.annotate_agreement(str(annotations), second=str(tmp_path / "C"))
