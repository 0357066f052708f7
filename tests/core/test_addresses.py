"""No password of an address is written down."""

from pathlib import Path

import pytest

from synthograph.core.addresses import hidden, writable_address

SECRET = (
    "https://ann:s3cret@track.example.org/mlflow",
    "postgresql://ann:s3c@ret/x@db/mlflow",
    "postgresql://db/mlflow?user=ann&password=s3cret",
    "http://s3cret@host:5000",
)


@pytest.mark.parametrize("address", SECRET)
def test_credentials(address: str) -> None:
    assert "s3c" not in hidden(f"no answer from {address}: refused")
    assert hidden(f"no answer from {address}: refused").startswith("no answer from ")
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_URI") as error:
        writable_address(address)
    assert "s3c" not in str(error.value)


def test_what_holds_none_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("http://127.0.0.1:5000", "sqlite:////data/mlflow.db", "databricks"):
        assert writable_address(address) == hidden(address) == address
    monkeypatch.chdir(tmp_path)
    assert writable_address("sqlite:///a/mlflow.db") == f"sqlite:///{tmp_path}/a/mlflow.db"
