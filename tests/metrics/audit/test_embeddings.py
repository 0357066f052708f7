"""Cosine distances of pairs, from vectors and from files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.metrics.audit.embeddings import pair_distances, paired
from synthograph.results.pairs import PairDistances

EAST, NORTH, WEST = "1\t0", "0\t2", "-3\t0"


def written(folder: Path, tensors: str, metadata: str) -> tuple[Path, Path]:
    one, other = folder / "tensors.tsv", folder / "metadata.tsv"
    one.write_text(tensors)
    other.write_text(metadata)
    return one, other


def by_name(found: PairDistances) -> dict[str, float]:
    return {pair.image: pair.distance for pair in found.pairs}


def lines(*texts: str) -> str:
    return "".join(f"{text}\n" for text in texts)


def test_rows_alternate_as_in_the_skin_lesion_project(tmp_path: Path) -> None:
    metadata = lines("label\timage_name", "0\ta.png", "2\ta2.png", "1\tb.png", "3\tb2.png")
    paths = written(tmp_path, lines(EAST, EAST, EAST, NORTH), metadata)
    found = pair_distances(*paths)
    assert [(pair.image, pair.label, pair.distance) for pair in found.pairs] == [
        ("a.png", "0", 0),
        ("b.png", "1", 1),
    ]
    assert found.pairing == "their order: image, partner" and found.notes == ()
    assert found.summaries["all pairs"].median == 0.5
    assert found.summaries["class 1"].count == 1
    assert sum(found.histogram.counts) == 2
    document = found.tree()
    assert document["kind"] == "pairs" and document["distance"] == "1 - cosine"
    assert PairDistances.parse(document, "pairs.json") == found


def test_names_of_projections_make_pairs_in_any_order(tmp_path: Path) -> None:
    names = ["b.class.1.to.png", "a.class.0.from.png", "b.class.1.from.png", "a.class.0.to.png"]
    metadata = lines("label\timage_name", *(f"x\t{name}" for name in names))
    found = pair_distances(*written(tmp_path, lines(WEST, EAST, EAST, NORTH), metadata))
    assert by_name(found) == {
        "b.class.1.from.png": 2,
        "a.class.0.from.png": 1,
    }


def test_columns_pair_and_kind_come_first(tmp_path: Path) -> None:
    metadata = lines(
        "image_name\tpair\tkind\tsplit",
        "x\t7\tprojection\t",
        "y\t8\treal\ttest",
        "z\t7\treal\ttrain",
        "w\t8\tprojection\t",
    )
    found = pair_distances(*written(tmp_path, lines(EAST, EAST, NORTH, WEST), metadata))
    assert by_name(found) == {"z": 1, "y": 2}
    assert {"split train", "split test"} < set(found.summaries)


def test_labels_alone_have_no_header(tmp_path: Path) -> None:
    found = pair_distances(*written(tmp_path, lines(EAST, NORTH), lines("0", "0")))
    assert by_name(found) == {"line 1": 1}
    assert "to nearest other" not in found.summaries
    assert found.share_nearer_than_other_images is None


def test_labels_that_do_not_fit_are_noted(tmp_path: Path) -> None:
    metadata = lines("label\timage_name", "0\ta", "2\tb", "0\tc", "3\td")
    found = pair_distances(*written(tmp_path, lines(EAST, EAST, EAST, NORTH), metadata))
    assert "right order" in found.notes[0]


@pytest.mark.parametrize(
    ("tensors", "metadata", "part"),
    [
        ("", lines("a", "b"), "tensors.tsv: is empty"),
        (lines(EAST, "1\tx"), lines("a", "b"), "tensors.tsv, line 2: 'x' is no number"),
        (lines(EAST, "1"), lines("a", "b"), "line 2: 1 numbers, the first line has 2"),
        (lines(EAST, "nan\t1"), lines("a", "b"), "line 2: holds a number that is not finite"),
        (lines(EAST, "1e60\t1"), lines("a", "b"), "too large for float32"),
        (lines(EAST, "", EAST), lines("a", "b"), "tensors.tsv, line 2: is empty"),
        (lines(EAST, "0\t0"), lines("a", "b"), "tensors.tsv, line 2: all numbers are 0"),
        (lines(EAST, EAST), "", "metadata.tsv: is empty"),
        (lines(EAST, EAST), "label\timage_name\n", "has a header and no line"),
        (lines(EAST, EAST), lines("label\tx", "a"), "metadata.tsv, line 2: 1 cells under a header"),
        (lines(EAST, EAST), lines("x\tx", "a\tb"), "line 1: a column is named twice"),
        (lines(EAST, EAST), lines("a"), "has 2 vectors"),
        (lines(EAST), lines("a"), "1 vectors are no pairs"),
        (lines(EAST, EAST), lines("pair\tkind", "1\treal", "1\treal"), "line 3: pair '1' has its"),
        (lines(EAST, EAST), lines("pair\tkind", "1\treal", "2\tx"), "line 2: pair '1' has no"),
        (lines(EAST, EAST), lines("label\timage_name", "0\ta.from.png", "0\tb.png"), "line 3: 'b"),
        ("a\0b\n", lines("a"), "holds a NUL byte"),
    ],
)
def test_bad_files_are_named_with_the_line(
    tmp_path: Path, tensors: str, metadata: str, part: str
) -> None:
    with pytest.raises(UserError) as caught:
        pair_distances(*written(tmp_path, tensors, metadata))
    assert part in str(caught.value), caught.value


def test_distances_equal_plain_ones() -> None:
    generator = np.random.default_rng(0)
    one, other = generator.normal(size=(2, 40, 6))
    found = paired(torch.tensor(one), torch.tensor(other), names=["x"] * 40)
    norms = np.linalg.norm(one, axis=1), np.linalg.norm(other, axis=1)
    wanted = 1 - (one * other).sum(1) / (norms[0] * norms[1])
    np.testing.assert_allclose([pair.distance for pair in found.pairs], wanted, atol=1e-12)
    near = 1 - (one @ one.T) / np.outer(norms[0], norms[0])
    np.fill_diagonal(near, np.inf)
    others = found.summaries["to nearest other"]
    quartiles = (others.min, others.q1, others.median, others.q3, others.max)
    np.testing.assert_allclose(quartiles, np.quantile(near.min(1), [0, 0.25, 0.5, 0.75, 1]))
    assert found.share_nearer_than_other_images == (wanted < near.min(1)).mean()


def test_a_vector_without_direction_is_refused() -> None:
    with pytest.raises(UserError, match="vector 1: it has no direction"):
        paired(torch.tensor([[1.0, 0], [0, 0]]), torch.ones(2, 2), names=["a", "b"])
