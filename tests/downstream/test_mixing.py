"""Amounts by rule, and drawings that a larger amount extends."""

import json
from pathlib import Path

import pytest

from synthograph.archive.manifest import Row
from synthograph.core.errors import UserError
from synthograph.downstream import mixing

REAL = {"MEL": 10, "NV": 40, "BKL": 25}


@pytest.mark.parametrize(
    ("amounts", "added", "removed"),
    [
        (mixing.add(REAL, {"MEL": 30}), {"MEL": 30, "NV": 0, "BKL": 0}, {}),
        (mixing.add_percent(REAL, dict.fromkeys(REAL, 50)), {"MEL": 5, "NV": 20, "BKL": 12}, {}),
        (mixing.top_up(REAL, 1), {"MEL": 30, "NV": 0, "BKL": 15}, {}),
        (mixing.top_up(REAL, 2), {"MEL": 70, "NV": 40, "BKL": 55}, {}),
        (mixing.top_up(REAL, 0.5), {"MEL": 10, "NV": 0, "BKL": 0}, {}),
        (
            mixing.replace(REAL, {"MEL": 0.3, "NV": 0.3}),
            {"MEL": 3, "NV": 12, "BKL": 0},
            {"MEL": 3, "NV": 12, "BKL": 0},
        ),
        (mixing.only_synthetic(REAL, {}), REAL, REAL),
        (mixing.only_synthetic(REAL, {"MEL": 100}), {**REAL, "MEL": 100}, REAL),
    ],
)
def test_amounts(amounts: mixing.Amounts, added: dict, removed: dict) -> None:
    assert dict(amounts.added) == added
    assert dict(amounts.removed) == removed


def test_thyroid_amounts_top_up_to_the_majority() -> None:
    """`full_mc` and `full_mc100` of the thyroid project, recomputed by rule (fold 4: 420 each)."""
    real = {"PTC": 403, "NIFTP": 64, "FVPTC": 66, "FA": 420, "FTC": 260}
    assert list(mixing.top_up(real, 1).added.values()) == [17, 356, 354, 0, 160]
    assert list(mixing.top_up(real, 2).added.values()) == [437, 776, 774, 420, 580]


def test_numbers_per_class() -> None:
    classes = ["MEL", "a=b"]
    assert mixing.per_class(["7"], classes, "--add", limit=100) == {"MEL": 7, "a=b": 7}
    assert mixing.per_class(["a=b=2", "MEL=1.5"], classes, "--add", limit=9) == {
        "a=b": 2,
        "MEL": 1.5,
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["Mel=1"], "did you mean 'MEL'"),
        (["MEL=x"], "give a number from 0 to 9"),
        (["-1"], "give a number from 0 to 9"),
        (["10"], "give a number from 0 to 9"),
        (["nan"], "give a number from 0 to 9"),
        (["1", "2"], "names no class"),
    ],
)
def test_numbers_per_class_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        mixing.per_class(words, ["MEL", "NV"], "--add", limit=9)


def test_thousands_in_class_order() -> None:
    assert mixing.by_thousands("0,1.5", ["NV", "MEL"], limit=2000) == {"NV": 0, "MEL": 1500}
    for text in ("15", "0,15,1", "0,x", ""):
        with pytest.raises(UserError, match="thousands of images"):
            mixing.by_thousands(text, ["NV", "MEL"], limit=2000)
    with pytest.raises(UserError, match="at most 2 thousand of a class"):
        mixing.by_thousands("0,2.5", ["NV", "MEL"], limit=2000)


def rows(label: str, count: int, **columns: str) -> list[Row]:
    return [
        Row(f"{label}{n}.png", label, f"g{n}", columns={**columns, "seed": str(n)})
        for n in range(count)
    ]


