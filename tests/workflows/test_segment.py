"""Segmenters through their workflows: scores, refusals of what was seen, predicted masks."""

import csv
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import synthograph as sg
from synthograph import results
from synthograph.archive.batches import open_rows
from synthograph.archive.manifest import Row
from synthograph.archive.masked import MaskedImages, masked_images
from synthograph.archive.reader import ArchiveInfo, decode_png, encode_png, open_archive
from synthograph.archive.split import SplitOptions, rewrite, split_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.tensors import read_document, read_tensors, write_tensors
from synthograph.downstream import segmenter
from synthograph.downstream.segmenter import SegmenterInfo
from synthograph.stats.masks import mask_measure
from synthograph.workflows import segment_evaluate, segment_train
from synthograph.workflows.downstream_requests import SegmentTrainRequest
from synthograph.workflows.trained import training_parts

pytest.importorskip("monai", reason="monai is missing")

QUICK = {"steps": 40, "batch": 8, "width": 8, "every": 20, "rate": 1e-2, "precision": "fp32"}
SHAPE = (18, 22)
VALUES = (0, 1, 2)


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc with a dark core on noise, 0..1, and its classes."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    centre = rng.uniform(6, 12, 2)
    distance = np.hypot(y - centre[0], x - centre[1])
    classes = (distance < 5.5).astype(np.uint8) + (distance < 2.5)
    return np.array((0.3, 0.9, 0.1))[classes] + rng.normal(0, 0.05, SHAPE), classes


