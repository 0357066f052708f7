"""`synthograph classify`: train, evaluate and use a classifier."""

import typer

from synthograph.cli.options import plain_verb
from synthograph.workflows.downstream_requests import (
    ClassifyEvaluateRequest,
    ClassifyPredictRequest,
    ClassifyTrainRequest,
)

classify = typer.Typer(help="Train a classifier, evaluate it on held-out patients, predict.")
classify.command("train")(plain_verb(ClassifyTrainRequest))
classify.command("evaluate")(plain_verb(ClassifyEvaluateRequest))
classify.command("predict")(plain_verb(ClassifyPredictRequest))
