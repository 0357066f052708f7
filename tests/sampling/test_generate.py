"""Generation: the same image for a seed whatever the batch, and archives that tell their origin."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import synthograph
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.parts import Part
from synthograph.archive.reader import open_archive
from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition, NoiseMode, TruncationCenter
from synthograph.models.registry import family, parse_model
from synthograph.models.snapshot import Snapshot, SnapshotInfo, load, save_snapshot
from synthograph.ops.pixels import to_pixels
from synthograph.results.provenance import ImageRecord
from synthograph.sampling.generate import (
    FileKind,
    ImageRequest,
    choose_classes,
    draw_contact_sheet,
    generate,
    generate_archive,
    generate_files,
    jobs_in_turn,
    jobs_of,
)
from synthograph.sampling.seeds import latents, parse_seeds
from tests.conftest import NVIDIA

MODEL = {"family": "stylegan2", "channel_base": 64, "channel_max": 8, "z_dim": 8, "w_dim": 8}


def make_snapshot(
    folder: Path,
    *,
    bits: int = 8,
    classes: tuple[str, ...] = ("a b", "c/d"),
    width: int | None = None,
    size: tuple[int, int] = (8, 8),
    **settings: object,
) -> Snapshot:
    modalities = {"image": 1} if bits == 16 else {"vis": 3, "nir": 1}
    spec = ImageSpec(height=size[0], width=size[1], modalities=modalities, bits=bits)
    torch.manual_seed(0)
    width = len(classes) if width is None else width
    condition = Condition(classes, width)
    model = {**MODEL, **settings}
    networks = family("stylegan2").build(spec, condition, parse_model(model))
    info = SnapshotInfo(
        family="stylegan2",
        config={"model": model},
        spec=spec,
        classes=list(classes),
        label_width=width,
        invariances=["mirror"],
        group_digests=["00"],
    )
    return load(save_snapshot(folder, info, networks.generator, networks))


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return make_snapshot(tmp_path / "snapshots")


def pixels(snapshot: Snapshot, request: ImageRequest) -> np.ndarray:
    return np.stack([i.pixels for part in generate(snapshot, request) for i in part])


def test_batches_do_not_change_images(snapshot: Snapshot) -> None:
    seeds, classes = list(range(5)), ["a b", "c/d"]
    one = pixels(snapshot, ImageRequest(jobs_of(seeds, classes), batch=1))
    four = pixels(snapshot, ImageRequest(jobs_of(seeds, classes), batch=4))
    assert np.abs(one.astype(int) - four).max() <= 1
    assert len(np.unique(one.reshape(10, -1), axis=0)) == 10


def test_equal_to_the_published_image_of_a_seed() -> None:
    """z of numpy's RandomState(seed), pixel = x * 127.5 + 128, cut to a byte."""
    snapshot = synthograph.load(NVIDIA / "cond2_rgb_32.pkl")
    z = np.random.RandomState(3).randn(1, 48)
    np.testing.assert_array_equal(latents([3], 48).numpy(), z.astype(np.float32))
    label = torch.eye(2)[1:]
    raw = snapshot.generator(torch.from_numpy(z).float(), label, noise_mode="const")
    expected = (raw * 127.5 + 128).clamp(0, 255).to(torch.uint8).detach().numpy()
    got = pixels(snapshot, ImageRequest(jobs_of([3], ["1"])))
    assert np.abs(got.astype(int) - expected).max() <= 1


def test_truncation_pulls_to_the_mean(snapshot: Snapshot) -> None:
    request = ImageRequest(jobs_of(range(6), ["a b"]), truncation=0)
    images = pixels(snapshot, request)
    assert (images == images[0]).all()


def test_truncation_to_the_class(snapshot: Snapshot) -> None:
    jobs = jobs_of(range(3), ["a b", "c/d"])
    images = pixels(snapshot, ImageRequest(jobs, truncation=0, center=TruncationCenter.CLASS))
    assert (images[:3] == images[0]).all()
    assert (images[3:] == images[3]).all()
    assert (images[0] != images[3]).any(), "each class has a mean of its own"
    alone = pixels(snapshot, ImageRequest(jobs[4:], truncation=0, center=TruncationCenter.CLASS))
    assert np.abs(alone[0].astype(int) - images[4]).max() <= 1


