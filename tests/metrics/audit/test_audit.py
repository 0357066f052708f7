"""The whole audit: what it refuses, how it decides, and what its document holds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.archive.batches import open_rows
from synthograph.core.errors import UserError
from synthograph.metrics.audit import audit as audits
from synthograph.metrics.audit import memorisation
from synthograph.metrics.audit.audit import (
    AuditSets,
    check,
    refuse_seen,
    refuse_strange_training,
)
from synthograph.metrics.audit.copies import EQUAL, Withheld
from synthograph.metrics.audit.findings import PermutedTests
from synthograph.metrics.audit.report_text import lines
from synthograph.metrics.audit.verdict import decide
from synthograph.metrics.overlap import Trained
from synthograph.results.audit import Audit, AuditAnswer, NeighbourTest, Recall
from tests.metrics.audit.pictures import as_set, mixed, texture
from tests.metrics.images import Means, noise


def request(**changes: object) -> AuditSets:
    sets = AuditSets(
        noise("train", 60, seed=1, per=2),
        noise("held", 48, seed=2, per=2),
        noise("synthetic", 40, seed=3),
    )
    return replace(sets, **changes)


def finding(*, flagged: bool) -> NeighbourTest:
    return NeighbourTest(
        test="closer_to_training",
        extractor="x",
        value=0.6,
        expected=0.5,
        interval=(0.55, 0.65),
        level=0.95,
        p=0.01,
        flagged=flagged,
        draws=20,
        exchanges=9,
        sentence="S",
    )


def test_a_patient_in_both_sets_is_refused_by_name() -> None:
    groups = {"1": "Anna", "2": "Bert", "3": "Carl"}
    with pytest.raises(UserError, match=r"2 groups are in train and in held.*'Bert', 'Carl'"):
        check(request(train_groups=groups, holdout_groups={"2": "Bert", "3": "Carl"}))
    check(request(train_groups=groups, holdout_groups={"4": "Dora"}))


@pytest.mark.parametrize("which", ["train", "holdout", "synthetic"])
def test_sets_of_other_images_or_too_few_are_refused(which: str) -> None:
    for other, words in (
        (noise("other", 30, size=(16, 20)), "pixels"),
        (noise("other", 30, modalities={"image": 3}), "channels"),
        (noise("other", 30, bits=16), "bits"),
        (noise("other", 9), r"other: 9 (training|held-out|synthetic) images .* at least 10"),
    ):
        with pytest.raises(UserError, match=words):
            check(request(**{which: other}))


def test_the_answer_follows_the_rule() -> None:
    flagged, calm = finding(flagged=True), finding(flagged=False)
    for answer, evidence in (
        (AuditAnswer.CLEAN, dict(tests=[calm], overlap=0.01)),
        (AuditAnswer.SUSPICIOUS, dict(tests=[calm, flagged])),
        (AuditAnswer.SUSPICIOUS, dict(tests=[calm], distinguished="T")),
        (AuditAnswer.COPIES, dict(tests=[calm], copies="C")),
        (AuditAnswer.COPIES, dict(tests=[flagged], copies="C", distinguished="T")),
        (AuditAnswer.UNDECIDABLE, dict(tests=[calm], overlap=0.0101)),
        (AuditAnswer.UNDECIDABLE, dict(blind="4 groups")),
        (AuditAnswer.UNDECIDABLE, dict(tests=[flagged], overlap=0.5, copies="C")),
        (AuditAnswer.UNDECIDABLE, dict(tests=[calm], doubtful="D")),
        (AuditAnswer.SUSPICIOUS, dict(tests=[flagged], doubtful="D")),
        (AuditAnswer.SUSPICIOUS, dict(distinguished="T", doubtful="D")),
        (AuditAnswer.COPIES, dict(exact="E", overlap=0.5)),
        (AuditAnswer.COPIES, dict(exact="E", blind="4 groups")),
    ):
        found, reasons = decide(**evidence)
        assert found is answer, evidence
        assert reasons, "every answer has a reason"
        assert ("C" in reasons) == ("copies" in evidence)
        assert ("T" in reasons) == ("distinguished" in evidence)
        assert ("D" in reasons) == ("doubtful" in evidence)
        assert ("E" in reasons) == ("exact" in evidence)


def test_a_generator_that_saw_the_hold_out_or_another_set_is_refused(archive: Path) -> None:
    held = open_rows(str(archive))
    trained = Trained(frozenset({"1", "2", next(iter(held.groups))}))
    with pytest.raises(UserError, match=r"1 of its 12 groups were trained on.*no held-out images"):
        refuse_seen(trained, held)
    assert refuse_seen(Trained(frozenset({"1", "2"})), held) == []
    (note,) = refuse_seen(Trained(), held)
    assert "cannot be checked" in note
    trained = Trained(frozenset({"1", "2"}))
    with pytest.raises(UserError, match="trained on none of its 1 groups"):
        refuse_strange_training(trained, {"9": "Ida"}, "cells.zip")
    note, other = refuse_strange_training(trained, {"1": "Anna", "9": "Ida"}, "cells.zip")
    assert "1 of the 2 groups" in note and "'Ida'" in note
    assert "saw 1 groups that are not in cells.zip" in other
    assert refuse_strange_training(trained, {"1": "Anna", "2": "Bert"}, "cells.zip") == []
    (unknown,) = refuse_strange_training(Trained(), {"9": "Ida"}, "cells.zip")
    assert "whether its training images are those of cells.zip cannot be checked" in unknown


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few exchanges: what is looked at here does not depend on them."""
    monkeypatch.setattr(memorisation, "EXCHANGES", 39)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_the_document_holds_everything(tmp_path: Path) -> None:
    asked = request(seed=3, notes=("of note",))
    found = audits.audit(asked, [Means(), Means("other", indicative=False)], folder=tmp_path)
    assert Audit.parse(found.result.tree(), "audit.json") == found.result
    document = json.loads(json.dumps(found.result.tree(), allow_nan=False))
    assert document["format"] == 1 and document["kind"] == "audit"
    assert document["verdict"]["answer"] in [answer.value for answer in AuditAnswer]
    assert document["verdict"]["rule"] and document["verdict"]["limits"]
    assert document["verdict"]["indicative"] is False
    assert document["sets"]["train"] == {
        "name": "train",
        "images": 60,
        "groups": 30,
        "images_hash": "hash of train",
    }
    assert document["sets"]["synthetic"]["groups"] is None
    tests = document["tests"]
    assert len(tests) == 12 and {test["extractor"] for test in tests} == {"means", "other"}
    assert all(test["draws"] >= 20 and len(test["interval"]) == 2 for test in tests)
    assert set(document["distances"]) == {"means", "other"}
    assert {"share"} <= set(document["overlap"]) and document["membership"]["extractor"] == "means"
    about = document["provenance"]
    assert about["seed"] == 3 and about["version"]
    assert [each["extractor"] for each in about["extractors"]] == ["means", "other"]
    assert document["notes"] == ["of note"] and document["pictures"] == {}
    assert "of note" in document["verdict"]["limits"]
    assert not any("its own group" in limit for limit in document["verdict"]["limits"])


