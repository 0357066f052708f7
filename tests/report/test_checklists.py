"""Checklists for manuscripts, filled in as far as the files know."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.report.checklists import checklist_names, fill, load_checklist
from synthograph.report.facts import FACTS
from synthograph.report.gather import Inputs, gather
from synthograph.report.write import write_report
from synthograph.results import Study
from synthograph.results.environment import Environment
from synthograph.results.evaluation import HELD_OUT
from synthograph.results.report import Checklist
from synthograph.results.study import ArmKind, Finding, FoldValue, StudyFacts
from synthograph.results.validations import Fit
from tests.report import material, test_classifications, test_segmentations, test_useful


def said(name: str, inputs: Inputs) -> dict[str, str]:
    """What stands on every item that the files say something on."""
    items = fill(load_checklist(name), inputs).items
    return {item.number: " ".join(k.text for k in item.known) for item in items if item.known}


def archive(path: Path, *, crossing: bool = False) -> Path:
    """Six images of three patients, two of them of one site, in two splits."""
    classes = ["<i>a</i>", "b"]
    writer = ArchiveWriter(path, {})
    for number in range(6):
        patient = number // 2
        split = "test" if patient == 2 or (crossing and number == 0) else "train"
        label = classes[number % 2] if number else None
        columns = {"site": "xxy"[patient], "score": str(number)}
        row = Row("", label, f"p{patient}", split=split, columns=columns)
        writer.add([encode({"image": np.zeros((8, 8, 1), np.uint8)}, None, row)])
    spec = ImageSpec(height=8, width=8, modalities={"image": 1})
    writer.finish(ArchiveInfo(classes=classes, spec=spec, package_version="0.1.0"))
    return path


def test_the_lists_have_their_numbers() -> None:
    assert checklist_names() == ["claim", "tripod-ai"]
    claim, tripod = (
        [item.number for section in load_checklist(name).sections for item in section.items]
        for name in checklist_names()
    )
    assert claim == [str(number) for number in range(1, 45)]
    assert len(tripod) == len(set(tripod)) == 52
    plain = [int(re.match(r"\d+", each)[0]) for each in tripod]  # type: ignore[index]
    assert plain == sorted(plain)
    assert set(plain) == set(range(1, 28))


def test_every_fact_fills_an_item_and_what_is_filled_leaves_something_to_the_author() -> None:
    lists = [load_checklist(name) for name in checklist_names()]
    items = [item for each in lists for section in each.sections for item in section.items]
    assert {name for item in items for name in item.facts} == set(FACTS)
    assert all(bool(item.facts) == bool(item.author) for item in items)


def test_nothing_is_known_without_files() -> None:
    for name in checklist_names():
        found = fill(load_checklist(name), Inputs())
        assert found.known == 0
        assert not any(item.author for item in found.items), "all of it is left to the author"


@pytest.mark.parametrize("crossing", [False, True])
def test_data(tmp_path: Path, *, crossing: bool) -> None:
    found = said("claim", gather([archive(tmp_path / "set.zip", crossing=crossing)]))
    assert found["9"] == "8 × 8 pixels, 8 bit, image of 1 channel."
    assert found["12"] == "Of 6 real images, 1 without a class."
    assert found["35"] == "Included: 6 images of 3 groups."
    if crossing:
        assert found["20"] == "1 of 3 groups have images in two partitions."
        return
    assert found["20"] == "By group: none of 3 groups is in two partitions."
    train = "train 4 images of 2 groups (<i>a</i> 1, b 2, (none) 1)"
    assert found["19"] == f"Partitions: {train}; test 2 images of 1 group (<i>a</i> 1, b 1)."
    assert found["36"] == "Images by site: train x 4; test y 2.", "scores describe no patient"
    assert not {"5", "8", "13", "16", "21", "26", "32", "33", "37", "38", "44"} & set(found)


def test_training(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    found = said("claim", gather([run]))
    assert "began with random weights, seed 3." in found["24"]
    assert "training set 3 images of 2 groups, 4" in found["25"]
    assert "raised 1 alarm." in found["40"]
    assert "26" not in found, "no images chose a snapshot"
    header = {"images_seen": 9, "initialised_from": {"family": "f"}}
    material.snapshot(run / "snapshots" / "generator-000009.safetensors", header)
    inputs = gather([run])
    for each in (inputs, inputs.public()):
        assert "the weights of another network." in said("claim", each)["24"]
    assert "12c" not in said("tripod-ai", inputs), "a generator predicts nothing"


def test_images_that_chose_a_snapshot_judge_nothing(tmp_path: Path) -> None:
    run = material.run_directory(tmp_path)
    (line,) = material.evaluation(material.entries())["results"]
    lines = [json.dumps({**line, "metric": HELD_OUT, "kimg": kimg}) for kimg in (2, 4)]
    (run / "metrics.jsonl").write_text("\n".join(lines))
    found = said("claim", gather([run]))
    assert "2 snapshots of the generator measured on set.zip:test" in found["26"]
    assert "37" not in found


def test_synthetic_images(tmp_path: Path) -> None:
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    audit = material.write(tmp_path / "audit.json", material.audit("copies found"))
    inputs = gather([numbers, audit])
    found = said("claim", inputs)
    assert re.search(r"copies of training images in \S+: copies found", found["11"])
    assert "Fréchet distance 0.500 (0.300 to 0.700)" in found["37"]
    assert "random-vgg16, a network that was never trained" in found["37"]
    assert "23a" not in said("tripod-ai", inputs), "images are no predictions"


def test_classifiers_and_segmenters(tmp_path: Path) -> None:
    classifier, segmenter = tmp_path / "c.json", tmp_path / "s.json"
    test_classifications.evaluation().save(classifier)
    test_segmentations.evaluation().save(segmenter)
    inputs = gather([classifier, segmenter])
    claim, tripod = said("claim", inputs), said("tripod-ai", inputs)
    assert "c.safetensors was trained on 100 real and 50 synthetic images" in claim["25"]
    assert "by image: AUROC 0.900 (0.850 to 0.950); by group: AUROC 0.910" in claim["38"]
    assert "<bad>: calibration slope 0.700 (0.400 to 1.000), intercept –, gain" in claim["38"]
    assert "0.300 (0.100 to 0.500) from 0.1 on" in claim["38"]
    assert "calibration slope and intercept, standardised net benefit." in claim["28"]
    assert "2 of 20 images of good and 4 of 20 images of <bad>." in claim["39"]
    assert "class core missed in 2 images, false alarm in 0." in claim["39"]
    assert "Dice: mean 0.900 (0.850 to 0.950), class core 0.910" in claim["37"]
    assert "on split test of cells.zip" in claim["32"]
    assert "33" not in claim, "nothing says that images are external"
    assert "30" not in claim, "one site shows no robustness"
    assert tripod["15"].endswith("The class with the largest one is decided.")
    assert claim["38"] in tripod["23a"]


def test_software_machines_and_settings(tmp_path: Path) -> None:
    versions = {"synthograph": "1.0", "python": "3.12", "torch": "2.12"}
    there = Environment(**versions, processor="CPU 1", threads=2)
    here = there.replace(processor="CPU 2")
    run = material.run_directory(tmp_path)
    header = {"package_version": "1.0", "environments": [there.tree(), here.tree()]}
    material.snapshot(run / "snapshots" / "generator-000009.safetensors", header)
    (line,) = material.evaluation(material.entries())["results"]
    numbers = {"results": [{**line, "environment": here.tree()}]}
    settings = {
        "optimiser": "adamw",
        "rate": 0.1,
        "patience": 0,
        "transforms": {"mirror": [0.5, 1]},
    }
    fit = Fit(settings=settings, start="begins with random numbers", environments=(there,))
    for name, scored in (
        ("c.json", test_classifications.evaluation()),
        ("s.json", test_segmentations.evaluation()),
    ):
        model = scored.model.replace(fit=fit)
        scored.replace(model=model, environment=here).save(tmp_path / name)
    study = test_useful.study(Finding.BETTER).replace(environments=(there, here))
    study.save(tmp_path / "study.json")
    named = [tmp_path / name for name in ("c.json", "s.json", "study.json")]
    files = [run, material.write(tmp_path / "n.json", numbers), *named]
    for inputs in (gather(files), gather(files).public()):
        claim, tripod = said("claim", inputs), said("tripod-ai", inputs)
        assert f"trained with 2 different environments: (1) {there}. (2) {here}." in claim["23"]
        assert f"Synthetic images measured with {here}." in claim["23"]
        for name in ("c", "s"):
            assert f"{name}.safetensors was trained with {there}." in claim["23"]
            assert f"Results of {name}.safetensors computed with {here}." in claim["23"]
            assert f"{name}.safetensors begins with random numbers." in claim["24"]
            told = "without a better one: none; augmentation: mirror."
            assert f"{name}.safetensors: optimiser: adamw; learning rate: 0.1; early" in claim["25"]
            assert told in tripod["12c"]
        assert "What it tested was trained with 2 different environments" in claim["23"]
        assert claim["23"] == tripod["18f"]
    again = test_classifications.evaluation()
    again.replace(model=again.model.replace(fit=fit), environment=there).save(tmp_path / "d.json")
    write_report([*files, tmp_path / "d.json"], tmp_path / "both.html")
    both = (tmp_path / "both.html").read_text("utf-8")
    assert f"2 different environments: (1) {here}. (2) {there}" in both, "of one classifier"
    write_report(files, tmp_path / "r.html", public=True)
    page = (tmp_path / "r.html").read_text("utf-8")
    assert f"Trained with {there}." in page and "Training begins with random numbers." in page
    assert page.count(str(here)) >= 5, "run, measures, classifier, segmenter, study"


def test_studies(tmp_path: Path) -> None:
    about = StudyFacts(
        name="lesions", data="skin.zip", classes=("a", "b"), plan_sha256="ab", generator="2 each"
    )
    found = test_useful.study(Finding.BETTER, Finding.WORSE, about=about)
    folds = tuple(FoldValue(fold=n, value=0.8, images=50, groups=25) for n in (0, 1))
    arms = tuple(
        arm.replace(folds=folds, ratio=None if arm.kind is ArmKind.REAL else 0.5)
        for arm in found.internal.arms
    )
    found = found.replace(internal=found.internal.replace(arms=arms))
    claim = _of(found, tmp_path)
    assert "50 images of 25 patients; 50 images of 25 patients." in claim["19"]
    assert "groups are patients, each tested by a classifier that never saw it." in claim["20"]
    assert "'half & half': real and synthetic images, 0.500 synthetic per real one" in claim["25"]
    assert "some of them repeated;" in claim["25"]
    assert "2 each." in claim["25"]
    assert "external set " in claim["33"]
    assert claim["37"].count("'real' 0.800") == 2
    assert "(sha256 ab)" in claim["42"]
    alone = _of(test_useful.study(Finding.BETTER), tmp_path)
    assert alone["33"] == "Study 'lesions' has no external set."
    assert "42" not in alone


def _of(study: Study, folder: Path) -> dict[str, str]:
    file = folder / "study.json"
    study.save(file)
    return said("claim", gather([file]))


def test_files_stand_beside_the_page(tmp_path: Path) -> None:
    page, data = tmp_path / "r.html", archive(tmp_path / "set.zip")
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    written = write_report([data, numbers], page, checklists=["claim", "tripod-ai"])
    claim, tripod = written.checklists
    assert (claim.name, tripod.name) == ("r-claim.html", "r-tripod-ai.html")
    text = claim.read_text("utf-8")
    assert text.count("<td>") == 4 * 44
    assert "&lt;i&gt;a&lt;/i&gt;" in text
    assert "<i>a" not in text, "no markup of files"
    assert "official wording counts: Tejani" in text
    assert 'href="r.html"' in text
    assert 'href="r-claim.html"' in page.read_text("utf-8")
    (first, _) = written.content.tree()["checklists"]
    assert Checklist.parse(first, "claim").known == sum(bool(i["known"]) for i in first["items"])
    with pytest.raises(UserError, match=r"exists already"):
        write_report([data], page, checklists=["claim"])
    page.unlink()
    written.data.unlink()
    with pytest.raises(UserError, match=r"r-claim\.html exists already: .*--force"):
        write_report([data], page, checklists=["claim"])
    write_report([data], page)
    assert "checklist for manuscripts" not in page.read_text("utf-8")


def test_an_unknown_list_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--checklist CLAIM: .* did you mean 'claim'"):
        write_report([tmp_path / "none.json"], tmp_path / "r.html", checklists=["CLAIM"])