def test_jobs() -> None:
    assert jobs_of([1, 2], []) == [(1, None), (2, None)]
    assert jobs_in_turn(3, ["x", "y"]) == [(0, "x"), (1, "y"), (2, "x")]


def test_jpeg(snapshot: Snapshot, tmp_path: Path) -> None:
    request = ImageRequest(jobs_of([0], ["a b"]))
    (path,) = generate_files(snapshot, request, tmp_path / "out", kind=FileKind.JPEG)
    assert path.name == "seed0000.jpeg"
    with Image.open(path) as image:
        assert image.format == "JPEG"
    deep = make_snapshot(tmp_path / "deep", bits=16, classes=())
    with pytest.raises(UserError, match="16: use png"):
        generate_files(deep, ImageRequest(jobs_of([0], [])), tmp_path / "d", kind=FileKind.JPEG)


def test_value_mapping_ends() -> None:
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]).reshape(1, 1, 1, 5)
    assert to_pixels(x, 8).flatten().tolist() == [0, 0, 128, 255, 255]
    assert to_pixels(x, 16).flatten().tolist() == [0, 0, 32768, 65535, 65535]
    assert to_pixels(x, 16).dtype == np.uint16


def test_stored_pixels_survive_the_network_range() -> None:
    """What the training stream makes of a pixel comes back as that pixel."""
    for bits in (8, 16):
        stored = torch.arange(0, 2**bits, 1 if bits == 8 else 97)
        scaled = stored.float() * (2 / (2**bits - 1)) - 1
        back = to_pixels(scaled.reshape(1, 1, 1, -1), bits).flatten()
        assert np.abs(back.astype(int) - stored.numpy()).max() <= 1


def test_archive_says_where_every_image_comes_from(snapshot: Snapshot, tmp_path: Path) -> None:
    dest = tmp_path / "synthetic.zip"
    request = ImageRequest(jobs_of([7, 3], ["a b", "c/d"]), truncation=0.7)
    assert generate_archive(snapshot, request, dest) == 4
    archive = open_archive(dest)
    assert [(r.label, r.columns["seed"]) for r in archive.rows] == [
        ("a b", "7"),
        ("a b", "3"),
        ("c/d", "7"),
        ("c/d", "3"),
    ]
    assert {r.origin for r in archive.rows} == {"synthetic"}
    assert {r.columns["truncation"] for r in archive.rows} == {"0.7"}
    assert {r.columns["network"] for r in archive.rows} == {snapshot.sha256[:16]}
    assert len({r.group for r in archive.rows}) == 1
    assert archive.info.snapshots[0]["sha256"] == snapshot.sha256
    assert archive.info.snapshots[0]["group_digests"] == ["00"]
    assert archive.info.invariances == ["mirror"]
    said = ImageRecord(**ArchiveRows(archive, archive.rows).images.origin)
    assert said.networks == (snapshot.sha256,), "as evaluations and audits record it"
    assert ImageRecord.parse(said.tree(), "x.json") == said
    direct = pixels(snapshot, request)
    np.testing.assert_array_equal(np.stack([archive.read(row) for row in archive.rows]), direct)


def test_unfinished_archives_go_on(snapshot: Snapshot, tmp_path: Path) -> None:
    request = ImageRequest(jobs_of(range(6), ["a b"]), batch=2)

    def stop_after_three(images, total):
        for number, image in enumerate(images):
            if number == 3:
                raise KeyboardInterrupt
            yield image

    whole, broken = tmp_path / "whole.zip", tmp_path / "broken.zip"
    generate_archive(snapshot, request, whole)
    with pytest.raises(KeyboardInterrupt):
        generate_archive(snapshot, request, broken, track=stop_after_three)
    assert not broken.exists()
    other = ImageRequest(jobs_of(range(6), ["c/d"]))
    with pytest.raises(UserError, match="another command"):
        generate_archive(snapshot, other, broken)
    remaining = []
    generate_archive(snapshot, request, broken, track=lambda i, n: remaining.append(n) or i)
    assert remaining == [3]
    assert open_archive(whole).images_hash == open_archive(broken).images_hash
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []
    with pytest.raises(UserError, match="exists already"):
        generate_archive(snapshot, request, whole)


