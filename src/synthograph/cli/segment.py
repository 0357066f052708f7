"""`synthograph segment`: train, evaluate and use a segmenter."""

import typer

from synthograph.cli.options import plain_verb
from synthograph.workflows.downstream_requests import (
    SegmentEvaluateRequest,
    SegmentPredictRequest,
    SegmentTrainRequest,
)

segment = typer.Typer(help="Train a segmenter, evaluate it on held-out patients, write masks.")
segment.command("train")(plain_verb(SegmentTrainRequest))
segment.command("evaluate")(plain_verb(SegmentEvaluateRequest))
segment.command("predict")(plain_verb(SegmentPredictRequest))