def test_a_larger_draw_holds_the_smaller_one_and_repeats_nothing() -> None:
    there = {"MEL": rows("MEL", 20)}
    few = mixing.draw(there, {"MEL": 5}, 3, "set")["MEL"]
    many = mixing.draw(there, {"MEL": 15}, 3, "set")["MEL"]
    assert many[:5] == few
    assert len({row.file for row in many}) == 15
    assert mixing.draw(there, {"MEL": 5}, 4, "set")["MEL"] != few


def test_every_class_that_is_short_is_named() -> None:
    there = {"MEL": rows("MEL", 2), "NV": rows("NV", 9)}
    with pytest.raises(UserError, match=r"3 of class MEL \(2 are there\), 1 of class BKL \(0"):
        mixing.draw(there, {"MEL": 3, "NV": 9, "BKL": 1}, 0, "set.zip")


def test_repeated_rows_come_equally_often() -> None:
    found = mixing.draw_again({"MEL": rows("MEL", 4)}, {"MEL": 10}, 0)["MEL"]
    files = [row.file for row in found]
    times = sorted(files.count(file) for file in set(files))
    assert times == [2, 2, 3, 3]
    with pytest.raises(UserError, match="no real training image"):
        mixing.draw_again({}, {"MEL": 1}, 0)


def published(path: Path, **keys: object) -> Path:
    path.write_text(json.dumps(keys))
    return path


def test_a_file_of_the_thyroid_project_counts_its_last_seed_out(tmp_path: Path) -> None:
    file = published(
        tmp_path / "a.json",
        classes=[1, "PTC"],
        seeds=["0-3", "5-6"],
        network=["models/x.pkl"],
        class_map=[0, 1],
    )
    taken = mixing.read_published(file, ["PTC", "FA"], ["benign", "malignant"])
    assert [(t.made, t.label, list(t.seeds)) for t in taken] == [
        ("FA", "benign", [0, 1, 2]),
        ("PTC", "malignant", [5]),
    ]
    made = [*rows("FA", 4), *rows("PTC", 8)]
    drawn = mixing.take_seeds(made, taken, "set")
    assert [row.file for row in drawn["malignant"]] == ["PTC5.png"]
    assert [row.file for row in drawn["benign"]] == ["FA0.png", "FA1.png", "FA2.png"]
    with pytest.raises(UserError, match="no image of class PTC with seed 5"):
        mixing.take_seeds(made[:5], taken, "set")
    with pytest.raises(UserError, match="sets: have 2 images of class PTC with seed 5"):
        mixing.take_seeds([*made, *rows("PTC", 8)], taken, "sets")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"classes": [0], "seeds": ["0-3"], "class_map": []}, "equally long"),
        ({"classes": [0], "seeds": ["3-3"], "class_map": [0]}, "must be such as 0-510"),
        ({"classes": [7], "seeds": ["0-3"], "class_map": [0]}, "7 is none of PTC, FA"),
        ({"classes": [0], "seeds": ["0-3"], "class_map": ["x"]}, "'x' is none of benign"),
        ({"seeds": ["0-3"]}, "classes"),
    ],
)
def test_files_of_amounts_are_refused(keys: dict, message: str, tmp_path: Path) -> None:
    file = published(tmp_path / "a.json", **keys)
    with pytest.raises(UserError, match=message):
        mixing.read_published(file, ["PTC", "FA"], ["benign", "malignant"])


def test_shuffled_labels_keep_the_images_and_the_count_of_every_class() -> None:
    drawn = {name: [Row(f"{name}{n}", name, "g") for n in range(20)] for name in ("a", "b")}
    found = mixing.shuffle_labels(drawn, 3)
    assert {name: len(rows) for name, rows in found.items()} == {"a": 20, "b": 20}
    files = sorted(row.file for rows in found.values() for row in rows)
    assert files == sorted(row.file for rows in drawn.values() for row in rows)
    strangers = sum(row.label != "a" for row in found["a"])
    assert 4 < strangers < 16
    assert found == mixing.shuffle_labels(drawn, 3) != mixing.shuffle_labels(drawn, 4)
