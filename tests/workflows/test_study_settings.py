"""Study files: five lines are enough, and a slip is one line that names the nearest key."""

from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.workflows.study_settings import Condition, StudySettings, read_study


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(f"data: set.zip\n{text}\n")
    return path


def test_one_line_is_a_study(tmp_path: Path) -> None:
    found = read_study(written(tmp_path, ""))
    assert found.name == "mine"
    assert found.data == tmp_path.resolve() / "set.zip"
    assert (found.folds, found.draws, found.classifier_seeds) == (5, 2, 1)
    assert found.primary.condition == Condition.MIXED


@pytest.mark.parametrize(
    ("text", "primary"),
    [
        ("conditions: [real]", None),
        ("conditions: [real, duplicates]\nprimary: {measure: brier}", None),
        ("conditions: [real, augmentation]\nprimary: {condition: augmentation}", "augmentation"),
        ("conditions: [real, synthetic]", "synthetic"),
        ("task: segment\nconditions: [real]", None),
    ],
)
def test_a_study_without_a_mixture_needs_no_primary(
    tmp_path: Path, text: str, primary: str | None
) -> None:
    assert read_study(written(tmp_path, text)).primary.condition == primary


def test_paths_are_beside_the_file(tmp_path: Path) -> None:
    text = "external: [b.zip:test]\ngenerator: {sets: [s.zip], trained_on: g.csv}"
    found = read_study(written(tmp_path, text))
    folder = tmp_path.resolve()
    assert found.external == [f"{folder}/b.zip:test"]
    assert found.generator.sets == [folder / "s.zip"]
    assert found.generator.trained_on == folder / "g.csv"


def test_the_option_goes_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "generator: {sets: [s.zip], trained_on: g.csv}")
    assert read_study(path, tmp_path / "h.csv").generator.trained_on == tmp_path.resolve() / "h.csv"


def test_networks_are_trained_thrice(tmp_path: Path) -> None:
    found = read_study(written(tmp_path, "classifier: {probe: false, backbone: small}"))
    assert found.classifier_seeds == 3
    assert found.balanced == "sampling"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("conditons: [real]", "unknown setting 'conditons': did you mean 'conditions'"),
        ("primary: {mesure: auroc}", "unknown setting 'primary.mesure': did you mean 'measure'"),
        ("classifier: {bakbone: a}", "'classifier.bakbone': did you mean 'backbone'"),
        ("classifier: {data: a}", "data is decided by the study: leave it out"),
        ("classifier: {seed: 7}", "seed is decided by the study: give seed of the study instead"),
        (
            "classifier: {style: a.zip, probe: false}",
            "lends its style count as seen, and test none",
        ),
        ("task: segment\nsegmenter: {style: a.zip}", "style is decided by the study: leave it out"),
        ("conditions: [real, mixd]", "did you mean 'mixed'"),
        ("conditions: [mixed, synthetic]", "real is missing"),
        ("primary: {condition: synthetic}", "primary.condition: synthetic is none of conditions"),
        ("conditions: [real, mixed]\nprimary: {condition: null}", "is about one of them: name it"),
        ("primary: {condition: real}", "others are compared with real: name another"),
        ("conditions: [real, mixed, real]", "named twice"),
        ("ratios: [0]", "must be greater than 0"),
        ("rule: replace\nratios: [2]", "at most 1"),
        (
            "rule: replace\nratios: [0.5, 1]\nconditions: [real, duplicates, mixed]",
            "none is left",
        ),
        ("primary: {ratio: 3}", "neither chosen nor one of ratios"),
        ("folds: 1", "a number from 2 to 100, split or external"),
        ("folds: external", "name them as external"),
        ("external: [a/x.zip, b/x.zip]", "called alike"),
        (
            "conditions: [real, mixed, augmentation]\nclassifier: {transforms: none, probe: false}",
            "nothing for the condition augmentation",
        ),
        ("generator: {trained_on: g.csv}", "speaks of sets"),
        ("spread: 0.1", "spread: auroc is of all groups together"),
        ("generator: {sets: [a], snapshots: [b]}", "exclude each other"),
        (
            "generator: {init_from: runs/a}",
            "'runs/a': take phantom:skin, phantom:knee or none; other",
        ),
        ("generator: {init_from: 'phantom:knee', sets: [a]}", "init_from is about training"),
    ],
)
def test_slips_are_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match="mine.yaml: ") as refused:
        read_study(written(tmp_path, text))
    assert said in str(refused.value)


def test_shuffled_labels_need_a_mixture_to_copy() -> None:
    given = {"conditions": ["real", "synthetic", "shuffled"]}
    with pytest.raises(UserError, match="shuffled takes as many images as mixed"):
        StudySettings.parse({"data": "a", "primary": {"condition": "synthetic"}, **given})