@pytest.mark.usefixtures("quick")
def test_too_few_patients_cannot_be_decided(tmp_path: Path) -> None:
    held = noise("held", 30, seed=2, per=10)
    found = audits.audit(request(holdout=held), [Means()], folder=tmp_path)
    assert found.result.verdict.answer is AuditAnswer.UNDECIDABLE
    assert "3 groups of held-out images" in " ".join(found.result.verdict.reasons)
    assert found.result.verdict.indicative and found.result.tests == ()
    copies = found.result.tree()["copies"]
    assert set(copies) == {"identical", "proof", "withhold", "sentence"}
    assert copies["identical"] == copies["withhold"] == [] and "0 synthetic" in copies["sentence"]


@pytest.mark.usefixtures("quick")
def test_an_equal_image_is_found_among_however_few_patients(tmp_path: Path) -> None:
    held, made = noise("held", 30, seed=2, per=10), noise("synthetic", 40, seed=3)
    train, other, images = (
        torch.cat(list(each.batches())) for each in (request().train, held, made)
    )
    images[4], images[9] = train[7], other[2]
    train[50] = other[2]
    asked = replace(
        request(holdout=held, notes=("saw 20 of 100 groups",)),
        synthetic=replace(made, batches=lambda: iter(images.split(8)), section=None, key="made"),
        train=replace(
            request().train, batches=lambda: iter(train.split(8)), section=None, key="train"
        ),
    )
    found = audits.audit(asked, [Means()], folder=tmp_path)
    copies = found.result.copies
    assert copies.found is None and copies.identical == (4, 9) and copies.proof == (4,)
    assert found.result.verdict.answer is AuditAnswer.COPIES
    reasons = " ".join(found.result.verdict.reasons)
    assert "1 synthetic images equal a training image" in reasons and "3 groups" in reasons
    assert copies.withhold == (4, 9)
    assert found.withheld == (Withheld(4, 7, None, EQUAL), Withheld(9, 50, None, EQUAL))
    said = "\n".join(lines(found.result))
    assert "2 synthetic images equal a training image" in said and "1 of them" in said
    assert "saw 20 of 100 groups" in found.result.verdict.limits


