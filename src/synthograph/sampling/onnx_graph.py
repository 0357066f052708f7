"""A generator as an ONNX file, which other programs draw with.

The graph is traced with a batch of two, whose size stays open. Modulated convolutions scale the
features instead of the kernels (`ops/modulation.py`), so no kernel belongs to an image and the
number of groups of a convolution never depends on the batch.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pydantic
import torch
from torch import Tensor, nn

from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.version import VERSION
from synthograph.models.base import Networks, NoiseMode, TruncationCenter
from synthograph.models.registry import family
from synthograph.models.snapshot import Snapshot
from synthograph.models.styles import StyleFamily, truncate

# n image, z latent, c class, p noise number

OPSET = 18
KEY = "synthograph"
"""Under it an ONNX file holds its document."""
BATCHES = (1, 2, 5)
"""Numbers of images that a file is compared with torch on."""
MAX_BYTES = 2_000_000_000
"""Of the parameters: one ONNX file holds no more."""
MISSING = (
    "ONNX files need the packages onnx, onnxscript and onnxruntime: "
    "pip install 'synthograph[export]'"
)


@dataclass(frozen=True)
class Tolerance:
    """How far images may be from those of torch, which lie in [-1, 1]."""

    largest: float
    mean: float


FP32 = Tolerance(2e-3, 2e-4)
"""A quarter of a grey level of 8 bits at most."""
FP16 = Tolerance(6e-2, 4e-3)
"""Half a grey level of 8 bits on average."""


@dataclass(frozen=True)
class GraphOptions:
    """What is fixed in the graph.

    Attributes:
        noise: fixed maps, an input for maps that the caller draws, or none.
        center: what truncation pulls to.
        half: blocks compute in fp16; mapping and outputs stay fp32.
    """

    noise: NoiseMode = NoiseMode.CONST
    center: TruncationCenter = TruncationCenter.GLOBAL
    half: bool = False

    @property
    def tolerance(self) -> Tolerance:
        """What its arithmetic allows."""
        return FP16 if self.half else FP32


class OnnxInfo(Config):
    """The document in an ONNX file: what a program needs to make images of the network's numbers.

    Attributes:
        network_sha256: of the generator's file.
        largest_difference: from torch, of images in [-1, 1]; likewise the mean.
    """

    format: int = pydantic.Field(1, ge=1, le=1)
    family: str
    spec: ImageSpec
    inputs: list[str]
    classes: list[str] = []
    label_width: int = 0
    z_dim: int
    noise_mode: NoiseMode
    noise_pixels: int = 0
    truncation_center: TruncationCenter | None = None
    precision: Literal["fp32", "fp16"]
    opset: int = OPSET
    images_seen: int = 0
    network_sha256: str
    licence: str | None = None
    largest_difference: float | None = None
    mean_difference: float | None = None
    package_version: str = VERSION


class DrawingGraph(nn.Module):
    """Latents, classes, truncation psi and noise of every image to images [n, c, h, w]."""

    labels: Tensor
    means: Tensor

    def __init__(self, snapshot: Snapshot, options: GraphOptions) -> None:
        super().__init__()
        info, self.options = snapshot.info, options
        self.kind, self.condition = family(info.family), info.condition
        self.generator = self.kind.portable(snapshot.generator)
        if options.half:
            self.kind.set_precision(Networks(self.generator, nn.ModuleDict()), torch.float16)
        self.register_buffer("labels", torch.eye(self.condition.width))
        self.register_buffer("means", self._means())
        self.z_dim, self.noise_pixels = info.model.z_dim, 0
        if isinstance(self.kind, StyleFamily) and options.noise is NoiseMode.RANDOM:
            self.noise_pixels = self.kind.latent_space(self.generator).noise_pixels

    def _means(self) -> Tensor | None:
        """What truncation pulls to: a style, or one of every class; None where there is none.

        Raises:
            UserError: means of classes are wanted of a network without classes.
        """
        if not isinstance(self.kind, StyleFamily):
            return None
        by_class = self.options.center is TruncationCenter.CLASS
        if by_class and not self.condition.classes:
            raise UserError("truncation to the class mean needs a network with classes")
        label = self.labels if by_class else None
        try:
            with torch.no_grad():
                return self.kind.mean_styles(
                    self.generator, max(len(self.labels), 1), label, self.options.center
                )[: None if by_class else 1].clone()
        except UserError:
            return None

    def example(self, count: int) -> dict[str, Tensor]:
        """Inputs of so many images, the same for every graph."""
        draws = torch.Generator().manual_seed(count)
        made = {"z": torch.randn(count, self.z_dim, generator=draws)}
        if self.condition.classes:
            made["class"] = torch.arange(count) % len(self.condition.classes)
        elif self.condition.width:
            made["label"] = self.labels[torch.arange(count) % self.condition.width]
        if self.means is not None:
            made["truncation"] = torch.linspace(1, 0.5, count)
        if self.noise_pixels:
            made["noise"] = torch.randn(count, self.noise_pixels, generator=draws)
        return made

    def forward(
        self,
        z: Tensor,
        which: Tensor | None = None,
        truncation: Tensor | None = None,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Images of the full size, fp32, nominally in [-1, 1].

        Args:
            z: standard normal latents, [n, z].
            which: numbers of classes, int64 [n]; label vectors of a network without classes.
            truncation: psi of every image, [n].
            noise: standard normal numbers for the noise maps, [n, p].
        """
        label = which if which is None or which.is_floating_point() else self.labels[which]
        if not isinstance(self.kind, StyleFamily):
            return self.kind.sample(self.generator, z, label, noise=self.options.noise)
        ws = self.kind.mapping(self.generator, z, label)
        if truncation is not None:
            by_class = self.options.center is TruncationCenter.CLASS
            mean = self.means[which] if by_class else self.means.expand(z.shape[0], -1)
            ws = truncate(ws, truncation[:, None, None], mean)
        return self.kind.synthesis(self.generator, ws, noise=self.options.noise, maps=noise)


