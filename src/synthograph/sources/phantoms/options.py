"""What can be set of a phantom set."""

import enum

import pydantic
from pydantic import Field

from synthograph.core.config import Config
from synthograph.core.untrusted.documents import JsonObject

NOT_OF_EYES = {
    "auroc": "an eye's class is its side, which its picture shows, so its best AUROC is 1",
    "separation": "an eye's class is its side, of which there are two and nothing between",
    "patient_effect": "an eye's label has no noise, and what a patient's eyes share is fixed",
}
"""Settings that eyes do not have, and why."""


class PhantomKind(enum.StrEnum):
    """The objects that can be drawn."""

    SKIN = "skin"
    EYE = "eye"
    KNEE = "knee"


class Site(enum.StrEnum):
    """Where the pictures were taken: `a`, or `b` with another camera."""

    A = "a"
    B = "b"


class PhantomOptions(Config):
    """One set of phantoms. The same seed at two sites shows the same patients to two cameras."""

    kind: PhantomKind = Field(description="object: skin, eye or knee")
    count: int = Field(ge=1, le=10_000_000, description="number of images, 1 to 10 million")
    size: int = Field(
        64, ge=16, le=2048, description="side of the square images in pixels, 16 to 2048"
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seed of everything, 0 to 2^63 - 1")
    site: Site = Field(Site.A, description="camera: a, or b with another look")
    site_shift: float = Field(
        1.0,
        ge=0,
        le=2,
        description="how far camera b is from camera a: 0 the same, 1 usual, at most 2",
    )
    auroc: float = Field(
        0.90,
        gt=0.5,
        le=0.999,
        description="best possible AUROC of skin and knee labels before `separation`, above 0.5, "
        "at most 0.999",
    )
    separation: float = Field(
        0.0,
        ge=0,
        le=4,
        description="how far the classes of skin and knee are moved apart, in standard deviations "
        "of their score, 0 to 4; with any but 0 they differ more than `auroc` says",
    )
    prevalence: float | None = Field(
        None,
        ge=0.01,
        le=0.99,
        description="share of the second class, 0.01 to 0.99; default 0.4, for eyes 0.5",
    )
    confounders: float = Field(
        1.0,
        ge=0,
        le=4,
        description="strength of hair, vignette and their like: 0 none, 1 usual, at most 4",
    )
    confounder_correlation: float = Field(
        0.0,
        ge=-1,
        le=1,
        description="correlation of the confounders with the liability behind the label, -1 to 1; "
        "with any but 0 the confounders tell of the label beyond `auroc`",
    )
    images_per_patient: float = Field(
        4.0, ge=1, le=1000, description="mean number of images of a patient, 1 to 1000"
    )
    patient_effect: float = Field(
        0.8,
        ge=0,
        le=1,
        description="share of the variance of factors and label noise of skin and knee between "
        "patients, 0 to 1",
    )

    def recorded(self) -> JsonObject:
        """As an unfinished archive records them: without what came later and was not asked for."""
        return {k: v for k, v in self.tree().items() if k != "separation" or v}

    @pydantic.model_validator(mode="after")
    def _has_settings(self) -> "PhantomOptions":
        if self.kind is not PhantomKind.EYE:
            return self
        fields = type(self).model_fields
        known = ", ".join(name for name in fields if name not in {"kind", *NOT_OF_EYES})
        for name, why in NOT_OF_EYES.items():
            if getattr(self, name) != fields[name].default:
                raise ValueError(f"{name}: {why}; choose skin or knee, or for eyes {known}")
        return self
