"""The schema of every JSON that a command writes or reads: frozen pydantic models with
`schema_version`, `load`, `save` and `public`, which leaves out what is private. Working rooms write
through them; the report, the command line and notebooks read through them; no other room names a
key of these files. Needs no torch.

Public names: `load` (any file), `AnnotationSet`, `Evaluation`, `Audit`, `Authenticity`,
`DomainGap`, `Sensitivity`, `CrossFold`, `PairDistances`, `Directions`, `Projections`,
`ClassifierEvaluation`, `SegmenterEvaluation`, `Study`, `Search`, `Race`, `ReportContent`,
`BestSnapshot`, `StatusLine`, `Truncation`, `PainterAgreement`, `ModelCard`, `MaskGeneratorInfo`;
`evaluation.parse_line` (a line of `metrics.jsonl` and `evaluations.jsonl`), `measures` (titles and
directions) and `base` (how files of others are read).
"""

from synthograph.results.annotations import AnnotationSet, PainterAgreement
from synthograph.results.audit import Audit
from synthograph.results.authenticity import Authenticity
from synthograph.results.card import ModelCard
from synthograph.results.classification import ClassifierEvaluation
from synthograph.results.directions import Directions
from synthograph.results.domain_gap import DomainGap
from synthograph.results.evaluation import Evaluation
from synthograph.results.files import load
from synthograph.results.folds import CrossFold
from synthograph.results.mask_generator import MaskGeneratorInfo
from synthograph.results.pairs import PairDistances
from synthograph.results.projection import Projections
from synthograph.results.race import Race
from synthograph.results.report import ReportContent
from synthograph.results.search import Search
from synthograph.results.segmentation import SegmenterEvaluation
from synthograph.results.sensitivity import Sensitivity
from synthograph.results.study import Study
from synthograph.results.training import BestSnapshot, StatusLine
from synthograph.results.truncation import Truncation

__all__ = [
    "AnnotationSet",
    "Audit",
    "Authenticity",
    "BestSnapshot",
    "ClassifierEvaluation",
    "CrossFold",
    "Directions",
    "DomainGap",
    "Evaluation",
    "MaskGeneratorInfo",
    "ModelCard",
    "PainterAgreement",
    "PairDistances",
    "Projections",
    "Race",
    "ReportContent",
    "Search",
    "SegmenterEvaluation",
    "Sensitivity",
    "Study",
    "StatusLine",
    "Truncation",
    "load",
]
