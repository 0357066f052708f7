"""What many tests need: a cache of their own, small archives, and one CPU thread per worker."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the suite runs in several processes
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell script
    signal.signal(signal.SIGINT, signal.default_int_handler)

from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.progress import Silent, Track
from synthograph.core.spec import ImageSpec
from synthograph.features import packaged
from tests import check_anew

ONE_OF_TWO = {
    "WORLD_SIZE": "2",
    "RANK": "0",
    "LOCAL_RANK": "0",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "1",
}
"""What torchrun sets for the first of two processes."""
NVIDIA = Path(__file__).parent / "data" / "nvidia"


def pytest_runtest_setup() -> None:
    """Let every test check shapes anew."""
    check_anew()


@pytest.fixture(autouse=True)
def own_signals() -> Iterator[None]:
    """Restore what a command made of signals in this process: what it ignores, its children do."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture
def one_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process as the first of two."""
    for name, value in ONE_OF_TWO.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def random_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure by random features unless a test names others: they are fast, and everywhere."""
    monkeypatch.setattr(packaged, "trained_is_here", lambda: False)


@pytest.fixture
def trained_features(random_features: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure as where the extra is installed."""
    package = packaged.PACKAGES[packaged.TRAINED]
    if package.path is None:
        pytest.skip(f"the package {package.module.replace('_', '-')} is missing")
    monkeypatch.setattr(packaged, "trained_is_here", lambda: True)


@pytest.fixture
def threads() -> Iterator[None]:
    """Restore torch's number of threads after a test that changes it."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def make_archive(
    path: Path,
    *,
    count: int = 24,
    size: tuple[int, int] = (16, 16),
    modalities: dict[str, int] | None = None,
    bits: int = 8,
    classes: tuple[str, ...] = ("dark", "bright"),
    split: str | None = None,
    seed: int = 0,
    invariances: tuple[str, ...] | None = ("mirror", "rotate", "colour"),
    namespace: str = "test",
) -> Path:
    """An archive of noise whose brightness tells the class; two images a patient."""
    modalities = modalities or {"image": 3}
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if bits == 8 else np.uint16
    top = 2**bits
    writer = ArchiveWriter(path, {"test": seed})
    for i in range(count):
        label = i % len(classes) if classes else 0
        low = top // 2 * label // max(len(classes) - 1, 1)
        pixels = {
            name: rng.integers(low, low + top // 2, (*size, channels)).astype(dtype)
            for name, channels in modalities.items()
        }
        row = Row("", classes[label] if classes else None, f"P{i // 2}", split=split)
        writer.add([encode(pixels, None, row)])
    spec = ImageSpec(height=size[0], width=size[1], modalities=modalities, bits=bits)
    kept = None if invariances is None else list(invariances)
    writer.finish(
        ArchiveInfo(classes=list(classes), spec=spec, namespace=namespace, invariances=kept)
    )
    return path


class Heard:
    """A listener that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)

    def track(self, what: str) -> Track:
        return Silent().track(what)

    def ask(self, question: str) -> str:
        return Silent().ask(question)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "set.zip")