def describe(snapshot: Snapshot, graph: DrawingGraph, licence: str | None) -> OnnxInfo:
    """The document of the file; nothing in it tells of training images."""
    info, options = snapshot.info, graph.options
    return OnnxInfo(
        family=info.family,
        spec=info.spec,
        inputs=list(graph.example(1)),
        classes=list(info.condition.classes),
        label_width=info.label_width,
        z_dim=graph.z_dim,
        noise_mode=options.noise,
        noise_pixels=graph.noise_pixels,
        truncation_center=None if graph.means is None else options.center,
        precision="fp16" if options.half else "fp32",
        images_seen=info.images_seen,
        network_sha256=snapshot.sha256,
        licence=licence,
    )


def require_packages() -> None:
    """Refuse to begin where a package is missing.

    Raises:
        UserError: one is.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript
    except ImportError as error:
        raise UserError(f"{MISSING} ({error})") from None
    del onnx, onnxruntime, onnxscript


def traced(graph: DrawingGraph) -> torch.export.ExportedProgram:
    """All operations of the graph, for any number of images.

    Raises:
        RuntimeError: the family computes what cannot be traced.
    """
    inputs, batch = graph.example(2), torch.export.Dim("batch")
    named = dict(zip(arguments(inputs), inputs.values(), strict=True))
    shapes = {name: {0: batch} for name in named}
    with _quiet(), torch.no_grad():
        return torch.export.export(graph.eval(), (), named, dynamic_shapes=shapes, strict=False)


def write_graph(graph: DrawingGraph, path: Path) -> None:
    """Trace the graph and write it, without the document.

    Raises:
        UserError: the network is larger than a file can be.
    """
    size = sum(p.numel() * p.element_size() for p in graph.generator.parameters())
    if size > MAX_BYTES:
        raise UserError(f"the network has {size / 1e9:.1f} GB, an ONNX file holds 2 GB at most")
    program = traced(graph)
    with _quiet(), torch.no_grad():
        written = torch.onnx.export(
            program,
            input_names=list(graph.example(2)),
            output_names=["images"],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        assert written is not None, "the exporter of torch.export returns one"
        if graph.options.half:
            _fold(written.model)
        _forget_source(written.model)
        written.save(str(path))


def arguments(inputs: dict[str, Tensor]) -> list[str]:
    """What `DrawingGraph.forward` calls these inputs; `class` is no name in Python."""
    return ["which" if name in ("class", "label") else name for name in inputs]


def _fold(model: Any) -> None:  # noqa: ANN401 - a type of an optional package
    """Compute what depends on no input, so that the file holds kernels in fp16."""
    from onnxscript import optimizer

    optimizer.optimize(model, input_size_limit=MAX_BYTES, output_size_limit=MAX_BYTES)


def _forget_source(model: Any) -> None:  # noqa: ANN401 - a type of an optional package
    """Remove the traces of source files, which tell of the folders of this machine."""
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in [*model.graph.inputs, *model.graph.initializers.values()]:
        value.metadata_props.clear()
    model.graph.metadata_props.clear()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter tells of its own way, of names that it makes alike, and of torchvision."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def add_document(path: Path, info: OnnxInfo) -> None:
    """Write the document into a file, and check the file as ONNX does."""
    import onnx

    model = onnx.load(str(path))
    said = {KEY: info.model_dump_json(), "network_sha256": info.network_sha256}
    if info.licence is not None:
        said["licence"] = info.licence
    onnx.helper.set_model_props(model, said)
    model.producer_name, model.producer_version = "synthograph", VERSION
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def differences(path: Path, snapshot: Snapshot, graph: DrawingGraph) -> tuple[float, float]:
    """The largest and the mean difference between images of a file and those of torch in fp32.

    torch draws every image alone, as `sample` of the family does.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest, means = 0.0, []
    for count in BATCHES:
        inputs = graph.example(count)
        given = {name: value.numpy() for name, value in inputs.items()}
        images = session.run(["images"], given)[0]
        wanted = np.concatenate([_drawn(snapshot, graph, inputs, row) for row in range(count)])
        if images.shape != wanted.shape or not np.isfinite(images).all():
            return float("inf"), float("inf")
        apart = np.abs(images.astype(np.float64) - wanted)
        largest = max(largest, float(apart.max()))
        means.append(float(apart.mean()))
    return largest, max(means)


def _drawn(
    snapshot: Snapshot, graph: DrawingGraph, inputs: dict[str, Tensor], row: int
) -> np.ndarray:
    """One image as torch draws it."""
    own = {name: value[row : row + 1] for name, value in inputs.items()}
    kind, generator, options = graph.kind, snapshot.generator, graph.options
    label = own.get("label", graph.labels[own["class"]] if "class" in own else None)
    psi = float(own["truncation"]) if "truncation" in own else 1.0
    with torch.no_grad():
        if not isinstance(kind, StyleFamily):
            return kind.sample(generator, own["z"], label, noise=options.noise).numpy()
        ws = kind.mapping(generator, own["z"], label)
        if psi != 1:
            ws = truncate(ws, psi, kind.mean_styles(generator, 1, label, options.center))
        return kind.synthesis(generator, ws, noise=options.noise, maps=own.get("noise")).numpy()