def discs(
    path: Path,
    *,
    count: int = 40,
    seed: int = 0,
    modalities: dict[str, int] | None = None,
    bits: int = 8,
    values: tuple[int, ...] = VALUES,
    change: Callable[[int, np.ndarray], np.ndarray | None] = lambda number, mask: mask,
    namespace: str = "discs",
) -> Path:
    """An archive of discs with masks; two images a patient, site a or b."""
    modalities = modalities or {"image": 3}
    rng, top = np.random.default_rng(seed), 2**bits - 1
    writer = ArchiveWriter(path, {"test": seed})
    for number in range(count):
        image, classes = draw(rng)
        pixels = {
            name: np.repeat((image.clip(0, 1) * top)[:, :, None], channels, 2)
            for name, channels in modalities.items()
        }
        row = Row("", None, f"P{number // 2}", columns={"site": "ab"[number // 2 % 2]})
        kind = np.uint8 if bits == 8 else np.uint16
        mask = change(number, np.array(values, np.uint8)[classes])
        writer.add([encode({n: p.astype(kind) for n, p in pixels.items()}, mask, row)])
    spec = ImageSpec(height=SHAPE[0], width=SHAPE[1], modalities=modalities, bits=bits)
    writer.finish(ArchiveInfo(spec=spec, namespace=namespace))
    split_archive(path, SplitOptions(test=0.3, val=0.2))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("segment")
    data, out = discs(folder / "discs.zip"), folder / "s.safetensors"
    sg.segment_train(data=data, out=out, classes="back,rim,core", **QUICK)
    return data, out


def test_discs_are_learned_and_scored(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = trained
    files = {
        "out": tmp_path / "e.json",
        "table": tmp_path / "t.csv",
        "overlays": tmp_path / "o.png",
    }
    made = sg.segment_evaluate(model=model, data=str(data), by="site", **files)
    found = made.evaluation
    fit = found.model.fit
    assert fit is not None and fit.settings["steps"] > 0 and "transforms" in fit.settings
    assert fit.start == "begins with random numbers"
    assert fit.environments == (found.environment,)
    assert found.score("dice").value > 0.8
    assert found.score("dice", "core").interval is not None
    assert found.score("dice", "back") is None
    assert found.score("hausdorff95", "rim").value < 5
    assert {each.level for each in found.scores if each.column} == {"a", "b"}
    assert {each.unit for each in found.scores} == {"image", "group"}
    assert found.cases[0].both == found.images and found.cases[0].neither == 0
    assert results.load(files["out"]) == found
    assert "diagonal" in str(made) and "false alarm" in str(made)
    with files["table"].open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * found.images
    assert all(row["source"] for row in table)
    of_core = [float(row["dice"]) for row in table if row["class"] == "core"]
    assert np.mean(of_core) == pytest.approx(found.score("dice", "core").value, abs=1e-4)
    height, width, channels = decode_png(files["overlays"].read_bytes(), "o.png").shape
    assert (channels, width > 3 * SHAPE[1]) == (3, True)


def test_a_measure_of_a_class_that_validation_lacks_is_refused(tmp_path: Path) -> None:
    data = discs(tmp_path / "discs.zip")
    archive = open_archive(data)
    held = {row.file for row in archive.rows if row.split == "val"}
    image = masked_images(open_rows(f"{data}:val"), Silent().track(""))
    assert held and 2 in image.values
    emptied = MaskedImages(image.rows, np.where(image.masks == 2, 0, image.masks), 0)
    names = ["back", "rim", "core"]
    with pytest.raises(UserError, match="--measure dice:core: no validation mask holds core"):
        segment_train._refuse_unmeasured(mask_measure("dice:core", names), emptied, names)
    segment_train._refuse_unmeasured(mask_measure("dice", names), emptied, names)


def test_images_without_any_class_stand_apart_on_the_overlays() -> None:
    order = segment_evaluate.shown_order(torch.tensor([0.5, torch.nan, 0.9, torch.nan, 0.1]))
    assert order == [4, 0, 2]
    assert segment_evaluate.shown_order(torch.full((2,), torch.nan)) == [0, 1]


def test_the_file_says_what_it_saw(trained: tuple[Path, Path]) -> None:
    data, model = trained
    info = segmenter.load(model, sg_cpu()).info
    seen = {row.group for row in open_archive(data).rows if row.split in ("train", "val")}
    assert len(info.group_digests) == len(seen)
    assert info.classes == ["back", "rim", "core"]
    assert sum(info.shares) == pytest.approx(1)
    assert info.counts["synthetic"] == 0


def sg_cpu() -> object:
    import torch

    return torch.device("cpu")


def test_a_segmenter_is_inspected(trained: tuple[Path, Path]) -> None:
    facts = sg.inspect(trained[1]).facts
    assert (facts["kind"], facts["classes"]) == ("segmenter", ["back", "rim", "core"])
    training = facts["training"]
    assert training["groups seen"] > 0 and training["data"] == "discs.zip"
    assert training["settings"]["optimiser"] == "adamw" and "PyTorch" in training["environments"]
    document = read_document(trained[1])
    for name in ("settings", "environments"):
        del document[name]
    assert SegmenterInfo.parse(document).environments == [], "older files are read"


@pytest.mark.parametrize("split", ["train", "val"])
def test_patients_that_it_saw_are_refused_by_name(trained: tuple[Path, Path], split: str) -> None:
    data, model = trained
    with pytest.raises(UserError, match=r"were seen by s\.safetensors, such as 'P"):
        sg.segment_evaluate(model=model, data=f"{data}:{split}")


def test_copies_and_leaky_generators_are_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    other = discs(tmp_path / "renamed.zip", namespace="other")
    archive = open_archive(other)
    rewrite(archive, [replace(row, group=f"new{row.group}", split=None) for row in archive.rows])
    with pytest.raises(UserError, match="equal images that s.safetensors saw"):
        sg.segment_evaluate(model=model, data=str(other))
    tensors, document = read_tensors(model)
    document["snapshots"] = [{"group_digests": list(open_rows(f"{data}:test").groups)[:1]}]
    leaky = tmp_path / "leaky.safetensors"
    write_tensors(leaky, tensors, document)
    with pytest.raises(UserError, match="seen by a generator of the training images"):
        sg.segment_evaluate(model=leaky, data=str(data))
    write_tensors(leaky, tensors, {**document, "task": "classify"})
    with pytest.raises(UserError, match="is no segmenter"):
        sg.segment_evaluate(model=leaky, data=str(data))
    write_tensors(leaky, tensors, {**document, "width": 5})
    with pytest.raises(UserError, match="tensor"):
        sg.segment_evaluate(model=leaky, data=str(data))


def test_predicted_masks_hold_the_values_of_training(tmp_path: Path) -> None:
    """16 bits, two modalities, values with gaps, ignored pixels."""

    def some_ignored(number: int, mask: np.ndarray) -> np.ndarray:
        mask[:2, :2] = 255
        return mask

    options = {"modalities": {"t1": 1, "t2": 1}, "bits": 16, "values": (0, 100, 7)}
    data = discs(tmp_path / "d.zip", change=some_ignored, **options)
    out = tmp_path / "s.safetensors"
    names = "back=0,rim=100,core=7"
    sg.segment_train(data=data, out=out, classes=names, network="residual-unet", **QUICK)
    found = sg.segment_evaluate(model=out, data=str(data)).evaluation
    assert found.score("dice").value > 0.8 and found.ignored > 0
    pictures = tmp_path / "pictures"
    made = sg.segment_predict(
        model=out, data=f"{data}:test", out=tmp_path / "masks", pictures=pictures
    )
    files = sorted((tmp_path / "masks").rglob("*.png"))
    assert len(files) == made.images == len(sorted(pictures.rglob("*.png")))
    masks = np.stack([decode_png(file.read_bytes(), file.name) for file in files])
    assert set(np.unique(masks)) == {0, 7, 100} and masks.shape[1:3] == SHAPE
    archive = open_archive(data)
    rows = {row.file: row for row in archive.rows}
    truth = np.stack(
        [archive.read_mask(rows[str(f.relative_to(tmp_path / "masks"))]) for f in files]
    )
    assert (masks[..., 0] == truth).mean() > 0.9


def test_a_training_stopped_before_headers_had_these_keys_goes_on(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    request = SegmentTrainRequest.parse({"data": trained[0], "out": tmp_path / "s", **QUICK})
    job = segment_train.job_of(request, *training_parts(open_archive(trained[0])), Silent())
    told = {"settings": {"rate": 1}, "environments": []}
    other = replace(job.empty, info=job.empty.info.model_copy(update=told))
    assert replace(job, empty=other).task().key == job.task().key
    lean = {name: value for name, value in job.empty.info.tree().items() if name not in told}
    info = job.train.rows.archive
    said = f"{info.images_hash}/{info.manifest_hash}/{lean}/{job.transforms.key}/{job.measure.name}"
    assert job.task().key == hashlib.sha256(said.encode()).hexdigest()


def test_a_stopped_training_goes_on_to_the_same_weights(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synthograph.downstream import fitting

    data, _ = trained
    options = {**QUICK, "steps": 6, "every": 2}
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    sg.segment_train(data=data, out=whole, **options)
    advance, done = fitting._Run.advance, []

    def fail(run: fitting._Run) -> None:
        if len(done) == 3:
            run.save()
            raise KeyboardInterrupt
        done.append(1)
        advance(run)

    monkeypatch.setattr(fitting._Run, "advance", fail)
    with pytest.raises(KeyboardInterrupt):
        sg.segment_train(data=data, out=parts, **options)
    monkeypatch.setattr(fitting._Run, "advance", advance)
    assert not parts.exists() and len(list(tmp_path.glob("*.unfinished*"))) == 1
    sg.segment_train(data=data, out=parts, **options)
    assert whole.read_bytes() == parts.read_bytes()
    assert not list(tmp_path.glob("*.unfinished*"))


def test_what_cannot_be_trained_is_refused_at_once(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "s.safetensors"

    def refused(name: str, words: str, classes: str = "", **options: object) -> None:
        data = discs(tmp_path / name, **options)
        with pytest.raises(UserError, match=words):
            sg.segment_train(data=data, out=out, classes=classes, **QUICK)

    refused("none.zip", "none of its 24 images has a mask", change=lambda n, m: None, count=48)
    refused("gaps.zip", r"values 0, 128, 250: .*--classes background=0", values=(0, 128, 250))
    refused("flat.zip", "one value only", change=lambda n, m: np.zeros_like(m))
    refused("full.zip", "add --classes background=0,object=255", values=(0, 255, 255))
    refused("odd.zip", "holds 2, known mask values are 0, 1 and 255", "back,all")
    refused("lack.zip", "no mask holds class 'more'", "back,rim,core,more")
    refused("word.zip", "--classes back=x: give NAME=VALUE", "back=x")
    refused("twice.zip", "given twice", "back,rim=0")
    unsplit = discs(tmp_path / "whole.zip")
    archive = open_archive(unsplit)
    rewrite(archive, [replace(row, split=None) for row in archive.rows])
    with pytest.raises(UserError, match="has no images in split train: 'synthograph split"):
        sg.segment_train(data=unsplit, out=out, **QUICK)
    synthetic = [
        replace(row, split="val", origin="synthetic") if n < 4 else replace(row, split="train")
        for n, row in enumerate(archive.rows)
    ]
    rewrite(archive, synthetic)
    with pytest.raises(UserError, match="is synthetic"):
        sg.segment_train(data=unsplit, out=out, **QUICK)
    with pytest.raises(UserError, match="network"):
        sg.segment_train(data=trained[0], out=out, network="unett", **QUICK)
    with pytest.raises(UserError, match="^--out is missing: segmenter to be written"):
        sg.segment_train(data=trained[0], **QUICK)
    assert not out.exists()


def test_images_without_masks_are_counted(tmp_path: Path) -> None:
    data = discs(tmp_path / "d.zip", change=lambda n, m: None if n % 10 == 0 else m)
    plan = sg.segment_train(data=data, dry_run=True)
    assert any("have no mask and are left out" in note for note in plan.notes)
    assert list(plan.classes) == ["0", "1", "2"]
    assert "validations take at most about" in plan.notes[-1], "a dry run tells the time"


def test_other_modalities_and_values_are_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    _, model = trained
    grey = discs(tmp_path / "g.zip", modalities={"image": 1}, seed=3, namespace="g")
    for option in ("out", "table", "overlays"):
        with pytest.raises(UserError, match=rf"^--{option} \S+: name it e\.\w+$"):
            sg.segment_evaluate(model=model, data="g.zip", **{option: Path("e.txt")})
    with pytest.raises(UserError, match="the segmenter was trained on"):
        sg.segment_predict(model=model, data=str(grey), out=tmp_path / "masks")
    odd = discs(tmp_path / "o.zip", values=(0, 1, 9), seed=4, namespace="o")
    with pytest.raises(UserError, match=r"the mask of .* holds 9, known mask values are 0, 1, 2"):
        sg.segment_evaluate(model=model, data=str(odd))


def test_files_of_a_folder_get_masks_of_their_names(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    archive, folder = open_archive(data), tmp_path / "new" / "deep"
    folder.mkdir(parents=True)
    rows = [row for row in archive.rows if row.split == "test"][:3]
    for number, row in enumerate(rows):
        png = encode_png(archive.read(row).transpose(1, 2, 0))
        (folder / f"cell{number}.png").write_bytes(png)
    made = sg.segment_predict(model=model, data=str(tmp_path / "new"), out=tmp_path / "masks")
    names = [f"cell{number}.png" for number in range(3)]
    found = sorted((tmp_path / "masks").rglob("*.png"))
    assert [path.name for path in found] == names and made.images == 3
    for path, row in zip(found, rows, strict=True):
        mask = decode_png(path.read_bytes(), path.name)[:, :, 0]
        assert (mask == archive.read_mask(row)).mean() > 0.9
    with (tmp_path / "masks" / "masks.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in table] == names
    assert [tmp_path / "masks" / row["mask"] for row in table] == found
