"""`synthograph evaluate` as it is typed, with the extractor that needs no file."""

import csv
import io
import json
import shutil
from functools import partial
from pathlib import Path

import pytest

from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import DiskFullError
from synthograph.features import registry
from synthograph.metrics import columns
from synthograph.models.snapshot import load, save_snapshot
from synthograph.results import Evaluation
from synthograph.training.run import create_run
from synthograph.training.setup import make_session, open_data, resolve_run
from synthograph.workflows.evaluation_inputs import EvaluationSource
from synthograph.workflows.requests import EvaluateRequest
from tests.cli.conftest import Typed
from tests.conftest import NVIDIA, make_archive
from tests.metrics.images import Means

NETWORK = NVIDIA / "cond2_rgb_32.pkl"
FAST = ("--metrics", "frechet,coverage,ms_ssim", "--num", "12", "--batch", "6")


@pytest.fixture
def judge(typed: Typed) -> Typed:
    return partial(typed, "evaluate")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A split archive of the classes that the network makes."""
    path = make_archive(tmp_path / "cells.zip", count=60, size=(32, 32), classes=("0", "1"))
    split_archive(path, SplitOptions(test=0.3, val=0.0))
    return path


@pytest.fixture
def run(cells: Path, tmp_path: Path) -> Path:
    """A run directory with a snapshot that was never trained."""
    parts = [{"data": {"cond": True}, "device": "cpu", "precision": "fp32"}]
    config, _ = resolve_run(open_archive(cells), "tiny", parts)
    session = make_session(config, open_data(config))
    folder = create_run(tmp_path / "runs", config, "cells")
    save_snapshot(folder.snapshots, session.info, session.state.ema, session.state.networks)
    folder.close()
    return folder.path


def test_a_run_is_judged_by_its_test_images(judge: Typed, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "results.json"
    code, text, error = judge(run, *FAST, "--out", out)
    assert code == 0, error
    assert "reference: cells.zip:test, 18 images of 9 groups" in text
    assert "training images: cells.zip:train, 42 images of 21 groups" in text
    assert "generated: generator-000000.safetensors, 12 images" in text
    assert "real vs real" in text and "class 1: " in text and "vs train" in text
    (line,) = map(json.loads, (run / "evaluations.jsonl").read_text().splitlines())
    assert line["metric"] == "evaluation" and line["snapshot"] == "generator-000000.safetensors"
    first = line["entries"][0]
    assert first["name"] == "frechet" and first["value"] > 0 and not first["published"]
    assert first["provenance"]["features"]["extractor"] == "random-vgg16"
    assert first["provenance"]["features"]["indicative"] is True
    assert first["provenance"]["real"]["split"] == "test"
    assert first["provenance"]["generated"]["snapshot"] == line["snapshot_sha256"]
    assert first["train"]["n_real"] <= 18 and first["gap"] is not None
    assert json.loads(out.read_text())["results"] == [line]
    code, _, error = judge(run, *FAST, "--out", out)
    assert code == 2 and "exists already" in error
    (tmp_path / "empty").mkdir()
    code, _, error = judge(run, *FAST, "--dry-run", "--out", tmp_path / "empty")
    assert code == 2 and "is a folder: name a file, such as --out" in error
    code, again, error = judge(run, *FAST)
    assert code == 0, error
    lines = [json.loads(text) for text in (run / "evaluations.jsonl").read_text().splitlines()]
    assert lines == [line, line], "the same call gives the same numbers"


def test_patients_of_another_archive_with_the_same_names_are_told(
    judge: Typed, run: Path, tmp_path: Path
) -> None:
    options = {"count": 24, "size": (32, 32), "classes": ("0", "1"), "seed": 5}
    other = make_archive(tmp_path / "other.zip", namespace="elsewhere", **options)  # type: ignore[arg-type]
    code, text, error = judge(run, "--real", other, *FAST)
    assert code == 0, error
    alike = "groups of other.zip are called as groups that were trained on, in cells.zip"
    assert alike in text and "cannot be checked" not in text
    (tmp_path / "elsewhere").mkdir()
    other = other.rename(tmp_path / "elsewhere" / "other.zip")
    cells = (tmp_path / "cells.zip").rename(tmp_path / "elsewhere" / "cells.zip")
    assert alike in judge(run, "--real", other, *FAST, "--dry-run")[1], "moved with the other"
    cells.rename(tmp_path / "elsewhere" / "away.zip")
    make_archive(tmp_path / "cells.zip", count=8, size=(32, 32), namespace="another")
    text = judge(run, "--real", other, *FAST, "--dry-run")[1]
    assert alike not in text
    words = "cells.zip, the training archive, is not where it was at training, nor beside other.zip"
    assert words in " ".join(text.split())


def test_by_default_a_trained_network_and_a_random_one_judge(
    judge: Typed, run: Path, trained_features: None
) -> None:
    code, text, error = judge(run, "--metrics", "frechet,coverage", "--num", "10")
    assert code == 0, error
    (line,) = map(json.loads, (run / "evaluations.jsonl").read_text().splitlines())
    features = [entry["provenance"]["features"] for entry in line["entries"]]
    found = {each["extractor"]: each["indicative"] for each in features}
    assert found == {"efficientnet-lite0": False, "random-vgg16": True}
    assert "efficientnet-lite0" in text and "random-vgg16" in text


def test_what_was_trained_on_is_refused_by_name(judge: Typed, run: Path, cells: Path) -> None:
    code, _, error = judge(run, "--real", f"{cells}:train", *FAST)
    assert code == 2 and "21 of its 21 groups were trained on, such as 'P" in error
    snapshot = run / "snapshots" / "generator-000000.safetensors"
    code, _, error = judge("--network", snapshot, "--real", f"{cells}:train", *FAST)
    assert code == 2 and "were trained on" in error
    assert not (run / "metrics.jsonl").exists()


def test_of_a_mixture_the_synthetic_images_are_judged(
    judge: Typed, typed: Typed, run: Path, cells: Path, tmp_path: Path
) -> None:
    made, mixed = tmp_path / "made.zip", tmp_path / "mixed.zip"
    assert typed("generate", "--network", run, "--outdir", made, "--num", "20")[0] == 0
    assert typed("mix", cells, "--synthetic", made, "-o", mixed, "--add", "5")[0] == 0
    real = sum(row.real for row in open_archive(mixed).rows)
    fake = len(open_archive(mixed).rows) - real
    assert real and fake
    code, text, error = judge("--synthetic", mixed, "--real", cells, "--metrics", "coverage")
    assert code == 0, error
    words = f"mixed.zip: its {real} real images are left out, the {fake} synthetic ones count"
    assert words in " ".join(text.split()) and f"mixed.zip, {fake} images" in text


def test_options_without_effect_are_refused(judge: Typed, run: Path) -> None:
    for words, said in (
        (("--metrics", "spectrum", "--features", "random-vgg16"), "--features has no effect"),
        (("--metrics", "fid20_full", "--num", "5"), "--num is of measures of our own"),
    ):
        code, _, error = judge(run, *words)
        assert code == 2 and said in error


def test_generated_archives_are_judged_and_know_their_network(
    judge: Typed, typed: Typed, run: Path, cells: Path, tmp_path: Path
) -> None:
    made = tmp_path / "made.zip"
    code, _, error = typed("generate", "--network", run, "--outdir", made, "--num", "20")
    assert code == 0, error
    code, text, error = judge("--synthetic", made, "--real", cells, "--metrics", "coverage")
    assert code == 0, error
    assert "share, synthetic / train" in text
    code, _, error = judge("--synthetic", made, "--real", f"{cells}:train")
    assert code == 2 and "were trained on" in error
    code, _, error = judge("--synthetic", cells, "--real", made)
    assert code == 2 and "is synthetic (20 of 20 images)" in error


def test_images_of_another_hospital_are_no_training_images(
    judge: Typed, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = {"count": 60, "size": (32, 32), "classes": ("0", "1"), "seed": 9, "namespace": "else"}
    other = make_archive(tmp_path / "other.zip", **kind)  # type: ignore[arg-type]
    split_archive(other, SplitOptions(test=0.3, val=0.0))
    snapshot = run / "snapshots" / "generator-000000.safetensors"
    common = ("--network", snapshot, "--real", f"{other}:test")
    code, text, error = judge(*common, *FAST)
    assert code == 0, error
    assert "training images" not in text and "reference: other.zip:test" in text
    monkeypatch.setattr(registry, "extractor", lambda name, **_: Means(name))
    code, _, error = judge(*common, "--metrics", "fid12_full")
    assert code == 2 and "holds no image that the generator was trained on" in error
    code, _, error = judge(*common, "--metrics", "path_length_20")
    assert code == 2 and "takes labels from the images that the generator was trained on" in error


def test_a_new_split_does_not_change_what_the_generator_saw(run: Path, cells: Path) -> None:
    snapshot = load(run / "snapshots" / "generator-000000.safetensors")

    def seen() -> list[str]:
        source = EvaluationSource(EvaluateRequest(run=run), open_archive(cells), None, snapshot)
        return sorted(row.file for row in source.train.rows)

    before = seen()
    split_archive(cells, SplitOptions(test=0.3, val=0.0, seed=7), force=True)
    again = [row.file for row in open_archive(cells).rows if row.split == "train"]
    assert seen() == before != sorted(again)


def test_what_stands_for_unknown_training_images_is_said(judge: Typed, cells: Path) -> None:
    code, text, error = judge("--network", NETWORK, "--real", cells, *FAST)
    assert code == 0, error
    assert "note: cells.zip:train stands for what the generator was trained on" in text


def test_a_folder_of_any_generator(judge: Typed, typed: Typed, cells: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    command = ("generate", "--network", NETWORK, "--outdir", folder, "--seeds", "0-5")
    assert typed(*command)[0] == 0
    code, text, error = judge("--synthetic", folder, "--real", cells, "--metrics", "coverage")
    assert code == 0, error
    assert "cannot be checked" in text
    assert "synthetic images have no label, so all of them are compared (coverage, class 0" in text


def test_missing_weights_are_skipped_or_end_it(judge: Typed, run: Path) -> None:
    both = ("--features", "random-vgg16,inception", "--metrics", "coverage,fid12_full")
    code, text, error = judge(run, *both, "--num", "12")
    assert code == 0, error
    assert "skipped: features inception: the weights of inception are not here" in text
    assert "skipped: fid12_full: the weights of inception" in text
    code, _, error = judge(run, "--metrics", "fid12_full")
    assert code == 2 and "synthograph weights get inception" in error
    for names in ("spectrum,fid12_full", "spectrum,inception_score"):
        code, text, error = judge(run, "--metrics", names, "--num", "12")
        assert code == 0 and f"skipped: {names.partition(',')[2]}" in text, error
    code, text, error = judge(run, "--features", "inception", "--num", "12")
    assert code == 0 and "skipped: features inception" in text and "spectrum" in text, error


def test_a_measure_of_synthetic_images_alone(judge: Typed, run: Path) -> None:
    code, text, error = judge(run, "--metrics", "noise_share", "--num", "12")
    assert code == 0, error
    assert "all: 12 synthetic" in text and "0 real" not in text and "noise_share" in text


def test_features_in_parts_are_those_of_one_process(
    judge: Typed, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "BLOCK", 6)
    found = []
    for folder in ("alone", "parts"):
        monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path / folder))
        if folder == "parts":
            for part in ("2/2", "1/2"):  # in any order
                code, text, error = judge(run, *FAST, "--part", part)
                assert code == 0, error
                assert f"part {part}: features of " in text
            assert list((tmp_path / folder / "features").glob("*.6-12.npy"))
        code, _, error = judge(run, *FAST, "--out", tmp_path / f"{folder}.json")
        assert code == 0, error
        files = sorted((tmp_path / folder / "features").iterdir())
        found.append([(file.name, file.read_bytes()) for file in files])
    assert found[0] == found[1]
    assert (tmp_path / "alone.json").read_bytes() == (tmp_path / "parts.json").read_bytes()


def test_the_path_length_of_a_generator(judge: Typed, run: Path, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        out = tmp_path / f"{name}.json"
        code, text, error = judge(run, "--metrics", "path_length_20", "--out", out)
        assert code == 0 and "path_length_20" in text, error
        (line,) = json.loads(out.read_text())["results"]
        assert line["published"] is False and line["results"]["path_length_20"] > 0
        assert line["provenance"]["generated"]["snapshot"] == line["snapshot_sha256"]
        found.append(out.read_bytes())
    assert found[0] == found[1]


def test_what_is_noticed_on_these_images(
    judge: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "extractor", lambda name, **options: Means())
    real, fake = (
        make_archive(tmp_path / f"{name}.zip", count=60, size=(16, 16), classes=("0", "1"))
        for name in ("real", "fake")
    )
    out = tmp_path / "out.json"
    common = ("--synthetic", fake, "--real", real, "--metrics", "kernel", "--sensitivity")
    code, text, error = judge(*common, "--out", out)
    assert code == 0, error
    assert "What means notices on these real images:" in text and "few images repeated" in text
    line = json.loads(out.read_text())["results"][-1]
    assert line["metric"] == "sensitivity" and line["extractor"] == "means"
    assert line["sensitivity"]["images"] == 60 and line["sensitivity"]["cells"]


def test_a_dry_run_measures_nothing(judge: Typed, run: Path, tmp_path: Path) -> None:
    code, text, _ = judge(run, "--dry-run", "--out", tmp_path / "x.json")
    assert code == 0 and "1000 images" in text and "of: all, class 0, class 1" in text
    assert not (run / "metrics.jsonl").exists() and not (tmp_path / "x.json").exists()


def test_what_cannot_be_written_is_printed_first(
    judge: Typed, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Evaluation, path: Path) -> None:
        raise DiskFullError(f"{path}: no space left on the device")

    monkeypatch.setattr(Evaluation, "save", full)
    code, text, error = judge(run, *FAST, "--out", tmp_path / "x.json")
    assert (code, error) == (5, f"error: {tmp_path}/x.json: no space left on the device\n")
    assert "real vs real" in text and "class 1: " in text
    assert "x.json" not in text


def test_a_run_to_which_nothing_can_be_added_is_refused_early(judge: Typed, run: Path) -> None:
    (run / "evaluations.jsonl").mkdir()
    code, text, error = judge(run, *FAST)
    assert code == 2 and "name its snapshot with --network, and a file with --out" in error
    assert text == ""
    snapshot = next((run / "snapshots").glob("*.safetensors"))
    words = ("--network", snapshot, "--real", run.parent.parent / "cells.zip:test")
    assert judge(*words, *FAST, "--out", run.parent / "x.json")[0] == 0


def test_levels_of_a_column(judge: Typed, cells: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked"
    shutil.unpack_archive(cells, folder)
    manifest = folder / "manifest.csv"
    rows = list(csv.DictReader(io.StringIO(manifest.read_text())))
    lines = [",".join([*rows[0], "site"])]
    lines += [",".join([*row.values(), "NS"[i // 4 % 2]]) for i, row in enumerate(rows)]
    manifest.write_text("\n".join(lines) + "\n")
    common = ("--network", NETWORK, "--real", folder, "--num", "12", "--metrics", "coverage")
    code, text, error = judge(*common, "--by", "site")
    assert code == 0, error
    assert "site N: " in text and "site S: " in text
    code, _, error = judge(*common, "--by", "sites")
    assert code == 2 and "did you mean 'site'" in error


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ((), "0 things to evaluate"),
        (("RUN", "--network", NETWORK), "2 things to evaluate"),
        (("--network", NETWORK), "--real is missing"),
        (("--network", NETWORK, "--real", "CELLS:val"), "no image is in split 'val'"),
        (("--network", NETWORK, "--real", "SMALL"), "images of 16x16 pixels"),
        (("--network", NETWORK, "--real", "OTHER"), "is of class 'dark', which cond2_rgb_32.pkl"),
        (("--network", NETWORK, "--real", "NONE"), "has no label"),
        (("--network", NETWORK, "--real", "FEW"), "4 real images; at least 10"),
        (("--network", NETWORK, "--real", "CELLS", "--num", "5"), "5 synthetic images"),
        (("RUN", "--metrics", "ppl2_wend"), "nothing can be measured: skipped: ppl2_wend"),
        (("--synthetic", "CELLS", "--real", "CELLS", "--metrics", "ppl2_wend"), "of a generator"),
        (("RUN", "--features", "dino"), "did you mean"),
        (("RUN", "--precision", "fp16"), "'fp16' is unknown: did you mean 'bf16'"),
        (("--synthetic", "CELLS", "--real", "CELLS", "--metrics", "is50k"), "inception"),
        (("--synthetic", "CELLS", "--real", "CELLS"), "holds the real images of cells.zip"),
        (("--synthetic", "CELLS", "--real", "CELLS", "--num", "5"), "--num is for images yet to"),
        (("RUN", "--metrics", "path_length_9", "--by", "site"), "--by goes with measures of our"),
        (("RUN", "--metrics", "spectrum", "--features", "dino"), "did you mean"),
        (("RUN", "--metrics", "inception_score"), "nothing can be measured"),
        (
            ("--synthetic", "CELLS", "--real", "CELLS", "--metrics", "noise_share"),
            "name a network that has some (--network)",
        ),
        (("RUN", "--metrics", "spectrum", "--sensitivity"), "our own measures of features"),
        (("RUN", "--metrics", "path_length_9", "--sensitivity"), "our own measures of features"),
        (("RUN", "--num", "12", "--sensitivity"), "18 images of 9 groups: sensitivity needs"),
    ],
)
def test_bad_input_ends_in_one_line(
    judge: Typed, run: Path, cells: Path, tmp_path: Path, words: tuple[object, ...], part: str
) -> None:
    same = {"size": (32, 32), "count": 20}
    archives = {
        "SMALL": {"classes": ("0", "1")},
        "OTHER": same,
        "NONE": {**same, "classes": ()},
        "FEW": {**same, "count": 4, "classes": ("0", "1")},
    }
    names = {"RUN": str(run), "CELLS": str(cells), "CELLS:val": f"{cells}:val"}
    for name in set(words) & set(archives):
        path = tmp_path / f"{name}.zip"
        names[str(name)] = str(make_archive(path, **archives[str(name)]))  # type: ignore[arg-type]
    code, _, error = judge(*(names.get(str(word), word) for word in words))
    assert code == 2 and part in error, error
    assert len(error.strip().splitlines()) == 1


def test_published_names_are_written_under_their_keys(
    judge: Typed, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stub(name: str, **_: object) -> Means:
        return Means(name)

    monkeypatch.setattr(registry, "extractor", stub)
    names = "fid12_full,kid10_full"
    code, text, error = judge(run, "--metrics", names)
    assert code == 0, error
    assert "published: training images: cells.zip:train, 42 images" in text
    assert "published: generated: generator-000000.safetensors, 12 images" in text
    assert "reference:" not in text, "nothing of our own was asked for"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["metric"] for line in lines] == names.split(",")
    keys = [key for line in lines for key in line["results"]]
    assert keys == ["fid12_full", "kid10_full"]
    assert all(line["published"] and line["kimg"] == 0 for line in lines)
    assert [line["provenance"]["generated"]["n"] for line in lines] == [12, 10]
    assert {line["provenance"]["real"]["n"] for line in lines} == {42}
    assert {line["provenance"]["real"]["split"] for line in lines} == {"train"}
    assert {line["provenance"]["features"]["extractor"] for line in lines} == {"inception"}


def test_older_names_see_the_flips_that_training_saw(
    judge: Typed, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "extractor", lambda name, **_: Means(name))
    parts = [{"data": {"mirror": True}, "device": "cpu", "precision": "fp32"}]
    config, _ = resolve_run(open_archive(cells), "tiny", parts)
    session = make_session(config, open_data(config))
    path = save_snapshot(tmp_path, session.info, session.state.ema, session.state.networks)
    out = tmp_path / "out.json"
    common = ("--network", path, "--real", cells, "--out", out)
    code, _, error = judge(*common, "--metrics", "fid50,fid12_full")
    assert code == 0, error
    older, full = (line["provenance"]["real"] for line in json.loads(out.read_text())["results"])
    assert older["mirrored"] is True and older["n"] == 50
    assert "mirrored" not in full and full["n"] == 42
