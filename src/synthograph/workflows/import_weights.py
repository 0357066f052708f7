"""Weights out of a file."""

from synthograph.core.progress import Progress
from synthograph.features.weights import import_weights
from synthograph.workflows.requests import ImportWeightsRequest
from synthograph.workflows.weights import WeightsFile


def run(request: ImportWeightsRequest, *, progress: Progress) -> WeightsFile:
    """Check a file of weights and keep it.

    Raises:
        UserError: an unknown name, or not the published file.
    """
    del progress
    return WeightsFile(import_weights(request.name, request.file))
