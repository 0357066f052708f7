"""Measures over truncation on the page and on the console."""

from pathlib import Path

from synthograph.core.interval import Interval
from synthograph.report.truncations import drawing, tables, truncation_tree
from synthograph.report.write import write_report
from synthograph.results import Truncation, load
from synthograph.results.evaluation import Scope, Value
from synthograph.results.provenance import Features, ImageRecord, Provenance
from synthograph.results.truncation import TruncationPart, TruncationPoint


def sweep(precision: float = 0.9, recall: float = 0.58) -> Truncation:
    counts = {"n_real": 40, "n_fake": 200, "groups_real": 20}

    def point(psi: float, precision: float, recall: float) -> TruncationPoint:
        numbers = {"frechet": 123.4, "density": 0.7, "coverage": 0.8}
        values = [Value(name=name, value=value, **counts) for name, value in numbers.items()]
        for name, share in (("precision", precision), ("recall", recall)):
            ends = Interval(share - 0.1, min(share + 0.1, 1))
            values.append(Value(name=name, value=share, interval=ends, **counts))
        return TruncationPoint(psi=psi, values=tuple(values))

    points = [point(0.3, 0.9, 0.5), point(0.7, precision, recall), point(1, 0.6, 0.6)]
    some = [TruncationPart.of(Scope(column="label", level="cyst"), points[1:])]
    command = "synthograph truncation --network /home/ada/g --real /home/ada/cells.zip:val"
    return Truncation(
        network="g.safetensors",
        network_sha256="0",
        center="class",
        parts=(TruncationPart.of(Scope(), points), *some),
        images=200,
        provenance=Provenance(
            features=Features(extractor="efficientnet-lite0"),
            real=ImageRecord(name="cells.zip:val"),
            command=command,
        ),
        notes=("a note",),
    )


def test_a_table_for_every_part_marks_the_psi_of_the_rule() -> None:
    whole, of_class = tables(sweep())
    assert {len(row) for row in whole.rows} == {len(whole.head)} == {6}
    assert [row[0] for row in whole.rows] == ["0.3", "0.7 *", "1"]
    assert whole.rows[1][3] == "0.580 (0.480 to 0.680)"
    assert "40 real images of 20 groups, 200 synthetic ones" in whole.title
    assert "class cyst" in of_class.title
    first, second, third = whole.notes
    assert first.startswith("psi 0.7 (*) keeps recall within 5 % of the best: 0.580")
    assert "the best is 0.600 (0.500 to 0.700), at psi 1" in first
    assert "0.900 (0.800 to 1.000) there, and 0.600" in second and "nothing" not in second
    assert third.startswith("psi 0.3 is not ruled out")


def few() -> list[TruncationPoint]:
    """A recall of 4 of 40 images at every psi."""
    value = Value(name="recall", value=0.1, n_real=40)
    return [
        point.replace(values=(*(v for v in point.values if v.name != "recall"), value))
        for point in sweep().parts[0].points
    ]


def test_a_psi_without_a_gain_is_told() -> None:
    whole, _ = tables(sweep(precision=0.5))
    assert "truncation gains nothing here" in whole.notes[1]
    (whole,) = tables(sweep().replace(parts=(TruncationPart.of(Scope(), few()),)))
    assert whole.notes == [
        "no psi is named: the best recall rests on 4 real images, at least 5 are needed"
    ]
    whole, _ = tables(sweep(recall=0.1))
    assert whole.notes[0] == (
        "psi 1 (*) keeps recall within 5 % of the best: 0.600 (0.500 to 0.700)"
    )


def test_recall_that_odd_images_raise_is_told() -> None:
    part = sweep().parts[0]
    points = [
        point.replace(
            values=tuple(
                value.replace(value=point.psi) if value.name == "coverage" else value
                for value in point.values
            )
        )
        for point in part.points
    ]
    found = sweep().replace(parts=(TruncationPart.of(Scope(), points),))
    (whole,) = tables(found)
    assert "coverage is 0.700 there, and 1.000 at psi 1" in whole.notes[2]


def test_the_picture_has_both_curves_and_their_psi() -> None:
    svg = drawing(sweep(), "over psi")
    assert "precision" in svg and "recall" in svg and "psi" in svg
    assert truncation_tree(sweep())["chosen"] == 0.7


def test_the_page_shows_it_and_names_no_folder(tmp_path: Path) -> None:
    sweep().save(tmp_path / "truncation.json")
    assert isinstance(load(tmp_path / "truncation.json"), Truncation)
    write_report([tmp_path / "truncation.json"], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Truncation of g.safetensors" in text and "psi 0.7 (*)" in text
    assert "the mean of their class" in text
    write_report([tmp_path / "truncation.json"], tmp_path / "public.html", public=True)
    for page in ("public.html", "public.json"):
        assert "ada" not in (tmp_path / page).read_text()
