"""`synthograph annotate`: images to paint, their masks, and the mask generator."""

import typer

from synthograph.cli.options import plain_verb
from synthograph.workflows.annotate_requests import AnnotateSampleRequest

annotate = typer.Typer(help="Paint a few synthetic images, and get masks for thousands.")
annotate.command("sample")(plain_verb(AnnotateSampleRequest))
