"""`synthograph annotate`: images to paint, their masks, and the mask generator."""

import typer

from synthograph.cli.options import plain_verb
from synthograph.workflows.annotate_requests import (
    AnnotateAgreementRequest,
    AnnotateFromRealRequest,
    AnnotateGenerateRequest,
    AnnotateImportRequest,
    AnnotateReviewRequest,
    AnnotateSampleRequest,
    AnnotateTrainRequest,
)

annotate = typer.Typer(help="Paint a few synthetic images, and get masks for thousands.")
annotate.command("sample")(plain_verb(AnnotateSampleRequest))
annotate.command("import")(plain_verb(AnnotateImportRequest))
annotate.command("from-real")(plain_verb(AnnotateFromRealRequest))
annotate.command("agreement")(plain_verb(AnnotateAgreementRequest))
annotate.command("train")(plain_verb(AnnotateTrainRequest))
annotate.command("generate")(plain_verb(AnnotateGenerateRequest))
annotate.command("review")(plain_verb(AnnotateReviewRequest))
