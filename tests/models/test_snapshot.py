"""Snapshots: what is written comes back, and what does not fit is refused."""

import errno
import json
import os
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

import synthograph
from synthograph.core.errors import DiskFullError, UserError
from synthograph.core.files import sha256_file
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.models.base import Condition
from synthograph.models.registry import family, parse_model
from synthograph.models.snapshot import (
    SnapshotInfo,
    convert,
    has_partner,
    load,
    owner,
    partner,
    save_snapshot,
)
from synthograph.models.snapshot_files import find_snapshot, kimg_of, list_snapshots
from tests.conftest import NVIDIA

MODEL = {"family": "stylegan2", "channel_base": 64, "channel_max": 8, "z_dim": 8, "w_dim": 8}
SPEC = ImageSpec(height=8, width=16, modalities={"vis": 3, "nir": 1})


def make_networks():
    torch.manual_seed(0)
    return family("stylegan2").build(SPEC, Condition(("a", "b"), 2), parse_model(MODEL))


def save(folder: Path, **more: Any) -> Path:
    """A small snapshot; `more` goes into its document."""
    networks = make_networks()
    info = SnapshotInfo(
        family="stylegan2",
        config={"model": MODEL},
        spec=SPEC,
        classes=["a", "b"],
        label_width=2,
        images_seen=12345,
        **more,
    )
    return save_snapshot(folder, info, networks.generator, networks)


def save_at(folder: Path, images: int) -> str:
    """A snapshot after so many images; its file's name."""
    networks = make_networks()
    info = SnapshotInfo(family="stylegan2", config={"model": MODEL}, spec=SPEC, images_seen=images)
    info = info.model_copy(update={"classes": ["a", "b"], "label_width": 2})
    return save_snapshot(folder, info, networks.generator, networks).name


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(tmp_path)


def test_round_trip(saved: Path) -> None:
    networks = make_networks()
    before = torch.get_rng_state()
    snapshot = synthograph.load(str(saved))
    assert torch.equal(before, torch.get_rng_state()), (
        "loading must not draw from the global generator"
    )
    assert saved.name == "generator-000012.safetensors"
    assert snapshot.info.images_seen == 12345
    assert not snapshot.generator.training
    z, label = torch.randn(3, 8), torch.eye(2)[[0, 1, 0]]
    image = snapshot.generator(z, label, noise_mode="const")
    assert image.shape == (3, 4, 8, 16)
    torch.testing.assert_close(image, networks.generator(z, label, noise_mode="const"))
    vis, nir = SPEC.split(image).values()
    torch.testing.assert_close(
        snapshot.discriminators["nir"](nir, label), networks.discriminators["nir"](nir, label)
    )
    assert snapshot.discriminators["vis"](vis, label).shape == (3, 1)


def test_public_names_of_the_design(saved: Path) -> None:
    generator = synthograph.load(saved).generator
    z, c = torch.randn(2, generator.z_dim), torch.eye(2)
    ws = generator.mapping(z, c, truncation_psi=0.5, truncation_cutoff=2)
    assert ws.shape == (2, generator.num_ws, generator.w_dim)
    full = generator.mapping(z, c)
    torch.testing.assert_close(ws[:, 2:], full[:, 2:])
    torch.testing.assert_close(ws[:, :2], full[:, :2] / 2)  # w_avg is still zero
    for mode in ("const", "random", "none"):
        assert generator.synthesis(ws, noise_mode=mode, force_fp32=True).dtype == torch.float32


def test_without_discriminators(saved: Path) -> None:
    partner(saved).unlink()
    with pytest.raises(UserError, match="shared without its discriminators"):
        _ = load(saved).discriminators


def test_discriminators_of_another_generator(saved: Path) -> None:
    tensors, document = read_tensors(partner(saved))
    write_tensors(partner(saved), tensors, {**document, "generator_sha256": "0" * 64})
    with pytest.raises(UserError, match="belongs to another generator"):
        _ = load(saved).discriminators


