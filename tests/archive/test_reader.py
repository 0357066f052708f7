"""Archives of ours and of the published tools are read; every contradiction is refused by file."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthograph.archive.png import encode_png
from synthograph.archive.reader import Archive, is_archive, open_archive
from synthograph.archive.writer import write_member
from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError

Make = Callable[..., Archive]
PNG = encode_png(np.arange(64, dtype=np.uint8).reshape(8, 8, 1))
SPEC = {"height": 8, "width": 8, "modalities": {"image": 1}, "bits": 8}


def write(root: Path, files: dict[str, Any], kind: str = "folder") -> Path:
    """Write files (JSON data is dumped) as a folder or a zip."""
    data = {n: d if isinstance(d, bytes) else json.dumps(d).encode() for n, d in files.items()}
    if kind == "zip":
        with zipfile.ZipFile(root.with_suffix(".zip"), "w") as packed:
            for name, content in data.items():
                write_member(packed, name, content)
        return root.with_suffix(".zip")
    for name, content in data.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def test_zip_and_folder_are_equal(make_archive: Make) -> None:
    kwargs = {"masks": True, "modalities": {"vis": 3, "nir": 1}}
    packed, folder = make_archive("a.zip", **kwargs), make_archive("a", **kwargs)
    assert packed.rows == folder.rows and len(packed.rows) == 6
    assert packed.images_hash == folder.images_hash
    assert packed.manifest_hash == folder.manifest_hash
    assert packed.name == folder.name == "a"
    for row in packed.rows:
        assert np.array_equal(packed.read(row), folder.read(row))
        mask = packed.read_mask(row)
        assert mask is not None and np.array_equal(mask, folder.read_mask(row))
    assert packed.read(packed.rows[0]).shape == (4, 8, 8)


def test_pixels_are_those_of_the_source(make_archive: Make, items: Callable[..., Any]) -> None:
    archive = make_archive(bits=16, modalities={"image": 1}, masks=True)
    for row, item in zip(
        archive.rows, items(bits=16, modalities={"image": 1}, masks=True), strict=True
    ):
        picture = item.decode()
        assert np.array_equal(archive.read(row)[0], picture.modalities["image"][:, :, 0])
        assert np.array_equal(archive.read_mask(row), picture.mask)
        assert (row.label, row.group) == (item.label, item.group)
        assert row.columns == {"source_file": item.name, **item.columns}


def test_the_hash_covers_images_and_masks_and_not_the_manifest(make_archive: Make) -> None:
    first = make_archive("a", masks=True)
    before = first.images_hash
    (first.path / "manifest.csv").write_bytes(
        (first.path / "manifest.csv").read_bytes().replace(b"benign", b"melanoma")
    )
    assert open_archive(first.path).images_hash == before
    os.remove(first.path / "masks" / first.rows[0].file)
    assert open_archive(first.path).images_hash != before
    other = make_archive("b")
    assert other.images_hash != before and open_archive(other.path).read_mask(other.rows[0]) is None


def test_a_zipped_folder_is_an_archive(make_archive: Make, tmp_path: Path) -> None:
    archive = make_archive("a", masks=True)
    with zipfile.ZipFile(tmp_path / "wrapped.zip", "w") as packed:
        for path in archive.path.rglob("*"):
            packed.write(path, f"a/{path.relative_to(archive.path)}")
        packed.writestr("__MACOSX/a/._x", b"")
    wrapped = open_archive(tmp_path / "wrapped.zip")
    assert wrapped.images_hash == archive.images_hash and is_archive(tmp_path / "wrapped.zip")


@pytest.mark.parametrize("kind", ["zip", "folder"])
@pytest.mark.parametrize(
    ("labels", "classes", "names", "vectors"),
    [
        ([["00000/a.png", 1], ["00000/b.png", 0]], None, ["1", "0"], [[], []]),
        ([["00000/a.png", 1], ["00000/b.png", 0]], ["x", "y"], ["y", "x"], [[], []]),
        (
            [["00000/a.png", [0.5, 1]], ["00000/b.png", [0, 2]]],
            None,
            [None] * 2,
            [[0.5, 1], [0, 2]],
        ),
        (None, None, [None, None], [[], []]),
    ],
)
def test_published_archives(
    tmp_path: Path, kind: str, labels: Any, classes: Any, names: Any, vectors: Any
) -> None:
    document = {"labels": labels, "classes": classes}
    if classes is None:
        del document["classes"]
    files = {"00000/a.png": PNG, "00000/b.png": PNG, "dataset.json": document}
    archive = open_archive(write(tmp_path / "set", files, kind))
    assert [row.label for row in archive.rows] == names
    assert [row.vector() for row in archive.rows] == vectors
    assert [row.group for row in archive.rows] == ["00000/a.png", "00000/b.png"]
    assert archive.info.spec.tree() == SPEC and not is_archive(archive.path)
    if labels is None:
        (tmp_path / "plain").mkdir()
        (tmp_path / "plain" / "x.png").write_bytes(PNG)
        assert open_archive(tmp_path / "plain").rows[0].label is None


def test_patients_and_labels_of_a_published_archive(tmp_path: Path) -> None:
    meta = [["a.png", 1, 7, "PTC"], ["b.png", 0, None, None], ["c.png", 1, "7"]]
    files = {name: PNG for name, *_ in meta}
    archive = open_archive(write(tmp_path / "alone", {**files, "dataset.json": {"meta": meta}}))
    assert [row.group for row in archive.rows] == ["7", "b.png", "7"]
    assert [row.label for row in archive.rows] == ["1", "0", "1"]
    assert [row.columns for row in archive.rows] == [{"diagnosis": "PTC"}, {"diagnosis": ""}, {}]
    document = {"labels": [[name, [0.5]] for name in files], "meta": meta[:1]}
    rows = open_archive(write(tmp_path / "vectors", {**files, "dataset.json": document})).rows
    assert [row.group for row in rows] == ["7", "b.png", "c.png"]
    assert [row.vector() for row in rows] == [[0.5]] * 3


AB = {"a.png": PNG, "b.png": PNG}
MANIFEST = b"file,label\na.png,x\nb.png,y\n"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "holds no images"),
        ({"a.txt": b"x"}, "holds no images"),
        ({**AB, "dataset.json": b'{"labels": [],}'}, "line 1.*comma before a closing bracket"),
        ({**AB, "config.json": b"{}"}, "is a run directory; give the archive"),
        ({**AB, "dataset.json": b'{"labels": NaN}'}, "not valid JSON"),
        ({**AB, "dataset.json": b"[" * 100_000}, "not valid JSON"),
        ({**AB, "dataset.json": b"\xff"}, "not UTF-8 text"),
        ({**AB, "dataset.json": [1]}, "holds list, expected an object"),
        ({**AB, "dataset.json": {"labels": [["a.png", 0], ["c.png", 0]]}}, "'c.png', but there is"),
        ({**AB, "dataset.json": {"labels": [["a.png", 0]]}}, "no label for 'b.png'"),
        (
            {**AB, "dataset.json": {"labels": [["a.png", 0], ["a.png", 1]]}},
            "'a.png' is listed twice",
        ),
        ({**AB, "dataset.json": {"labels": [["a.png", "x"], ["b.png", 0]]}}, "label 'x'"),
        (
            {**AB, "dataset.json": {"labels": [["a.png", 10**12], ["b.png", 0]]}},
            "label 1000000000000",
        ),
        ({**AB, "dataset.json": {"labels": [["../a.png", 0]]}}, "'../a.png' is not a path inside"),
        ({**AB, "dataset.json": {"meta": [["c.png", 0, 1]]}}, "'c.png', but there is no such"),
        (
            {
                **AB,
                "dataset.json": {
                    "labels": [["a.png", [1]], ["b.png", [2]]],
                    "meta": [["c.png", 0, 1]],
                },
            },
            "'c.png', but there is no such",
        ),
        (
            {
                **AB,
                "dataset.json": {
                    "labels": [["a.png", 10_000], ["b.png", 0]],
                    "classes": [str(number) for number in range(10_001)],
                },
            },
            "label 10000 lies outside",
        ),
        (
            {**AB, "dataset.json": {"classes": ["x", "x"]}, "manifest.csv": MANIFEST},
            "class 'x' is named 2",
        ),
        ({**AB, "dataset.json": {"classes": [""]}, "manifest.csv": MANIFEST}, "empty name"),
        ({**AB, "dataset.json": {"classes": ["\ud800"]}}, "half of a character"),
        ({**AB, "dataset.json": {"format": 2}}, "'format'"),
        ({**AB, "dataset.json": {"spec": {**SPEC, "bits": 9}}}, "'bits'"),
        ({**AB, "dataset.json": {"spec": {**SPEC, "modalities": {"../x": 1}}}}, "modality '../x'"),
        ({**AB, "dataset.json": {"spec": 3}}, "dataset.json: .*got 3"),
        ({**AB, "dataset.json": {"invariances": ["miror"]}}, "did you mean 'mirror'"),
        (
            {
                **AB,
                "x.jpg": b"",
                "dataset.json": {"labels": [["a.png", 0], ["b.png", 0], ["x.jpg", 1]]},
            },
            "no PNG",
        ),
        ({**AB, "c.JPG": b"", "d.tif": b""}, "2 of its 4 images are no PNG, such as 'c.JPG'"),
        ({**AB, "dataset.json": {}, "manifest.csv": MANIFEST}, "a.png has label 'x'"),
        (
            {"a.png": PNG, "dataset.json": {"classes": ["x", "y"]}, "manifest.csv": MANIFEST},
            "names 'b.png', which is not there",
        ),
        (
            {
                **AB,
                "dataset.json": {
                    "classes": ["x", "y"],
                    "spec": {**SPEC, "modalities": {"a": 1, "nir": 1}},
                },
                "manifest.csv": MANIFEST,
            },
            "names 'nir/a.png', which is not there",
        ),
        ({"a.png": PNG[:40]}, "a.png: is a broken PNG"),
        ({"a.png": b"GIF89a"}, "a.png: is not a PNG"),
    ],
)
def test_contradictions_are_refused_with_the_file_named(
    tmp_path: Path, files: dict[str, Any], words: str
) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(UserError, match=words) as caught:
        open_archive(write(tmp_path / "set", files))
    assert str(tmp_path / "set") in str(caught.value)


def test_what_is_no_archive(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("hello")
    for name in ("missing.zip", "text.zip"):
        with pytest.raises(UserError, match=name):
            open_archive(tmp_path / name)


@pytest.mark.parametrize("name", ["../x.png", "/x.png"])
def test_zip_members_that_climb_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="would leave its folder"):
        open_archive(write(tmp_path / "set", {"a.png": PNG, name: PNG}, "zip"))


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (
            np.zeros((8, 9, 1), np.uint8),
            "b.png is 9x8, the archive's images are 8x8",
        ),
        (np.zeros((8, 8, 3), np.uint8), "3 channels"),
        (np.zeros((8, 8, 1), np.uint16), "16 bit"),
    ],
)
def test_images_of_another_kind_are_refused_when_read(
    tmp_path: Path, pixels: np.ndarray, words: str
) -> None:
    archive = open_archive(write(tmp_path / "set", {"a.png": PNG, "b.png": encode_png(pixels)}))
    archive.read(archive.rows[0])
    with pytest.raises(UserError, match=words):
        archive.read(archive.rows[1])
    with pytest.raises(UnreadableError, match=words):
        archive.items()[1].decode()


def test_masks_of_another_size_are_refused(make_archive: Make) -> None:
    archive = make_archive("a", masks=True)
    (archive.path / "masks" / archive.rows[0].file).write_bytes(
        encode_png(np.zeros((4, 8, 1), np.uint8))
    )
    with pytest.raises(UserError, match="masks are 8x8"):
        archive.read_mask(archive.rows[0])


def test_items_travel_and_give_what_the_archive_holds(make_archive: Make) -> None:
    archive = make_archive(masks=True, modalities={"vis": 3, "nir": 1})
    for row, item in zip(archive.rows, archive.items(), strict=True):
        picture = pickle.loads(pickle.dumps(item)).decode()
        joined = np.concatenate(list(picture.modalities.values()), axis=2).transpose(2, 0, 1)
        assert list(picture.modalities) == ["vis", "nir"]
        assert np.array_equal(joined, archive.read(row))
        assert np.array_equal(picture.mask, archive.read_mask(row))
        assert item.name == row.columns["source_file"] and item.columns == {
            "site": row.columns["site"]
        }


def test_items_of_an_archive_whose_sources_have_several_images(make_archive: Make) -> None:
    archive = make_archive("a")
    path = archive.path / "manifest.csv"
    text = path.read_text().replace("Bild 001", "Bild 000")
    path.write_text(text)
    items = open_archive(archive.path).items()
    assert [item.name for item in items] == [row.file for row in archive.rows]
    assert items[1].columns["source_file"] == "Bild 000 ö.jpg"


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.tuples(st.sampled_from(["a.png", "b.png", "c"]), inner).map(list), max_size=3),
    ),
    max_leaves=8,
)
documents = st.dictionaries(
    st.sampled_from(
        ["labels", "classes", "spec", "format", "namespace", "invariances", "snapshots"]
    ),
    json_values,
    max_size=4,
)


@given(st.one_of(st.binary(max_size=40), documents.map(lambda d: json.dumps(d).encode())))
@settings(max_examples=100, deadline=None)
def test_any_dataset_json_gives_an_archive_or_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    root = tmp_path_factory.getbasetemp() / "fuzz"
    for manifest in (False, True):
        files = {**AB, "dataset.json": data}
        (root / "manifest.csv").unlink(missing_ok=True)
        path = write(root, files | ({"manifest.csv": b"file\na.png\nb.png\n"} if manifest else {}))
        try:
            assert len(open_archive(path).rows) == 2
        except UserError:
            pass
