"""Published names and addresses: one download, or a message that helps. No network."""

import hashlib
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.download import is_offline
from synthograph.models.published import (
    HOST,
    PHANTOMS,
    PUBLISHED,
    fetch,
    is_name,
    licence,
    locate,
    named,
    suggested,
)
from synthograph.models.snapshot import load, partner
from tests.core.untrusted.test_download import Answer, Server, left_behind

URL = "https://example.org/some%20nets/network-snapshot-000100.pkl"
CONTENT = bytes(range(256)) * 9000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNTHOGRAPH_OFFLINE", raising=False)
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path))


def test_download_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, shown = Server(Answer(length=len(CONTENT))), []

    def track(pieces, total):
        for piece in pieces:
            shown.append((len(piece), total))
            yield piece

    path = fetch(URL, track=track, opener=server)
    assert path.read_bytes() == CONTENT
    assert path.name == "network-snapshot-000100.pkl"
    assert left_behind(tmp_path) == [path]
    assert shown == [(1 << 20, 3), (1 << 20, 3), (len(CONTENT) - (2 << 20), 3)]
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "1")
    assert fetch(URL, opener=server) == path
    assert server.asked == [URL]


def test_addresses_never_share_a_file() -> None:
    other = URL.replace("example.org", "example.com")
    first = fetch(URL, opener=Server(Answer()))
    second = fetch(other, opener=Server(Answer(b"x")))
    assert first != second
    assert first.name == second.name


@pytest.mark.parametrize("name", ["ffhq256", "ffhq512", "ffhq1024", "celebahq256", "lsundog256"])
def test_published_names(name: str, tmp_path: Path) -> None:
    server = Server(Answer(b"weights"))
    path = fetch(name, opener=server)
    assert server.asked == [PUBLISHED[name]]
    assert path == tmp_path / "weights" / PUBLISHED[name].rpartition("/")[2]
    assert path.suffix == ".pkl"


def test_networks_of_our_own_are_small_and_tell_nothing(tmp_path: Path) -> None:
    assert sorted(PHANTOMS) == ["phantom:knee", "phantom:skin"]
    for name in PHANTOMS:
        snapshot = load(locate(name))
        assert list(snapshot.discriminators) == ["image"]
        assert (snapshot.info.spec.height, snapshot.info.spec.width) == (64, 64)
        assert not snapshot.info.group_digests and not snapshot.info.image_digests
        assert licence(name) is None
    files = [file for path in PHANTOMS.values() for file in (path, partner(path))]
    assert sum(file.stat().st_size for file in files) < 3e6
    assert not left_behind(tmp_path), "nothing is downloaded"
    with pytest.raises(UserError, match="did you mean 'phantom:skin'"):
        locate("phantom:skim")


@pytest.mark.parametrize(
    ("modalities", "side", "kimg", "name"),
    [
        ({"image": 3}, 32, 20, "phantom:skin"),
        ({"image": 1}, 64, 60, "phantom:knee"),
        ({"vis": 3, "nir": 1}, 32, 20, None),
        ({"image": 3}, 128, 20, None),
        ({"image": 3}, 16, 20, None),
        ({"image": 3}, 32, 400, None),
    ],
)
def test_a_start_is_suggested_where_it_was_measured_to_help(
    modalities: dict[str, int], side: int, kimg: float, name: str | None
) -> None:
    spec = ImageSpec(height=side, width=side, modalities=modalities)
    assert suggested(spec, kimg) == name


def test_names_are_told_from_paths() -> None:
    assert all(map(is_name, ("phantom:skin", "ffhq256", "none", URL)))
    assert not any(map(is_name, ("runs/00000", "./ffhq256", "a.safetensors")))


def test_an_installation_without_the_files_suggests_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PHANTOMS, "phantom:knee", tmp_path / "gone.safetensors")
    assert suggested(ImageSpec(height=32, width=32, modalities={"image": 1}), 20) is None


def test_licence() -> None:
    for text in ("ffhq256", f"{HOST}/other.pkl"):
        note = licence(text)
        assert note is not None and "non-commercial" in note
    assert licence("runs/00000-x") is None
    assert licence(URL) is None


def test_offline_says_what_to_put_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(Answer())
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "1")
    with pytest.raises(UserError) as caught:
        fetch("ffhq256", opener=server)
    message, folder = str(caught.value), tmp_path / "weights"
    name = "ffhq-res256-mirror-paper256-noaug.pkl"
    for part in ("SYNTHOGRAPH_OFFLINE", PUBLISHED["ffhq256"], f"put it as {name}", str(folder)):
        assert part in message
    assert not server.asked
    folder.mkdir()
    (folder / name).write_bytes(b"brought by hand")
    assert fetch("ffhq256", opener=server).read_bytes() == b"brought by hand"
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "0")
    assert not is_offline()


def test_pinned_hashes(tmp_path: Path) -> None:
    wrong = f"{URL}#sha256={'0' * 64}"
    with pytest.raises(UserError, match=f"its sha256 is {SHA256}, expected 0000"):
        fetch(wrong, opener=Server(Answer()))
    assert not left_behind(tmp_path)
    server = Server(Answer())
    path = fetch(f"{URL}#sha256={SHA256}", opener=server)
    assert server.asked == [URL]
    path.write_bytes(b"changed")
    with pytest.raises(UserError, match="another file, or damaged"):
        fetch(f"{URL}#sha256={SHA256}", opener=server)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://example.org/x.pkl", "only https"),
        ("file:///etc/passwd", "only https"),
        ("ftp://example.org/x.pkl", "only https"),
        ("https://example.org/x.zip", "names no .pkl or .safetensors file"),
        ("https://example.org/", "names no"),
        ("https://[x/y.pkl", "is no valid address"),
        ("https://example.org/\udcff.pkl", "is no valid address"),
        ("https://example.org/a%5Cx.pkl", "names no"),
        (f"{URL}#md5=00", "only sha256= and 64 hex digits"),
        (f"{URL}#sha256=00", "only sha256= and 64 hex digits"),
        ("ffhq257", "did you mean 'ffhq256'"),
    ],
)
def test_what_is_not_downloaded(text: str, message: str) -> None:
    server = Server(Answer())
    with pytest.raises(UserError, match=message):
        fetch(text, opener=server)
    assert not server.asked


def test_paths_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ffhq256").mkdir()
    assert locate("./ffhq256") == Path("ffhq256")
    assert locate(str(tmp_path)) == tmp_path
    assert locate("missing.pkl") == Path("missing.pkl")  # whoever reads it says that it is missing
    with pytest.raises(UserError, match="neither a file nor a known network"):
        locate("fhq256")
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "1")
    with pytest.raises(UserError, match="forbids downloads"):
        locate("ffhq256")


def test_names_and_addresses_that_were_read_as_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert named(Path(f"{URL}#sha256=00")) == f"{URL}#sha256=00"
    for name in ("phantom:skin", "ffhq256", "ftp://example.org/a.pkl"):
        assert named(Path(name)) == name
    for path in ("missing.pkl", "none", "a/ffhq256", "c:/a.pkl"):
        assert named(Path(path)) is None
    (tmp_path / "ffhq256").mkdir()
    assert named(Path("ffhq256")) is None, "what is there is meant"
