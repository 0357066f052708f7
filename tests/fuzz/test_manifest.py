"""Whatever stands in manifest.csv: rows, or a refusal."""

from hypothesis import given
from hypothesis import strategies as st

from synthograph.archive.manifest import Row, manifest_hash, read_manifest, write_manifest
from tests.fuzz.damage import answers, damaged, fuzz

SAMPLES = (
    write_manifest(
        [
            Row("00000/a.png", "x", "P1", "train", 0, columns={"y.0": "1", "site": 'A "b", c'}),
            Row("00000/b.png", None, "P2", "val", columns={"y.0": "0.5", "age": "3\r\n4"}),
            Row("c.png", "y", "P2", "test", origin="synthetic", columns={"seed": "3"}),
        ]
    ),
    b"file,label,group,split,fold,origin\na.png,x,,,,\n",
    b"\xef\xbb\xbffile\r\na.png\r\n",
)
TOKENS = (b'"', b",", b"\n", b"\r", b"\0", b"..", b"/", b"nan", b"y.1", b"1e999", b"\xff", b"file")


def read(data: bytes) -> None:
    rows = answers(lambda: read_manifest(data, "manifest.csv"), (4 << 20) + 200 * len(data))
    if rows is not None:
        assert isinstance(rows, list)
        again = read_manifest(write_manifest(rows), "manifest.csv")
        assert manifest_hash(again) == manifest_hash(rows)


@fuzz(300)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_arbitrary_bytes(data: bytes) -> None:
    read(data)


@fuzz(500)
@given(damaged(SAMPLES, TOKENS))
def test_damaged_manifests(data: bytes) -> None:
    read(data)
