"""Phantoms: seeded procedural test objects whose truth is known, in any size and number.

As in medical physics, a phantom stands in for a patient where one must know what the right answer
is: every factor that a picture shows, its class, its patient and its pixel mask are known, and so
is the best AUROC that any classifier can reach. Kinds: `skin` (dermoscopy-like lesions), `eye`
(visible light and near infrared), `knee` (MR-like sagittal slices).

Public names: `PhantomKind`, `Site`, `PhantomOptions`, `PhantomSet`, `make_phantoms`.
"""

from synthograph.sources.phantoms.assemble import PhantomSet, make_phantoms
from synthograph.sources.phantoms.options import PhantomKind, PhantomOptions, Site

__all__ = ["PhantomKind", "PhantomOptions", "PhantomSet", "Site", "make_phantoms"]
