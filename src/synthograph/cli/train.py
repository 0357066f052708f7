"""`synthograph train`."""

from synthograph.cli.options import verb
from synthograph.core.progress import Printed
from synthograph.workflows import run
from synthograph.workflows.requests.train import TrainRequest


@verb(TrainRequest)
def train(request: TrainRequest) -> None:
    """Train a generator on an archive, or go on with a run that was stopped."""
    run(request, progress=Printed())  # the run prints what its log holds