def test_tensors_that_do_not_fit(saved: Path) -> None:
    tensors, document = read_tensors(saved)
    name = "synthesis.blocks.0.const"
    for changed, message in [
        ({k: v for k, v in tensors.items() if k != name}, "lacks tensor"),
        ({**tensors, "surplus": torch.zeros(1)}, "surplus"),
        ({**tensors, name: torch.zeros(3)}, r"is \(3,\)"),
        ({**tensors, name: tensors[name] * torch.nan}, "not finite"),
    ]:
        write_tensors(saved, changed, document)
        with pytest.raises(UserError, match=message):
            load(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected a snapshot such as generator-000200.safetensors"),
        (b"a", "cut short or no safetensors file .* expected a snapshot"),
        (b"GIF89a" * 10, "no safetensors file"),
        (struct.pack("<Q", 2**60) + b"{}", "header of"),
        (struct.pack("<Q", 2) + b"{}", "was not written by synthograph"),
        (struct.pack("<Q", 2) + b"[[", "broken"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        load(tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="neither a run directory nor a folder of snapshots"):
        load(tmp_path)


def test_documents_that_break_rules(saved: Path) -> None:
    tensors, document = read_tensors(saved)
    for change, message in [
        ({"family": "stylegan9"}, "did you mean 'stylegan2'"),
        ({"format": 2}, "format"),
        ({"surprise": 1}, "unknown setting 'surprise'"),
        ({"classes": ["a", "b", "c"]}, "3 classes and labels of 2 values"),
        ({"classes": ["a"]}, "1 classes and labels of 2 values"),
        ({"classes": ["a", "a"]}, "a class is named twice"),
        ({"spec": {**document["spec"], "bits": 16}}, "3 channels of 16 bits"),
        (
            {"spec": {**document["spec"], "modalities": {"type": 3, "nir": 1}}},
            "modality 'type': .* another one, such as type_image",
        ),
    ]:
        write_tensors(saved, tensors, json.loads(json.dumps({**document, **change})))
        with pytest.raises(UserError, match=message):
            load(saved)


def test_names_that_no_disk_holds(saved: Path, tmp_path: Path) -> None:
    for name in ("x" * 300, f"{'x' * 300}.pkl", f"{'x' * 300}.safetensors"):
        for look in (find_snapshot, load):
            with pytest.raises(UserError, match=f"{name}: File name too long"):
                look(tmp_path / name)
    # the discriminators' name is longer than the generator's
    alone = saved.rename(tmp_path / f"{'x' * 240}.safetensors")
    assert not load(alone).has_discriminators
    with pytest.raises(UserError, match="shared without its discriminators"):
        _ = load(alone).discriminators


def test_newest_snapshot_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    for kimg in (5, 10, 15):
        (tmp_path / "snapshots" / f"generator-{kimg:06d}.safetensors").touch()
        (tmp_path / "snapshots" / f"discriminators-{kimg:06d}.safetensors").touch()
    assert find_snapshot(tmp_path).name == "generator-000015.safetensors"


def test_the_best_snapshot_of_a_run(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for kimg in (5, 10, 15):
        (folder / f"generator-{kimg:06d}.safetensors").touch()
    best = folder / "best.json"
    best.write_text(json.dumps({"snapshot": "generator-000010.safetensors", "metric": 3}))
    assert find_snapshot(tmp_path).name == "generator-000010.safetensors"
    assert find_snapshot(folder).name == "generator-000010.safetensors"
    for other in (
        {"snapshot": "generator-000099.safetensors"},
        {"snapshot": "../secret"},
        {"snapshot": 3},
        ["generator-000010.safetensors"],
    ):
        best.write_text(json.dumps(other))
        assert find_snapshot(tmp_path).name == "generator-000015.safetensors"
    best.write_text("[" * 100_000)
    assert find_snapshot(tmp_path).name == "generator-000015.safetensors"


def test_a_run_is_loaded_as_its_best_snapshot(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    for kimg in (5, 10):
        path = save(folder, package_version="1")
        for file in (path, partner(path)):
            file.rename(file.with_name(file.name.replace("000012", f"{kimg:06d}")))
    assert load(tmp_path).path == load(str(folder)).path == folder / "generator-000010.safetensors"
    (folder / "best.json").write_text(json.dumps({"snapshot": "generator-000005.safetensors"}))
    assert load(tmp_path).path.name == "generator-000005.safetensors"
    assert load(tmp_path).has_discriminators


def test_what_is_printed_of_a_snapshot_fits_a_screen(tmp_path: Path) -> None:
    many = [f"{number:064x}" for number in range(900)]
    path = save(
        tmp_path,
        group_digests=many,
        image_digests=many,
        images_hash="a" * 64,
        manifest_hash="b" * 64,
        split="train",
        fold=2,
        invariances=["mirror"],
        initialised_from={"group_digests": many},
        package_version="1.2",
    )
    snapshot = load(path)
    for text in (str(snapshot.info), repr(snapshot.info)):
        lines = text.splitlines()
        assert len(lines) <= 20 and max(map(len, lines)) < 80
    for words in ("images 16x8", "classes: a, b", "12,345, of split train", "900 groups"):
        assert words in text
    long = snapshot.info.model_copy(update={"classes": ["a long name"] * 200, "label_width": 200})
    assert max(map(len, str(long).splitlines())) < 80
    assert repr(snapshot) == f"{path}\n{text}"


def test_folders_without_snapshots(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a run directory nor a folder of snapshots"):
        find_snapshot(tmp_path)
    (tmp_path / "dataset.json").touch()
    with pytest.raises(UserError, match="is an archive of images"):
        find_snapshot(tmp_path)
    (tmp_path / "config.json").touch()
    with pytest.raises(UserError, match="no snapshot yet"):
        find_snapshot(tmp_path)


def test_a_folder_of_runs_names_one_of_them(saved: Path, tmp_path: Path) -> None:
    for name in ("00000-set-tiny", "00001-set-tiny", "00002-set-tiny"):
        (tmp_path / "runs" / name / "snapshots").mkdir(parents=True)
        (tmp_path / "runs" / name / "config.json").write_text("{}")
    with pytest.raises(UserError, match="folder of 3 run.s.; give one .* as .*00002-set-tiny"):
        find_snapshot(tmp_path / "runs")
    folder = tmp_path / "runs" / "00001-set-tiny" / "snapshots"
    (folder / "generator-000001.safetensors").write_bytes(saved.read_bytes())
    with pytest.raises(UserError, match="give one of them, such as .*00001-set-tiny"):
        find_snapshot(tmp_path / "runs")


def test_zip_files(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(UserError, match="is an archive of images"):
        load(archive)
    for suffix in (".pkl", ".pt", ".safetensors"):
        path = tmp_path / f"x{suffix}"
        torch.save({"a": torch.zeros(2)}, path)
        with pytest.raises(UserError, match=r"is a checkpoint of torch\.save"):
            load(path)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("generator.safetensors", b"")
    with pytest.raises(UserError, match="is a zip file, not a snapshot"):
        load(tmp_path / "other.zip")
    (tmp_path / "cut.zip").write_bytes(archive.read_bytes()[:100])
    with pytest.raises(UserError, match="damaged zip file"):
        load(tmp_path / "cut.zip")


def test_pickles_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    path.write_bytes((NVIDIA / "cond2_rgb_32.pkl").read_bytes())
    assert load(path).networks is not None


def test_discriminators_are_no_snapshot(saved: Path) -> None:
    with pytest.raises(UserError, match=r"holds the discriminators.*beside it"):
        load(partner(saved))


@pytest.mark.parametrize(
    "model",
    [
        {"w_dim": 8192, "mapping_layers": 16},
        {"channel_base": 1 << 20, "channel_max": 8192},
        {"discriminator_channel_base": 1 << 20, "discriminator_channel_max": 8192},
        {"mapping_width": 8192, "mapping_layers": 16},
    ],
)
def test_documents_that_describe_huge_networks(saved: Path, model: dict[str, int]) -> None:
    tensors, document = read_tensors(saved)
    write_tensors(saved, tensors, {**document, "config": {"model": {**MODEL, **model}}})
    with pytest.raises(UserError, match="describes networks far larger than what is stored"):
        load(saved)


@pytest.mark.parametrize(
    "name", ["z_dim", "w_dim", "channel_base", "channel_max", "mapping_width", "mbstd_channels"]
)
@pytest.mark.parametrize("width", [10**9, 10**30])
def test_documents_with_layers_that_no_network_has(saved: Path, name: str, width: int) -> None:
    tensors, document = read_tensors(saved)
    write_tensors(saved, tensors, {**document, "config": {"model": {**MODEL, name: width}}})
    with pytest.raises(UserError, match=f"no generator snapshot .*{name}.* must be at most"):
        load(saved)


def test_documents_that_describe_many_networks(saved: Path) -> None:
    tensors, document = read_tensors(saved)
    spec = {**document["spec"], "modalities": {f"m{i}": 1 for i in range(1000)}}
    write_tensors(saved, tensors, {**document, "spec": spec})
    with pytest.raises(UserError, match="1000 modalities, at most 64"):
        load(saved)


def test_documents_in_odd_forms(saved: Path) -> None:
    tensors, document = read_tensors(saved)
    for model in (None, 3, [], {"family": 3}, {"family": ["stylegan2"]}):
        write_tensors(saved, tensors, {**document, "config": {"model": model}})
        with pytest.raises(UserError):
            load(saved)
    for text in ("[" * 5000, "1e999", "NaN", '{"a": ' * 200_000, "9" * 5000):
        header = {"__metadata__": {"synthograph": text}}
        data = json.dumps(header).encode()
        saved.write_bytes(struct.pack("<Q", len(data)) + data)
        with pytest.raises(UserError, match="is broken"):
            load(saved)


def test_a_short_configuration_is_completed(saved: Path) -> None:
    tensors, document = read_tensors(saved)
    write_tensors(saved, tensors, {**document, "config": {"model": MODEL, "seed": 3}})
    config = load(saved).info.config
    assert config["seed"] == 3
    assert config["model"]["w_avg_decay"] == 0.995
    assert config["model"]["noise"] is True, "networks had noise before it could be left out"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(saved: Path, dtype: torch.dtype) -> None:
    tensors, document = read_tensors(saved)
    write_tensors(saved, {k: v.to(dtype) for k, v in tensors.items()}, document)
    generator = load(saved).generator
    assert {t.dtype for t in generator.state_dict().values()} == {torch.float32}


def test_numbers_of_other_kinds(saved: Path) -> None:
    tensors, document = read_tensors(saved)
    name = "synthesis.blocks.0.const"
    for changed, message in [
        (tensors[name].to(torch.float8_e4m3fn), "holds torch.float8_e4m3fn, expected"),
        (tensors[name].to(torch.int32), "holds torch.int32, expected"),
        (tensors[name].to(torch.complex64), "holds torch.complex64|broken"),
        (tensors[name].double() * 1e300, "not finite"),
    ]:
        write_tensors(saved, {**tensors, name: changed}, document)
        with pytest.raises(UserError, match=message):
            load(saved)


@pytest.mark.filterwarnings("error")
def test_convert_and_share(saved: Path, tmp_path: Path) -> None:
    tensors, document = read_tensors(saved)
    document["config"]["data"] = {"path": "/home/dr-jones/set.zip"}
    document["config"]["metrics"] = {"features": "classifier:/home/dr-jones/cells.pth"}
    document["config"]["tracking"] = {"uri": "http://mlflow.ward.example", "experiment": "dr-jones"}
    elsewhere = {
        "data": {"path": r"C:\Users\dr-jones\set.zip"},
        "metrics": {"features": r"classifier:C:\Users\dr-jones\cells.pth"},
        "tracking": {"uri": "sqlite:////home/dr-jones/mlflow.db", "parent": "ward"},
    }
    parent = {**document, "group_digests": ["c" * 16], "config": elsewhere}
    document |= {
        "group_digests": ["a" * 16],
        "image_digests": ["b" * 16],
        "initialised_from": {**parent, "initialised_from": {**parent, "config": None}},
    }
    write_tensors(saved, tensors, document)
    _, rest = read_tensors(partner(saved))
    write_tensors(
        partner(saved),
        read_tensors(partner(saved))[0],
        {**rest, "generator_sha256": sha256_file(saved)},
    )
    target = tmp_path / "shared.safetensors"
    assert convert(saved, target, public=True) == [
        target,
        tmp_path / "shared.discriminators.safetensors",
    ]
    text = target.read_bytes()
    secrets = (b"a" * 16, b"b" * 16, b"c" * 16, b"home", b"Users", b"dr-jones", b"ward")
    assert not any(part in text for part in secrets)
    copy = load(target)
    assert copy.info.converted_from == sha256_file(saved)
    assert copy.info.images_seen == 12345
    for config in (copy.info.config, copy.info.initialised_from["config"]):
        assert config["data"] == {"path": "set.zip"}
        assert config["metrics"] == {"features": "classifier:cells.pth"}
    for name, tensor in load(saved).generator.state_dict().items():
        assert torch.equal(copy.generator.state_dict()[name], tensor)
    assert list(copy.discriminators) == ["vis", "nir"]
    kept = tmp_path / "private.safetensors"
    convert(saved, kept)
    assert load(kept).info.group_digests == ["a" * 16]


def test_convert_to_16_bits(saved: Path, tmp_path: Path) -> None:
    target = tmp_path / "half.safetensors"
    for path, before in zip(
        convert(saved, target, fp16=True), (saved, partner(saved)), strict=True
    ):
        tensors, given = read_tensors(path)[0], read_tensors(before)[0]
        assert {t.dtype for t in tensors.values()} == {torch.float16}
        size = {
            name: sum(t.nbytes for t in ts.values())
            for name, ts in (("now", tensors), ("before", given))
        }
        assert 2 * size["now"] == size["before"]
    ours, theirs = load(target), load(saved)
    z, label = torch.randn(3, 8), torch.eye(2)[[0, 1, 0]]
    images = [s.generator(z, label, noise_mode="const") for s in (ours, theirs)]
    assert images[0].dtype is torch.float32
    torch.testing.assert_close(*images, rtol=0, atol=2 / 255)
    assert not torch.equal(*images)
    assert list(ours.discriminators) == ["vis", "nir"]


def test_what_16_bits_cannot_hold(saved: Path, tmp_path: Path) -> None:
    tensors, document = read_tensors(saved)
    name = next(n for n in tensors if n.endswith("weight"))
    tensors[name] = tensors[name] * 0 + 1e5
    write_tensors(saved, tensors, document)
    partner(saved).unlink()
    with pytest.raises(UserError, match=f"{name} are too large for 16 bits: leave --fp16 out"):
        convert(saved, tmp_path / "half.safetensors", fp16=True)
    convert(saved, tmp_path / "whole.safetensors")
    assert not (tmp_path / "half.safetensors").exists()


@pytest.mark.parametrize("file", ["generator", "discriminators"])
def test_convert_on_a_full_disk_names_the_target(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    write, left = Path.write_bytes, [0 if file == "generator" else 1]

    def full(path: Path, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    (tmp_path / "to").mkdir()
    with pytest.raises(DiskFullError) as caught:
        convert(saved, tmp_path / "to" / "a.safetensors")
    name = "a.safetensors" if file == "generator" else "a.discriminators.safetensors"
    assert str(caught.value).startswith(f"{tmp_path / 'to' / name}: no space left")
    assert not os.listdir(tmp_path / "to")


def test_convert_a_published_snapshot(tmp_path: Path) -> None:
    source, target = NVIDIA / "cond5_gray_64.pkl", tmp_path / "generator-000000.safetensors"
    assert convert(source, target) == [target, partner(target)]
    ours, theirs = load(target), load(source)
    z, label = torch.randn(2, theirs.generator.z_dim), torch.eye(5)[:2]
    image = theirs.generator(z, label, noise_mode="const")
    assert torch.equal(ours.generator(z, label, noise_mode="const"), image)
    judge = theirs.discriminators["image"]
    assert torch.equal(ours.discriminators["image"](image, label), judge(image, label))


def test_convert_refuses(saved: Path, tmp_path: Path) -> None:
    for target, message in [
        (saved, "exists already"),
        (tmp_path / "x.pkl", r"ends in \.safetensors"),
        (tmp_path / "none" / "x.safetensors", "is no folder"),
    ]:
        with pytest.raises(UserError, match=message):
            convert(saved, target)
    target = tmp_path / "x.safetensors"
    partner(target).touch()
    with pytest.raises(UserError, match="exists already"):
        convert(saved, target)
    assert not target.exists()
    partner(target).unlink()
    partner(saved).unlink()
    before = set(tmp_path.iterdir())
    assert convert(saved, target) == [target]
    assert set(tmp_path.iterdir()) == before | {target}


@pytest.mark.parametrize("name", ["generator-000200.safetensors", "mine.safetensors"])
def test_partners_find_their_owner(name: str) -> None:
    assert owner(partner(Path(name))) == Path(name)
    assert partner(Path(name)) != Path(name)


def test_every_snapshot_has_a_file_of_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    names = [save_at(folder, images) for images in (32, 1056, 1400, 1999, 2080)]
    assert names == [
        "generator-000000.safetensors",
        "generator-000001.safetensors",
        "generator-000001.400.safetensors",
        "generator-000001.999.safetensors",
        "generator-000002.safetensors",
    ]
    found = list_snapshots(tmp_path)
    assert [file.name for file in found] == names
    seen = [load(file).info.images_seen for file in found]
    assert seen == [32, 1056, 1400, 1999, 2080]
    assert all(has_partner(file) for file in found)
    assert [owner(partner(file)) for file in found] == found
    kimg = [kimg_of(file, images) for file, images in zip(found, seen, strict=True)]
    assert kimg == [0, 1, 1.4, 1.999, 2] and isinstance(kimg[1], int)
    again = [save_at(folder, images) for images in (1400, 1056, 32)]
    assert again == [names[2], names[1], names[0]], "a step that is done again gives the same files"
    assert find_snapshot(tmp_path).name == names[-1]


def test_files_that_cannot_be_read_are_not_replaced_either(tmp_path: Path) -> None:
    broken = tmp_path / "generator-000001.safetensors"
    broken.write_bytes(b"broken")
    assert save_at(tmp_path, 1056) == "generator-000001.056.safetensors"
    assert save_at(tmp_path, 1400) == "generator-000001.400.safetensors"
    assert broken.read_bytes() == b"broken"
    broken.unlink()
    assert save_at(tmp_path, 1500) == "generator-000001.500.safetensors", "the order is kept"
