"""Films as they are asked for: what is in the file, what goes on, what is refused before work."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.progress import Silent
from synthograph.models import registry
from synthograph.models.snapshot import Snapshot
from synthograph.sampling import interpolation
from synthograph.sampling.latents import Rendering, Space, of_seeds, styles
from synthograph.workflows import generate, interpolate
from synthograph.workflows.latent_requests import InterpolateRequest
from synthograph.workflows.requests import GenerateRequest
from tests.models.staged import Staged
from tests.sampling.test_generate import make_snapshot
from tests.workflows.test_latent_inputs import SMALL, made


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return make_snapshot(tmp_path_factory.mktemp("network"))


class Listener(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def log(self, line: str) -> None:
        self.said.append(line)


Film = Callable[..., interpolate.InterpolateResult | None]


@pytest.fixture
def film(snapshot: Snapshot) -> Film:
    def run(
        out: Path,
        *,
        network: Path = snapshot.path,
        progress: Silent | None = None,
        **options: object,
    ) -> interpolate.InterpolateResult | None:
        moving = interpolation.Process(options.get("process", "interpolation")).moves
        given = {"classes": ["a b"], "size": "16x8", **({"frames": 6} if moving else {}), **options}
        asked = InterpolateRequest.parse({"network": network, "out": out, **given})
        return interpolate.run(asked, progress=progress or Silent())

    return run


def shown(path: Path) -> np.ndarray:
    """All frames of a folder."""
    files = sorted(path.glob("*.png"))
    return np.stack([np.asarray(Image.open(file)).astype(int) for file in files])


def test_key_frames_are_the_files_of_generate(
    film: Film, snapshot: Snapshot, tmp_path: Path
) -> None:
    film(tmp_path / "film", seeds="4,2,9", frames=5)
    asked = {"network": snapshot.path, "outdir": tmp_path / "files", "seeds": "2,4,9"}
    generate.run(GenerateRequest.parse({**asked, "classes": ["a b"]}), progress=Silent())
    frames = shown(tmp_path / "film")
    assert frames.shape == (5, 8, 16, 3), "both modalities, side by side"
    for frame, seed in ((0, 4), (2, 2), (4, 9)):
        image = np.asarray(Image.open(tmp_path / "files" / f"seed{seed:04d}.png")).astype(int)
        other = np.asarray(Image.open(tmp_path / "files" / "nir" / f"seed{seed:04d}.png"))
        assert np.abs(frames[frame, :, :8] - image).max() <= 1
        assert np.abs(frames[frame, :, 8:] - other[:, :, None].astype(int)).max() <= 1


def test_all_kinds_of_films_show_the_same(film: Film, tmp_path: Path) -> None:
    for name in ("film", "film.webp", "film.png"):
        result = film(tmp_path / name, seeds="1,2")
        assert result is not None and result.frames == 6 and result.size == (16, 8)
        assert list(result.lines()) == [f"{tmp_path / name}: 6 frames of 16x8 pixels"]
    frames = shown(tmp_path / "film")
    strip = np.asarray(Image.open(tmp_path / "film.png"))
    assert (strip == np.concatenate(list(frames), axis=1)).all()
    with Image.open(tmp_path / "film.webp") as webp:
        for number, pixels in enumerate(frames):
            webp.seek(number)
            assert (np.asarray(webp.convert("RGB")) == pixels).all()


def test_a_sweep_has_a_row_of_a_filmstrip(film: Film, tmp_path: Path) -> None:
    film(tmp_path / "psi.png", seeds="1-3", process="truncation", increment=0.25)
    with Image.open(tmp_path / "psi.png") as strip:
        assert strip.size == (5 * 16, 3 * 8)


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ({"seeds": "1-3", "process": "image"}, 3),
        ({"seeds": "1,2", "process": "truncation", "increment": 0.5}, 6),
        ({"seeds": "1", "process": "truncation", "start": 0.9}, 11),
        ({"process": "interpolation-truncation", "easing": "bounceEaseOut"}, 6),
        ({"interpolation": "noiseloop", "diameter": 30}, 6),
        ({"interpolation": "circularloop", "seeds": "7"}, 6),
        ({"interpolation": "linear", "space": "w", "loop": True, "seeds": "1,2"}, 6),
        ({"seeds": "3", "classes": ["a b", "1"], "space": "w"}, 6),
    ],
)
def test_what_films_can_show(film: Film, tmp_path: Path, options: dict, frames: int) -> None:
    film(tmp_path / "film", **options)
    found = shown(tmp_path / "film")
    assert len(found) == frames
    assert len({frame.tobytes() for frame in found}) > 1
    assert not [path for path in (tmp_path / "film").iterdir() if path.suffix != ".png"]


def test_saved_latents_are_keys(film: Film, snapshot: Snapshot, tmp_path: Path) -> None:
    seeds = of_seeds(snapshot, [4, 2], ["a b", "c/d"])
    seeds.save(tmp_path / "z.npz", snapshot)
    ws = styles(snapshot, seeds, Rendering())
    kept = type(seeds)(ws, Space.W, seeds.labels, seeds.names, seeds.seeds)
    kept.save(tmp_path / "w.npz", snapshot)
    film(tmp_path / "seeds", seeds="4,2", classes=["a b", "c/d"], space="w")
    film(tmp_path / "z", latents=tmp_path / "z.npz", classes=[], space="w")
    film(tmp_path / "w", latents=tmp_path / "w.npz", classes=[])
    wanted = shown(tmp_path / "seeds")
    assert (shown(tmp_path / "z") == wanted).all()
    assert np.abs(shown(tmp_path / "w") - wanted).max() <= 1
    for place, name in enumerate("ab"):
        kept.take(slice(place, place + 1)).save(tmp_path / f"{name}.npz", snapshot)
    film(tmp_path / "files", latents=[tmp_path / "a.npz", tmp_path / "b.npz"], classes=[])
    assert (shown(tmp_path / "files") == shown(tmp_path / "w")).all()
    film(tmp_path / "along z", latents=tmp_path / "z.npz", classes=["a b"])
    assert not (shown(tmp_path / "along z") == wanted).all()
    plain = replace(kept, labels=(None, None))  # as files of other programs are
    plain.save(tmp_path / "plain.npz", snapshot)
    film(tmp_path / "plain", latents=tmp_path / "plain.npz", classes=[], trunc=0.5)
    with pytest.raises(UserError, match="conditional: name a class"):
        asked = {"latents": tmp_path / "plain.npz", "classes": [], "trunc_center": "class"}
        film(tmp_path / "no", **asked, trunc=0.5)
    with pytest.raises(UserError, match="has no latents 'z'"):
        film(tmp_path / "no", latents=tmp_path / "w.npz", space="z")


def test_a_folder_goes_on_where_it_was_stopped(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(tmp_path / "whole", seeds="1,2", frames=13)
    counted = itertools.count()
    monkeypatch.setattr(
        interpolate.StopRequest, "requested", property(lambda self: next(counted) == 9)
    )
    with pytest.raises(StoppedError, match=r"after 9 of 13 frames; .*film keeps .* --frames 13"):
        film(tmp_path / "film", seeds="1,2", frames=13)
    kept = sorted((tmp_path / "film").glob("frame*.png"))
    assert len(kept) == 9
    with pytest.raises(UserError, match="another `interpolate` was interrupted here"):
        film(tmp_path / "film", seeds="1,3", frames=13)
    before = [path.stat().st_mtime_ns for path in kept]
    film(tmp_path / "film", seeds="1,2", frames=13)
    assert [path.stat().st_mtime_ns for path in kept] == before
    assert (shown(tmp_path / "film") == shown(tmp_path / "whole")).all()
    with pytest.raises(UserError, match="frame0000.png exists already: choose another --out"):
        film(tmp_path / "film", seeds="1,2", frames=13)


def test_a_film_that_is_stopped_leaves_nothing(
    film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpolate.StopRequest, "requested", property(lambda self: True))
    with pytest.raises(StoppedError, match="nothing is written, the same command starts again"):
        film(tmp_path / "film.webp")
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_says_what_would_be_and_how_long(film: Film, tmp_path: Path) -> None:
    listener = Listener()
    assert film(tmp_path / "film.webp", dry_run=True, progress=listener) is None
    assert film(tmp_path / "film", dry_run=True, progress=listener) is None
    assert listener.said[0].endswith("film.webp: 6 frames of 16x8 pixels")
    assert listener.said[1] == "takes about 1 s on cpu"
    assert list(tmp_path.iterdir()) == []


def test_sixteen_bits_show_their_upper_eight(tmp_path: Path, film: Film) -> None:
    grey = make_snapshot(tmp_path / "grey", bits=16, classes=())
    film(tmp_path / "film", network=grey.path, classes=[], seeds="0,1", size="8")
    keys = of_seeds(grey, [0, 1], [None, None])
    path = interpolation.between(keys.values, spherical=True)
    steps = interpolation.steps_by_keys(2, 6, 1)
    deep = list(interpolation.frames(grey, interpolation.Film(keys, steps, path, Rendering())))
    assert (shown(tmp_path / "film")[..., 0] == np.concatenate(deep) >> 8).all()


@pytest.mark.parametrize("family", ["stylegan1", "stylegan2"])
def test_any_family_with_styles(tmp_path: Path, family: str) -> None:
    """16 bits, twice as wide as high; the first frame is the image of its seed."""
    network = made(family, SMALL, tmp_path / "n").path
    how = {"network": network, "seeds": "1,2"}
    sg.interpolate(**how, size="32x16", frames=3, trunc=0.7, out=tmp_path / "film")
    sg.generate(**how, trunc=0.7, outdir=tmp_path / "files")
    frames = shown(tmp_path / "film")
    assert frames.shape == (3, 16, 32, 3)
    with Image.open(tmp_path / "files" / "seed0002.png") as image:
        assert np.abs(frames[2, ..., 0] - (np.asarray(image) >> 8)).max() <= 1


def test_a_network_without_styles_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.FAMILIES, "staged", Staged())
    network = made("staged", {}, tmp_path / "n").path
    with pytest.raises(UserError, match="has no mapping and no synthesis"):
        sg.interpolate(network=network, out=tmp_path / "film.webp")
    assert not (tmp_path / "film.webp").exists()


def test_small_images_are_enlarged(tmp_path: Path, film: Film) -> None:
    found = film(tmp_path / "film.webp", size=None, frames=2, seeds="0,1")
    assert found is not None and found.size == (512, 256)
    strip = film(tmp_path / "film.png", size=None, frames=2, seeds="0,1")
    assert strip is not None and strip.size == (128, 64)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"classes": []}, r"conditional: name a class, --class a b or c/d"),
        ({"classes": ["c/d", "a b", "a b"], "seeds": "1,2"}, "3 classes for 2 key images"),
        ({"classes": ["x"]}, "--class: class 'x' is unknown"),
        ({"seeds": "1,two"}, "--seeds '1,two'"),
        ({"seeds": "0-9"}, "--frames 6: 10 key images need a frame each"),
        ({"seeds": "1", "latents": "w.npz"}, "--seeds and --latents exclude each other"),
        ({"interpolation": "noiseloop", "seeds": "1"}, "leave out --seeds and --latents"),
        ({"interpolation": "circularloop", "seeds": "1,2"}, "a loop has one centre"),
        ({"interpolation": "noiseloop", "process": "truncation"}, "noiseloop has none"),
        ({"seeds": "7"}, "one key image does not move"),
        ({"interpolation": "slerp", "space": "w"}, "slerp: goes through z, not through w"),
        ({"interpolation": "noiseloop", "space": "w"}, "noiseloop: goes through z"),
        ({"process": "truncation", "trunc": 0.5}, "--trunc: --process truncation sweeps psi"),
        ({"process": "truncation", "increment": 1e-320}, "more than 100000 steps"),
        ({"start": 0.5}, "--start: has no effect here: --process truncation sweeps psi"),
        ({"process": "image", "loop": True}, "--loop: has no effect here: --process interpol"),
        ({"process": "truncation", "frames": 6}, "--frames: has no effect here"),
        ({"random_seed": 5}, "--random-seed: has no effect here"),
        ({"diameter": 5.0}, "--diameter: has no effect here: .* or circularloop is a loop"),
        ({"fps": 1e-4}, "fps"),
        ({"size": "4"}, "--size 4: smaller than the images, 16x8"),
        ({"latents": "none.npz"}, "none.npz"),
        ({"trunc_center": "nowhere"}, "trunc_center"),
    ],
)
def test_what_is_refused(tmp_path: Path, film: Film, options: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        film(tmp_path / "film.webp", **options)
    with pytest.raises(UserError, match=r"film\.avi: animations are"):
        film(tmp_path / "film.avi")
    assert list(tmp_path.iterdir()) == []
