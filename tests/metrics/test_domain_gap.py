"""Gaps between sets of made images: another brightness is seen, another draw is not."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from synthograph.core.errors import UserError
from synthograph.metrics import domain_gap as module
from synthograph.metrics import maps, two_sample
from synthograph.metrics.domain_gap import DomainImages, check, domain_gap, pictures_of, sentence_of
from synthograph.metrics.domain_gap_text import draw, table
from synthograph.results.domain_gap import DomainGap
from tests.metrics.images import Means, noise

FEW = 199


@pytest.fixture(autouse=True)
def no_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "_has_umap", lambda: False)


def three() -> list[DomainImages]:
    sets = [
        noise("here", 60, seed=1, per=2, levels=None),
        noise("here too", 50, seed=2, per=2, levels=("a",)),
        noise("there", 60, seed=3, per=2, levels=None, bright=12),
    ]
    return [DomainImages(each) for each in sets[:2]] + [
        DomainImages(sets[2], "synthetic", ("a note",))
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> DomainGap:
    folder = tmp_path_factory.mktemp("features")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "_has_umap", lambda: False)
        return domain_gap(three(), [Means(), Means("other")], folder=folder, permutations=FEW)


def test_the_gap_is_seen_where_there_is_one(found: DomainGap) -> None:
    assert [(g.one, g.other) for g in found.pairs[:3]] == [
        ("here", "here too"),
        ("here", "there"),
        ("here too", "there"),
    ]
    same, *others = found.pairs[:3]
    assert same.seen is False and "does not prove" in same.sentence
    for gap in others:
        assert gap.seen and "differ: shown a new image of each" in gap.sentence
        assert gap.kernel.interval is not None and gap.kernel.interval.low > 0
        floor = gap.floor.one
        assert floor is not None and gap.kernel.value is not None
        assert gap.kernel.value > floor.high
    assert all(gap.indicative for gap in found.pairs)
    assert "an indication" in same.sentence


def test_p_is_adjusted_for_all_comparisons(found: DomainGap) -> None:
    assert len(found.pairs) == 6 and "p is adjusted for 6 comparisons (Holm)" in found.notes
    smallest = min(gap.classifier.p or 1 for gap in found.pairs)
    assert smallest == pytest.approx(1 / (FEW + 1))
    assert found.pairs[1].classifier.p_adjusted == pytest.approx(6 * smallest)


def test_many_comparisons_get_permutations_enough_to_see_a_gap(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is far apart must be seen however many comparisons there are."""
    monkeypatch.setattr(two_sample, "PERMUTATIONS", 19)
    monkeypatch.setattr(two_sample, "MAX_PERMUTATIONS", 240)
    sets = [
        DomainImages(noise(str(k), 20, seed=k, per=2, levels=None, bright=40 * k)) for k in range(4)
    ]
    made = domain_gap(sets, [Means()], folder=tmp_path)
    assert made.provenance.permutations == 240
    assert made.pairs[0].classifier.settings["permutations"] == 240
    assert all(gap.seen for gap in made.pairs)
    assert not any("too many for these" in note for note in made.notes)
    few = domain_gap(sets, [Means()], folder=tmp_path, permutations=19)
    assert few.provenance.permutations == 19 and not any(gap.seen for gap in few.pairs)
    assert any("6 comparisons are too many for these permutations" in note for note in few.notes)


def test_the_document(found: DomainGap) -> None:
    document = found.tree()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["format"] == 1 and document["kind"] == "domain-gap"
    assert document["sets"][2] == {
        "name": "there",
        "images": 60,
        "groups": 30,
        "images_hash": "hash of there",
        "origin": "synthetic",
        "archive": {"images_hash": "hash of there"},
        "notes": ["a note"],
    }
    pair = document["pairs"][0]
    assert {"one", "other", "extractor", "kernel", "floor", "classifier", "sentence"} <= set(pair)
    assert set(pair["floor"]) == {"one", "other"} and pair["floor"]["one"]["n"] == [30, 30]
    drawn = document["map"]
    assert drawn["method"] in ("pca", "umap") and drawn["extractor"] == "means"
    lengths = {len(drawn[name]) for name in ("points", "set", "label", "image")}
    assert lengths == {170}
    assert drawn["set"] == [0] * 60 + [1] * 50 + [2] * 60
    assert drawn["image"][60:110] == list(range(50)) and set(drawn["label"]) == {"", "a"}
    assert document["provenance"]["seed"] == 0 and document["provenance"]["version"]
    assert "there: a note" in document["notes"]
    assert any(note.startswith("there: the numbers hold for these images") for note in found.notes)


