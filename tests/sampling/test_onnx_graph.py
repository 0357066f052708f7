"""Generators as ONNX files: their inputs, their images, and what they tell."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.models.base import NoiseMode, TruncationCenter
from synthograph.sampling import onnx_graph
from synthograph.sampling.onnx_graph import DrawingGraph, GraphOptions
from tests.sampling.test_generate import make_snapshot

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")


@pytest.mark.slow
def test_images_are_those_of_torch_and_the_file_says_what_it_needs(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "network", size=(8, 16))
    options = GraphOptions(NoiseMode.RANDOM, TruncationCenter.CLASS)
    graph, path = DrawingGraph(snapshot, options), tmp_path / "network.onnx"
    onnx_graph.write_graph(graph, path)
    largest, mean = onnx_graph.differences(path, snapshot, graph)
    assert 0 <= mean <= largest < 1e-4
    onnx_graph.add_document(path, onnx_graph.describe(snapshot, graph, "CC-BY-4.0"))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    said = session.get_modelmeta().custom_metadata_map
    document = json.loads(said[onnx_graph.KEY])
    assert document["classes"] == ["a b", "c/d"] and document["spec"]["width"] == 16
    assert document["network_sha256"] == said["network_sha256"] == snapshot.sha256
    assert said["licence"] == "CC-BY-4.0" and document["opset"] == 18
    assert document["inputs"] == [each.name for each in session.get_inputs()]
    assert document["inputs"] == ["z", "class", "truncation", "noise"]
    inputs = {name: value.numpy() for name, value in graph.example(3).items()}
    images = session.run(None, inputs)[0]
    assert images.shape == (3, 4, 8, 16) and images.dtype == np.float32
    other = session.run(None, {**inputs, "noise": -inputs["noise"]})[0]
    strengths = [p for n, p in snapshot.generator.named_parameters() if "noise_strength" in n]
    assert all(not p.any() for p in strengths) == np.array_equal(other, images)
    # neither folders of this machine nor digests of training images
    content = path.read_bytes()
    assert str(Path(onnx_graph.__file__).parent).encode() not in content
    assert b"stack_trace" not in content and b"group_digests" not in content


@pytest.mark.slow
def test_half_precision(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "network", size=(16, 16), channel_base=256, channel_max=32)
    sizes = {}
    for half in (False, True):
        graph, path = DrawingGraph(snapshot, GraphOptions(half=half)), tmp_path / f"{half}.onnx"
        onnx_graph.write_graph(graph, path)
        largest, mean = onnx_graph.differences(path, snapshot, graph)
        assert largest < graph.options.tolerance.largest and mean < graph.options.tolerance.mean
        assert half == (mean > 1e-5)
        sizes[half] = path.stat().st_size
    assert sizes[True] < 0.8 * sizes[False]


def test_the_graph_draws_as_the_family_does(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "network")
    for center in TruncationCenter:
        graph = DrawingGraph(snapshot, GraphOptions(NoiseMode.NONE, center)).eval()
        inputs = graph.example(5)
        images = graph(*inputs.values())
        for row, image in enumerate(images):
            alone = graph.kind.sample(
                snapshot.generator,
                inputs["z"][row : row + 1],
                torch.eye(2)[inputs["class"][row : row + 1]],
                truncation=float(inputs["truncation"][row]),
                center=center,
                noise=NoiseMode.NONE,
            )
            torch.testing.assert_close(image, alone[0], rtol=1e-4, atol=1e-5)


def test_networks_without_classes_or_mean(tmp_path: Path) -> None:
    plain = make_snapshot(tmp_path / "plain", classes=(), w_avg_decay=None)
    assert list(DrawingGraph(plain, GraphOptions()).example(2)) == ["z"]
    vectors = make_snapshot(tmp_path / "vectors", classes=(), width=3)
    assert list(DrawingGraph(vectors, GraphOptions()).example(2)) == ["z", "label", "truncation"]
    with pytest.raises(UserError, match="class mean needs a network with classes"):
        DrawingGraph(vectors, GraphOptions(center=TruncationCenter.CLASS))
