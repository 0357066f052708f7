"""A generator as a file of another program, compared with torch before it gets its name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.files import atomic_path, refuse_output
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.models.base import NoiseMode, TruncationCenter
from synthograph.models.snapshot import Snapshot
from synthograph.sampling import onnx_graph
from synthograph.sampling.onnx_graph import BATCHES, DrawingGraph, GraphOptions, OnnxInfo
from synthograph.workflows.export_requests import ExportRequest
from synthograph.workflows.latent_inputs import open_network

SUFFIX = ".onnx"


@dataclass(frozen=True, repr=False)
class ExportResult(Result):
    """A file that was written.

    Attributes:
        path: where it is.
        info: its document.
    """

    path: Path
    info: OnnxInfo

    def lines(self) -> Iterator[str]:
        """What is in the file, and how near its images are to those of torch."""
        info = self.info
        size = self.path.stat().st_size / 1e6
        yield f"{self.path}: {size:.1f} MB, ONNX opset {info.opset}, {info.precision}"
        yield f"  inputs: {', '.join(info.inputs)}; output: images, {info.spec.describe()}"
        if info.classes:
            numbers = ", ".join(f"{n} {name}" for n, name in enumerate(info.classes))
            yield f"  classes: {numbers}"
        batches = ", ".join(map(str, BATCHES))
        yield (
            f"  compared with torch in batches of {batches}: {_levels(info.largest_difference)} at "
            f"most, {_levels(info.mean_difference)} on average"
        )
        yield f"  licence: {info.licence or 'not stated (--licence)'}"


def _levels(difference: float | None) -> str:
    return f"{(difference or 0) * 127.5:.2g} grey levels of 255"


def run(request: ExportRequest, *, progress: Progress) -> ExportResult:
    """Trace, compare, name.

    Raises:
        UserError: a package is missing, the file exists or its ending is another, or its images are
            not those of the network; then no file is left.
    """
    if request.onnx.suffix != SUFFIX:
        raise UserError(f"--onnx {request.onnx}: the name of an ONNX file ends in {SUFFIX}")
    refuse_output(request.onnx, "--onnx", file=True)
    onnx_graph.require_packages()
    snapshot = open_network(request.network, progress)
    graph = DrawingGraph(snapshot, _options(request, snapshot, progress))
    if graph.means is None:
        progress.log("note: this network keeps no mean style, so the file has no truncation")
    progress.log("tracing the network, which takes from 10 seconds to minutes")
    with atomic_path(request.onnx) as half:
        onnx_graph.write_graph(graph, half)
        largest, mean = onnx_graph.differences(half, snapshot, graph)
        allowed = graph.options.tolerance
        if not (largest <= allowed.largest and mean <= allowed.mean):
            way = "; leave --fp16 out" if request.fp16 else ""
            raise UserError(
                f"{request.onnx}: was not written, since its images differ from those of torch by "
                f"{_levels(largest)} ({_levels(mean)} on average), at most "
                f"{_levels(allowed.largest)} ({_levels(allowed.mean)}) are allowed{way}"
            )
        info = onnx_graph.describe(snapshot, graph, request.licence)
        info = info.model_copy(update={"largest_difference": largest, "mean_difference": mean})
        onnx_graph.add_document(half, info)
    return ExportResult(request.onnx, info)


def _options(request: ExportRequest, snapshot: Snapshot, progress: Progress) -> GraphOptions:
    noise = NoiseMode(request.noise_mode)
    if noise is not NoiseMode.CONST and not snapshot.info.model.has_noise:
        progress.log(f"note: --noise-mode {noise} has no effect: the network has no noise")
        noise = NoiseMode.CONST
    return GraphOptions(noise, TruncationCenter(request.trunc_center), request.fp16)