def test_files(snapshot: Snapshot, tmp_path: Path) -> None:
    out = tmp_path / "images"
    paths = generate_files(snapshot, ImageRequest(jobs_of([0, 12], ["a b", "c/d"])), out)
    assert [p.name for p in paths] == [
        "seed0000_a-b.png",
        "seed0012_a-b.png",
        "seed0000_c-d.png",
        "seed0012_c-d.png",
    ]
    for path, mode in [(paths[0], "RGB"), (out / "nir" / paths[0].name, "L")]:
        with Image.open(path) as image:
            assert image.mode == mode
    one = generate_files(snapshot, ImageRequest(jobs_of([0], ["a b"])), tmp_path / "one")
    assert one[0].name == "seed0000.png"
    with pytest.raises(UserError, match="exists already"):
        generate_files(snapshot, ImageRequest(jobs_of([5, 0], ["a b"])), tmp_path / "one")
    assert len(list((tmp_path / "one").glob("*.png"))) == 1


def test_sixteen_bit_models_write_sixteen_bit_files(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "s", bits=16, classes=())
    (path,) = generate_files(snapshot, ImageRequest(jobs_of([1], [])), tmp_path / "out")
    with Image.open(path) as image:
        stored = np.asarray(image)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, pixels(snapshot, ImageRequest(jobs_of([1], [])))[0, 0])


def test_classes_by_name_and_index(snapshot: Snapshot, tmp_path: Path) -> None:
    assert choose_classes(snapshot, []) == ["a b", "c/d"]
    assert choose_classes(snapshot, ["1", "a b"]) == ["c/d", "a b"]
    with pytest.raises(UserError, match="'2' is unknown"):
        choose_classes(snapshot, ["2"])
    with pytest.raises(UserError, match="did you mean 'c/d'"):
        choose_classes(snapshot, ["c/dd"])
    unconditional = make_snapshot(tmp_path / "u", classes=())
    assert choose_classes(unconditional, []) == []
    with pytest.raises(UserError, match="not conditional"):
        choose_classes(unconditional, ["a b"])


def test_label_vectors_are_no_classes(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "v", classes=(), width=3)
    with pytest.raises(UserError, match="class '0': .* label vectors of 3 values"):
        choose_classes(snapshot, ["0"])
    with pytest.raises(UserError, match="label vectors"):
        generate_archive(
            snapshot, ImageRequest(jobs_of([0], choose_classes(snapshot, []))), tmp_path / "a.zip"
        )


