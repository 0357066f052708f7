"""The whole report: what is measured, what is refused, what the numbers come with."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from synthograph.core.errors import UserError
from synthograph.features.base import NetworkExtractor
from synthograph.features.preprocess import Preprocess
from synthograph.metrics.evaluate import EvaluationTask, check, evaluate
from synthograph.metrics.names import FEATURE_MEASURES
from synthograph.metrics.report_text import sentences, table
from synthograph.metrics.scopes import shares
from synthograph.results.evaluation import Entry, Measurements, Scope, ScopeShare
from synthograph.results.provenance import Features, Provenance
from tests.metrics.images import Means, noise

CLASS_B = Scope(column="label", level="b")


def found(report: Measurements) -> dict[tuple[str, str], Entry]:
    return {(str(entry.scope), entry.name): entry for entry in report.entries}


def test_every_part_has_its_values_with_all_that_they_rest_on(tmp_path: Path) -> None:
    site = tuple("north" if i % 4 < 2 else "south" for i in range(120))
    real = noise("real", 120, columns={"site": site}, per=2)
    fake = noise("made", 160, seed=1)
    train = noise("train", 240, seed=2, columns={"site": site * 2}, per=2)
    request = EvaluationTask(real, fake, train, by=("site",), seed=3)
    report = evaluate(request, [Means()], folder=tmp_path)
    every = found(report)
    parts = {scope for scope, _ in every}
    assert parts == {"all", "class a", "class b", "site north", "site south"}
    names = {name for scope, name in every if scope == "class a"}
    assert names == {*FEATURE_MEASURES, "spectrum", "ms_ssim"}
    north = [name for scope, name in every if scope == "site north"]
    assert north == ["recall", "coverage"], "synthetic images have no site"
    assert any("have no site" in note for note in every["site north", "recall"].notes)
    whole = every["all", "frechet"]
    assert (whole.n_real, whole.n_fake, whole.groups_real) == (120, 160, 60)
    assert whole.interval is not None and whole.floor is not None
    assert whole.floor.n == (60, 60) and whole.floor.same_n is not None
    assert whole.train is not None and whole.train.n_real == 120, "as many training images"
    assert whole.value is not None and whole.train.value is not None
    assert whole.gap == whole.value - whole.train.value
    provenance = whole.provenance.tree()
    assert provenance["real"] == {"name": "real", "images_hash": "hash of real"}
    assert provenance["generated"]["images_hash"] == "hash of made"
    assert provenance["features"]["extractor"] == "means" and provenance["seed"] == 3
    assert provenance["version"]
    text = json.dumps(report.tree(), allow_nan=False)
    assert json.loads(text)["entries"][0]["published"] is False


def test_the_same_call_gives_the_same_numbers(tmp_path: Path) -> None:
    request = EvaluationTask(noise("real"), noise("made", seed=1), measures=("frechet", "recall"))
    once, again = (
        evaluate(request, [Means()], folder=tmp_path / name).tree() for name in ("x", "y")
    )
    assert once == again


def test_each_modality_is_measured_by_its_own_channels(tmp_path: Path) -> None:
    modalities = {"vis": 3, "nir": 1}
    real = noise("real", modalities=modalities, levels=None)
    worse = noise("made", seed=1, modalities=modalities, levels=None)
    images = torch.cat(list(worse.batches()))
    images[:, 3] += 100
    fake = replace(worse, batches=lambda: iter(images.split(8)))
    report = evaluate(EvaluationTask(real, fake, measures=("frechet",)), [Means()], folder=tmp_path)
    values = {str(entry.scope): entry.value for entry in report.entries}
    assert set(values) == {"all", "modality vis", "modality nir"}
    assert values["modality vis"] < 50 < 5000 < values["modality nir"]


def test_a_network_of_all_channels_says_nothing_of_one_modality(tmp_path: Path) -> None:
    kinds = {"vis": 3, "nir": 1}
    sets = [noise(name, 60, seed=s, modalities=kinds) for s, name in enumerate(("real", "made"))]
    rule = Preprocess(8, mean=(0.0,) * 4, deviation=(1.0,) * 4)
    one = NetworkExtractor(
        "four", 4 * 64, Means().digest, torch.nn.Flatten(), rule, "pixels", chunk=8
    )
    report = evaluate(EvaluationTask(*sets, measures=("coverage",)), [one], folder=tmp_path)
    assert {scope for scope, _ in found(report)} == {"all", "class a", "class b"}
    assert (
        "four sees all channels together, so it tells nothing about vis, nir alone" in report.notes
    )


def test_many_classes_are_not_measured_one_by_one(tmp_path: Path) -> None:
    names = tuple(f"c{number:02}" for number in range(51))
    real, fake = (noise(name, 102, levels=names) for name in ("real", "made"))
    report = evaluate(
        EvaluationTask(real, fake, measures=("coverage",)), [Means()], folder=tmp_path
    )
    assert {scope for scope, _ in found(report)} == {"all"}
    assert "51 classes are too many to measure each of them" in report.notes
    with pytest.raises(UserError, match="--by label: has 51 values"):
        check(EvaluationTask(real, fake, by=("label",)))
    with pytest.raises(UserError, match="--by label: .* has no such column"):
        check(EvaluationTask(noise(levels=None), fake, by=("label",)))


def test_a_class_that_is_not_made_is_a_finding(tmp_path: Path) -> None:
    real, train = noise("real", 60), noise("train", 60, seed=2)
    fake = noise("made", 60, seed=1, levels=("a",))
    request = EvaluationTask(real, fake, train, measures=("coverage", "frechet"))
    report = evaluate(request, [Means()], folder=tmp_path)
    entry = found(report)["class b", "coverage"]
    assert entry.value is None and "0 synthetic images" in entry.notes[0]
    share = {str(share): share for share in report.shares}["class b"]
    assert (share.n_real, share.n_generated, share.n_train) == (30, 0, 30)
    assert share.share_generated_over_share_train == 0.0
    assert "no synthetic images at all: class b" in sentences(report)
    whole = found(report)["all", "coverage"]
    assert whole.floor is not None and whole.at_floor is False


def test_shares_say_which_class_shrinks() -> None:
    real, train = noise("real", 40), noise("train", 40)
    fake = noise("made", 40, levels=("a", "a", "a", "b"))
    (share,) = shares([CLASS_B], real, fake, train)
    assert share.share_generated_over_share_train == pytest.approx(0.5)
    (unknown,) = shares([CLASS_B], real, noise("made", levels=None), train)
    assert unknown.n_generated is None and unknown.share_generated_over_share_train is None


def test_an_interval_that_lies_below_shows_memorisation(tmp_path: Path) -> None:
    train = noise("train", 200, seed=2)
    copies = noise("made", 200, seed=3)
    real = noise("real", 200, seed=1, bright=40)
    report = evaluate(
        EvaluationTask(real, copies, train, measures=("frechet",)), [Means()], folder=tmp_path
    )
    entry = found(report)["all", "frechet"]
    assert entry.nearer_to_training
    assert not entry.replace(train=entry).nearer_to_training
    assert any("memorising" in line for line in sentences(report))


@pytest.mark.parametrize(
    ("other", "part"),
    [
        (noise("made", 9), "9 synthetic images; at least 10"),
        (noise("made", size=(16, 24)), "images of 16x16 pixels, made of 24x16"),
        (noise("made", bits=16), "images of 8 bits, made of 16"),
        (noise("made", modalities={"image": 3}), "images of 1 channels, made of 3"),
        (noise("made", modalities={"a": 1, "b": 1}), "images of 1 channels, made of a 1, b 1"),
        (noise("made", levels=("x", "y")), "class 'x', real has 'a', 'b': no class is in both"),
    ],
)
def test_sets_that_cannot_be_compared(other: object, part: str) -> None:
    with pytest.raises(UserError) as error:
        check(EvaluationTask(noise("real"), other))  # type: ignore[arg-type]
    assert part in str(error.value)


def test_columns_that_cannot_be_compared() -> None:
    many = {"patient": tuple(map(str, range(60))), "site": ("x",) * 60}
    real = noise("real", 60, columns=many)
    with pytest.raises(UserError, match="--by sites: real has no such column: did you mean 'site'"):
        check(EvaluationTask(real, noise("made"), by=("sites",)))
    with pytest.raises(UserError, match="--by patient: has 60 values, at most 50"):
        check(EvaluationTask(real, noise("made"), by=("patient",)))


def test_few_images_are_said_to_be_few(tmp_path: Path) -> None:
    request = EvaluationTask(noise("real", 20), noise("made", 200, seed=1), measures=("recall",))
    report = evaluate(request, [Means()], folder=tmp_path)
    assert any("below 100 this is only an indication" in n for n in report.entries[0].notes)


def test_a_table_for_narrow_and_wide_consoles() -> None:
    left = {"column": "label", "level": "knee [left]"}
    provenance = Provenance(features=Features(extractor="means"))
    value = Entry(name="frechet", value=1.23456, n_real=5, n_fake=6, provenance=provenance)
    share = ScopeShare(
        **left, n_real=5, n_generated=6, n_train=None, share_generated_over_share_train=None
    )
    report = Measurements(
        entries=(value.noted("a note"), value.replace(scope=Scope(**left))),
        shares=(share,),
        notes=("on the whole",),
    )
    for width in (60, 150):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(table(report))
        text = console.export_text()
        assert "1.23" in text and "a note (frechet, all)" in text and "on the whole" in text
    assert text.count("class knee [left]") == 2, "a title and a share"
