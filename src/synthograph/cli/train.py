"""`synthograph train`."""

from synthograph.cli.options import verb
from synthograph.core.progress import Printed
from synthograph.workflows import run
from synthograph.workflows.requests import TrainRequest


@verb(TrainRequest)
def train(request: TrainRequest) -> None:
    """Train; the run itself prints what its log holds."""
    run(request, progress=Printed())