def test_contact_sheet(snapshot: Snapshot) -> None:
    request = ImageRequest(jobs_of(range(5), ["a b", "c/d"]))
    images = [i for part in generate(snapshot, request) for i in part]
    png = draw_contact_sheet(snapshot, images, columns=3)
    assert png.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("text", "seeds"), [("5", [5]), ("0-3,7", [0, 1, 2, 3, 7]), ("4294967295", [2**32 - 1])]
)
def test_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3-", "-3", "5-2", "4294967296", "1,,2", "0-99999999"])
def test_what_is_no_seed(text: str) -> None:
    with pytest.raises(UserError, match="--seeds"):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "--batch 0"),
        ({"batch": -4}, "--batch -4"),
        ({"truncation": float("nan")}, "--trunc nan"),
        ({"cutoff": -1}, "--trunc-cutoff -1"),
        ({"cutoff": 999}, r"--trunc-cutoff 999: this network has \d+ style rows"),
        ({"jobs": [(1, "a b"), (1, "a b")]}, "seed 1 is asked for more than once"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(
    snapshot: Snapshot, tmp_path: Path, change: dict, message: str
) -> None:
    request = ImageRequest(**{"jobs": jobs_of([1], ["a b"]), **change})
    with pytest.raises(UserError, match=message):
        generate_files(snapshot, request, tmp_path / "files")
    with pytest.raises(UserError, match=message):
        generate_archive(snapshot, request, tmp_path / "set.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["snapshots"]


def test_random_noise_belongs_to_the_seed(snapshot: Snapshot) -> None:
    for block in snapshot.generator.synthesis.blocks:
        block.conv1.noise_strength.data.fill_(1.0)
    jobs = jobs_of([4, 5, 6], ["a b"])
    together = pixels(snapshot, ImageRequest(jobs, noise=NoiseMode.RANDOM))
    alone = pixels(snapshot, ImageRequest(jobs[1:2], noise=NoiseMode.RANDOM))
    assert np.abs(together[1].astype(int) - alone[0]).max() <= 1
    fixed = pixels(snapshot, ImageRequest(jobs, noise=NoiseMode.CONST))
    assert np.abs(together.astype(int) - fixed).max() > 1


def test_an_interrupted_folder_goes_on(snapshot: Snapshot, tmp_path: Path) -> None:
    request, out = ImageRequest(jobs_of(range(5), ["a b"]), batch=2), tmp_path / "out"
    whole = generate_files(snapshot, request, tmp_path / "whole")

    def stop_at_third(items, total):
        for number, item in enumerate(items):
            if number == 3:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        generate_files(snapshot, request, out, track=stop_at_third)
    other = ImageRequest(jobs_of(range(9), ["a b"]))
    with pytest.raises(UserError, match="another `generate` was interrupted here"):
        generate_files(snapshot, other, out)
    made: list[int] = []
    generate_files(snapshot, request, out, track=lambda items, n: (made.append(n), items)[1])
    assert made == [2], "only what was missing is made"
    for path in whole:
        assert (out / path.name).read_bytes() == path.read_bytes()
        assert (out / "nir" / path.name).read_bytes() == (
            path.parent / "nir" / path.name
        ).read_bytes()
    assert not list(out.glob(".*"))
    with pytest.raises(UserError, match="exists already"):
        generate_files(snapshot, request, out)


def test_classes_that_a_file_name_confuses_keep_apart(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "s", classes=("a b", "a/b", "A-B"))
    request = ImageRequest(jobs_of([0], ["a b", "a/b", "A-B"]))
    names = [path.name for path in generate_files(snapshot, request, tmp_path / "out")]
    assert names == ["seed0000_0-a-b.png", "seed0000_1-a-b.png", "seed0000_2-A-B.png"]


def test_bf16_is_close_and_recorded(snapshot: Snapshot, tmp_path: Path) -> None:
    jobs = jobs_of(range(4), ["a b"])
    exact = pixels(snapshot, ImageRequest(jobs))
    rough = pixels(snapshot, ImageRequest(jobs, precision=Precision.BF16))
    difference = np.abs(exact.astype(int) - rough)
    assert 0 < difference.max() <= 16
    assert (pixels(snapshot, ImageRequest(jobs)) == exact).all(), "fp32 again"
    with pytest.raises(UserError, match="say fp32 or bf16"):
        pixels(snapshot, ImageRequest(jobs, precision=Precision.AUTO))
    generate_archive(snapshot, ImageRequest(jobs, precision=Precision.BF16), tmp_path / "set.zip")
    assert {r.columns["precision"] for r in open_archive(tmp_path / "set.zip").rows} == {"bf16"}


def test_parts_of_other_batches_leave_no_gap(snapshot: Snapshot, tmp_path: Path) -> None:
    """Which images a part has does not depend on how many are computed at once."""
    jobs, dest = jobs_of(range(25), ["a b"]), tmp_path / "set.zip"
    for number, batch in [(1, 8), (2, 3)]:
        generate_archive(snapshot, ImageRequest(jobs, batch=batch), dest, part=Part(number, 2))
        out = tmp_path / "files"
        generate_files(snapshot, ImageRequest(jobs, batch=batch), out, part=Part(number, 2))
    generate_archive(snapshot, ImageRequest(jobs, batch=5), dest)
    seeds = [int(row.columns["seed"]) for row in open_archive(dest).rows]
    assert seeds == list(range(25))
    assert {p.name for p in out.glob("*.png")} == {f"seed{seed:04d}.png" for seed in range(25)}
    whole = pixels(snapshot, ImageRequest(jobs, batch=8)).astype(int)
    archive = open_archive(dest)
    made = np.stack([archive.read(row) for row in archive.rows])
    assert np.abs(made - whole).max() <= 1


def test_an_image_is_made_beside_the_same_others(snapshot: Snapshot) -> None:
    """So parts and interrupted work have the bytes of one process."""
    sizes: list[int] = []
    snapshot.generator.synthesis.register_forward_pre_hook(lambda m, a: sizes.append(len(a[0])))
    request = ImageRequest(jobs_of(range(10), ["a b"]), batch=4)
    batches = list(generate(snapshot, request, numbers=range(3, 9)))
    assert sizes == [4, 4, 2]
    assert [[image.seed for image in part] for part in batches] == [[3], [4, 5, 6, 7], [8]]
    assert list(generate(snapshot, request, numbers=range(3, 3))) == []
    assert len(sizes) == 3, "nothing is computed for nothing"


@pytest.mark.parametrize("of", [2, 3])
def test_parts_make_the_same_archive(snapshot: Snapshot, tmp_path: Path, of: int) -> None:
    request = ImageRequest(jobs_of(range(5), ["a b", "c/d"]), batch=4)
    whole, dest = tmp_path / "whole.zip", tmp_path / "set.zip"
    generate_archive(snapshot, request, whole)
    made = generate_archive(snapshot, request, dest, part=Part(of, of))
    assert 0 < made < 10
    assert not dest.exists()
    assert generate_archive(snapshot, request, dest) == 10
    assert dest.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.part*"))


def test_parts_fill_one_folder(snapshot: Snapshot, tmp_path: Path) -> None:
    request = ImageRequest(jobs_of(range(5), ["a b", "c/d"]), batch=2)
    generate_files(snapshot, request, tmp_path / "whole")
    for number in (2, 1, 3):
        generate_files(snapshot, request, tmp_path / "parts", part=Part(number, 3))
    names = sorted(p.relative_to(tmp_path / "whole") for p in (tmp_path / "whole").rglob("*"))
    assert names == sorted(
        p.relative_to(tmp_path / "parts") for p in (tmp_path / "parts").rglob("*")
    )
    for name in names:
        if name.suffix:
            assert (tmp_path / "whole" / name).read_bytes() == (
                tmp_path / "parts" / name
            ).read_bytes()


@pytest.mark.parametrize(
    ("change", "cells"),
    [
        ({"truncation": 0.70710678}, {"truncation": "0.70710678"}),
        ({"truncation": 0.7}, {"truncation": "0.7"}),
        ({"cutoff": 0}, {"truncation": "1", "cutoff": "0"}),
        ({"center": TruncationCenter.CLASS}, {"truncation": "1", "center": "class"}),
        ({"noise": NoiseMode.RANDOM}, {"truncation": "1", "noise": "random"}),
        ({"precision": Precision.BF16}, {"truncation": "1", "precision": "bf16"}),
        ({"batch": 1}, {"truncation": "1"}),
    ],
)
def test_the_manifest_tells_requests_apart(
    snapshot: Snapshot, tmp_path: Path, change: dict, cells: dict[str, str]
) -> None:
    dest = tmp_path / "set.zip"
    generate_archive(snapshot, ImageRequest(jobs_of([3], ["a b"]), **change), dest)
    (row,) = open_archive(dest).rows
    told = ("truncation", "cutoff", "center", "noise", "precision")
    assert {name: row.columns[name] for name in told if name in row.columns} == cells