def test_what_was_known_and_left_out_stands_among_the_limits() -> None:
    none = torch.zeros(1, 6, dtype=torch.float64)
    single = request(train=noise("train", 60, seed=1), notes=("cannot be checked",))
    measured = PermutedTests("x", none[0], none, {}, {}, 40, notes=("took 5 of 9",))
    said = list(audits._notes(single, None, [measured, replace(measured, extractor="y")]))
    assert said[0] == "cannot be checked" and said[2:] == ["took 5 of 9"]
    assert said[1].startswith("train: every image is its own group")


def test_images_without_a_class_are_not_all_images() -> None:
    recalls = [
        Recall(transform="identity", label=label, rate=0.001, found=9, planted=10, interval=(0, 1))
        for label in (None, "", "a")
    ]
    assert [each.tree()["class"] for each in recalls] == ["", "(none)", "a"]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_training_images_in_the_hold_out_cannot_be_decided(tmp_path: Path) -> None:
    train = request().train
    (pixels,) = (torch.cat(list(train.batches())),)
    mixed = noise("held", 48, seed=2, per=2)
    images = torch.cat(list(mixed.batches()))
    images[:3] = pixels[:3]
    held = replace(mixed, batches=lambda: iter(images.split(8)), section=None)
    found = audits.audit(request(holdout=held), [Means()], folder=tmp_path)
    overlap = found.result.overlap
    assert overlap is not None and overlap.identical == (0, 1, 2)
    assert overlap.share >= 3 / 48
    assert found.result.verdict.answer is AuditAnswer.UNDECIDABLE


@pytest.mark.usefixtures("quick")
def test_images_that_are_like_any_real_one_cannot_be_decided(tmp_path: Path) -> None:
    train, unseen = texture(60, 1), texture(40, 2)
    alike = [mixed(each[:6], 0.2, 4) for each in (train, unseen)]
    pixels = np.concatenate([texture(40, 3), *alike])
    sets = as_set(train, "train", per=2), as_set(unseen, "held"), as_set(pixels, "made")
    found = audits.audit(AuditSets(*sets), [Means()], folder=tmp_path).result
    assert found.verdict.answer is AuditAnswer.UNDECIDABLE
    (reason,) = found.verdict.reasons
    assert reason.startswith("flagged images need not be copies: 6 synthetic images look like")
    assert "withhold the listed images" in reason.lower()
    assert set(range(40, 46)) <= set(found.copies.withhold)
    said = "\n".join([*lines(found), *found.verdict.limits])
    assert said.count("of 52 synthetic images look like copies") == 1, "no sentence twice"


def test_no_extractor_no_audit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least one extractor"):
        audits.audit(request(), [], folder=tmp_path)
