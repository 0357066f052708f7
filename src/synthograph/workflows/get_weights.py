"""Weights by download."""

from synthograph.core.progress import Progress
from synthograph.features.weights import get_weights, weight_state
from synthograph.workflows.requests import GetWeightsRequest
from synthograph.workflows.weights import WeightsFile


def run(request: GetWeightsRequest, *, progress: Progress) -> WeightsFile:
    """Download weights that are not here, check and keep them.

    Raises:
        UserError: an unknown name, no connection, or not the published file.
    """
    state = weight_state(request.name)
    if not state.present:
        progress.log(f"note: licence of {request.name}: {state.file.licence}")
    offline = True if request.offline else None
    return WeightsFile(
        get_weights(request.name, offline=offline, track=progress.track("downloading"))
    )
