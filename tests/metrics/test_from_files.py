"""From PNG files to numbers: our whole chain against torch-fidelity's, resizing included.

Both get one network of the published shape with random weights. torch-fidelity runs as its users
run it, `calculate_metrics` on files that it opens itself; only what it takes from torchvision, to
turn a picture into a tensor, stands here, since torchvision need not be there.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from synthograph.archive.batches import ImageSet, archive_images
from synthograph.archive.reader import open_archive
from synthograph.core.devices import Precision
from synthograph.features import inception
from synthograph.features.base import WeightDigest
from synthograph.features.inception import Inception, InceptionExtractor
from synthograph.metrics import frechet, kernel, manifold
from synthograph.metrics.columns import extractor_column, rows_of
from synthograph.metrics.scores import inception_score
from synthograph.stats.sample import Sample
from tests.features.states import random_state, save, with_counters
from tests.metrics.peers import peer

COUNT = 12
AGREEMENT = 1e-3


def pictures(folder: Path, seed: int, *, size: tuple[int, int], sharp: float) -> Path:
    """PNG files of colours, grey ones among them, smooth with an edge and noise."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    for number in range(COUNT):
        wave = np.sin(rng.uniform(2, 20) * rows + rng.uniform(2, 20) * columns + rng.uniform(0, 6))
        edge = sharp * (rows + columns > rng.uniform(0.4, 1.4))
        shown = rng.uniform(60, 190, 3) + 40 * wave[..., None] + edge[..., None]
        shown = np.clip(shown + rng.normal(0, 8, shown.shape), 0, 255).astype(np.uint8)
        Image.fromarray(shown).save(folder / f"{number:03d}.png")
    return folder


def theirs(real: Path, fake: Path, weights: Path) -> dict[str, float]:
    fidelity, datasets = peer("torch_fidelity"), peer("torch_fidelity.datasets")

    def tensor(picture: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1)

    datasets.F = SimpleNamespace(pil_to_tensor=tensor)
    one, other = (
        datasets.ImagesPathDataset(sorted(map(str, folder.glob("*.png"))))
        for folder in (fake, real)
    )
    return fidelity.calculate_metrics(
        input1=one,
        input2=other,
        fid=True,
        kid=True,
        prc=True,
        isc=True,
        isc_splits=1,
        kid_subsets=1,
        kid_subset_size=COUNT,
        feature_extractor="inception-v3-compat",
        feature_extractor_weights_path=str(weights),
        cuda=False,
        cache=False,
        batch_size=10,
        save_cpu_ram=True,
        verbose=False,
    )


def ours(folder: Path, extractor: InceptionExtractor, cache: Path) -> tuple[ImageSet, torch.Tensor]:
    archive = open_archive(folder)
    images = archive_images(archive, archive.rows)
    (rows,) = rows_of(images, [extractor_column(extractor, images.spec)], folder=cache)
    return images, rows


def make_extractor(state: dict[str, torch.Tensor]) -> InceptionExtractor:
    with torch.device("meta"):
        network = Inception()
    network = network.to_empty(device="cpu").eval()
    network.load_state_dict(state)
    digest = WeightDigest("0" * 64, "x.pth", verified=False)
    return inception.RECIPE.make(network, digest, torch.device("cpu"), Precision.FP32)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch-fidelity
def test_from_files_to_numbers(tmp_path: Path, record_property) -> None:
    with torch.device("meta"):
        shapes = Inception()
    state = random_state(shapes)
    size = (45, 64)  # enlarged to 299x299 by factors that are no whole numbers and differ
    real = pictures(tmp_path / "real", 0, size=size, sharp=60)
    fake = pictures(tmp_path / "fake", 1, size=size, sharp=-60)
    want = theirs(real, fake, save(tmp_path / "x.pth", with_counters(state)))
    extractor = make_extractor(state)
    found = [ours(folder, extractor, tmp_path / "cache")[1] for folder in (real, fake)]
    one, other = (Sample.singles(rows[:, : extractor.dims]) for rows in found)
    value = frechet.frechet_distance(one, other).value
    assert value is not None
    # its covariances are divided by n - 1, the published ones by n
    gap = float((one.values.double().mean(0) - other.values.double().mean(0)).square().sum())
    unbiased = gap + (value - gap) * COUNT / (COUNT - 1)
    shares = manifold.manifold_measures(one, other)
    got = {
        "frechet_inception_distance": unbiased,
        "kernel_inception_distance_mean": kernel.kernel_distance(one, other).value,
        "precision": shares.precision.value,
        "recall": shares.recall.value,
        "inception_score_mean": inception_score(found[1][:, extractor.dims :], splits=1)[0].value,
    }
    for name, number in got.items():
        record_property(name, f"{number} ours, {want[name]} torch-fidelity")
        assert number == pytest.approx(want[name], rel=AGREEMENT), name
    assert want["precision"] < 1 and want["recall"] < 1, "shares that can be told apart"