def test_the_same_call_gives_the_same_numbers(found: DomainGap, tmp_path: Path) -> None:
    again = domain_gap(three(), [Means(), Means("other")], folder=tmp_path, permutations=FEW)
    assert again.tree() == found.tree()
    assert draw(again) == draw(found)
    assert draw(again, "svg") == draw(found, "svg")


def test_the_table_says_it_in_words(found: DomainGap) -> None:
    file = io.StringIO()
    Console(file=file, width=200).print(table(found))
    text = file.getvalue()
    assert "here | there" in text and "synthetic" in text
    assert "here and there differ" in text and "its distances are distorted" in text


def test_the_picture_shows_every_set(found: DomainGap) -> None:
    with Image.open(io.BytesIO(draw(found))) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    for colour in ((0, 114, 178), (230, 159, 0), (0, 158, 115)):
        assert (np.abs(pixels - colour).sum(1) < 40).sum() > 200
    text = draw(found, "svg").decode()
    assert "here too (50 real images)" in text and "there (60 synthetic images)" in text
    assert "Date" not in text


def test_pictures_are_in_the_order_of_the_points(found: DomainGap) -> None:
    sets = three()
    png, made = pictures_of(sets, found.map, "sprite.png", side=8)
    assert made.count == len(found.map.image) == 170 and (made.width, made.height) == (8, 8)
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image)
    for place in (0, 75, 169):
        images = sets[found.map.set[place]].images
        batch = torch.cat(list(images.batches()))[found.map.image[place]].float().mean()
        top, left = place // made.columns * 8, place % made.columns * 8
        assert pixels[top : top + 8, left : left + 8].mean() == pytest.approx(float(batch), abs=1)


def test_the_map_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "MAX_POINTS", 60)
    made = domain_gap(three(), [Means()], folder=tmp_path, permutations=9)
    assert made.map.set == (0,) * 20 + (1,) * 20 + (2,) * 20
    assert len(set(made.map.image[:20])) == 20
    assert "the map shows 60 of 170 images, drawn at random" in made.notes


def test_images_without_patients_are_noted(tmp_path: Path) -> None:
    sets = [DomainImages(noise("a", 20, seed=1)), DomainImages(noise("b", 20, seed=2))]
    made = domain_gap(sets, [Means()], folder=tmp_path, permutations=9)
    assert sum("a patient of its own" in note for note in made.notes) == 2


def test_another_mix_of_classes_is_noted(tmp_path: Path) -> None:
    sets = [noise("a", 20), noise("b", 20, seed=2), noise("c", 20, seed=3, levels=("a", "a", "b"))]
    made = domain_gap([DomainImages(s) for s in sets], [Means()], folder=tmp_path, permutations=9)
    (first, second) = (note for note in made.notes if "not equally frequent" in note)
    assert first.startswith("a and c: ") and "(a 50 % and 70 %)" in first and "--class" in first
    assert second.startswith("b and c: ")


def test_few_patients_are_undecidable(tmp_path: Path) -> None:
    sets = [DomainImages(noise("a", 40, seed=1, per=10)), DomainImages(noise("b", 40, seed=2))]
    (gap,) = domain_gap(sets, [Means()], folder=tmp_path, permutations=9).pairs
    assert gap.seen is None and gap.classifier.p_adjusted is None
    assert gap.sentence == "a and b: undecidable: 4 groups in a set, at least 5 are needed"
    assert json.dumps(gap.tree(), allow_nan=False)


def test_over_ninety_nine_per_cent_is_not_all(found: DomainGap) -> None:
    gap = found.pairs[1]
    sure = sentence_of(gap.replace(classifier=gap.classifier.replace(auc=0.9996)))
    assert "over 99 %" in sure and "100 %" not in sure


@pytest.mark.parametrize(
    ("other", "part"),
    [
        (noise("b", 40, size=(16, 32)), "16x16 pixels, b of 32x16"),
        (noise("b", 40, modalities={"image": 3}), "bring them to one size and kind"),
        (noise("b", 40, bits=16), "8 bits, b of 16"),
        (noise("b", 40, modalities={"vis": 1, "nir": 1}), "1 channels, b of vis 1, nir 1"),
        (noise("b", 9), "9 images; at least 10"),
        (noise("a", 40), "two sets are called a"),
    ],
)
def test_what_cannot_be_compared_is_refused(other: object, part: str) -> None:
    with pytest.raises(UserError, match=part):
        check([DomainImages(noise("a", 40)), DomainImages(other)])  # type: ignore[arg-type]


def test_one_set_and_no_extractor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="between two or more"):
        check([DomainImages(noise("a", 40))])
    with pytest.raises(UserError, match="no extractor"):
        domain_gap(three(), [], folder=tmp_path)
