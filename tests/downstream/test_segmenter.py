"""Files of segmenters."""

from pathlib import Path

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.tensors import write_tensors
from synthograph.downstream.segmenter import (
    Segmenter,
    SegmenterInfo,
    build,
    load,
    save,
)

pytest.importorskip("monai", reason="monai is missing")


def info(**changes: object) -> SegmenterInfo:
    return SegmenterInfo(
        **{
            "package_version": "0",
            "classes": ["back", "cell"],
            "values": [0, 255],
            "spec": ImageSpec(height=16, width=16, modalities={"image": 1}),
            "selection": {},
            "group_digests": [],
            "image_digests": [],
            "data": "a.zip",
            "network": "unet",
            "width": 4,
            "depth": 2,
            "counts": {"real": 1, "synthetic": 0},
            "shares": [0.5, 0.5],
            **changes,
        }
    )


def test_a_file_gives_the_same_masks(tmp_path: Path) -> None:
    made = Segmenter(info(), build(info()).eval())
    made.network.standardise([0.3], [0.0])
    save(tmp_path / "s.safetensors", made)
    back = load(tmp_path / "s.safetensors", torch.device("cpu"))
    images = torch.rand(3, 1, 16, 16)
    assert torch.equal(back.predict(images), made.predict(images))
    assert back.info == made.info


def test_files_that_contradict_themselves(tmp_path: Path) -> None:
    path, made = tmp_path / "s.safetensors", build(info())
    for changes, words in (
        ({"values": [0]}, "2 classes, 1 mask values"),
        ({"values": [0, 1000]}, "values"),
        ({"network": "unets"}, "network 'unets' is unknown: did you mean 'unet'"),
        ({"width": 512, "depth": 8}, "far larger than what is stored"),
        ({"depth": 3}, "tensor"),
        ({"classes": ["back"]}, "classes"),
    ):
        tree = {**info().tree(), **changes}
        write_tensors(path, made.state_dict(), tree)
        with pytest.raises(UserError, match=words):
            load(path, torch.device("cpu"))
