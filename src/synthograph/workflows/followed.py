"""Options of commands whose trainings can be followed: searches and studies, classifiers and
segmenters.
"""

from pydantic import Field

from synthograph.core.config import calling
from synthograph.core.request import Request, Words
from synthograph.training.config import TrackingConfig, TrainRequest

SIDE_BY_SIDE = "processes side by side, one per GPU (or CPU share)"


class Followed(Request):
    """Who follows the runs that a command trains."""

    tracker: Words = Field(
        (), description="who follows the runs: mlflow,wandb,tensorboard or none, as in train"
    )
    tracking_uri: str | None = Field(
        None,
        description="MLflow server or database; MLFLOW_TRACKING_URI, else mlflow.db in the folder",
    )
    experiment: str | None = Field(None, description="experiment of MLflow, project of W&B")

    def tracking(self) -> TrackingConfig:
        """These options as settings.

        Raises:
            UserError: a tracker is unknown, or the address holds a password.
        """
        given = {name: getattr(self, name) for name in Followed.model_fields}
        asked = TrainRequest.parse({name: value for name, value in given.items() if value})
        names = {path.removeprefix("tracking."): flag for path, flag in asked.names({}, {}).items()}
        with calling(names):
            return TrackingConfig.parse(asked.setting_tree().get("tracking", {}))


class FollowedFit(Followed):
    """Who follows the training of a classifier or segmenter."""

    tracker: Words = Field(
        (), description="who follows the training: tensorboard,mlflow,wandb; nobody if not given"
    )
    tracking_uri: str | None = Field(
        None,
        description="MLflow server or database; MLFLOW_TRACKING_URI, else tracking/mlflow.db "
        "beside the file to be written",
    )
