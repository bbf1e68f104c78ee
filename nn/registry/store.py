"""MLflow, and the only file that knows it (REG-6): runs, their metrics and pictures, registered versions, aliases.

From: `nn.forecast`. To: a tracking server or SQLite file for people to look at. The service never reads it: what it
serves is the signed export that `manifest.py` writes, so a row changed in MLflow changes no trade.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Set before the import: MLflow reads them once.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis

DEFAULT_TRACKING_URI = "sqlite:///user_data/mlflow/mlflow.db"
BATCH = 100  # parameters, tags or metrics in one request: MLflow's own limits are 100 to 1000
VALUE_LIMIT = 6000  # characters of a parameter; MLflow refuses longer ones
VERSION_FOLDER = "version"  # of a run's artifacts: manifest, signature, weights


class StoreProblem(RuntimeError):
    """MLflow cannot be reached or refused; the message names its address and what it said."""


@dataclass(frozen=True)
class Store:
    """A tracking server or database, and the line of models (registered model) that is written there."""

    client: MlflowClient
    uri: str
    line: str

    @classmethod
    def open(cls, uri: str | None, line: str) -> Store:
        """Connect; a SQLite file and its folder are made when they are not there.

        Raises
        ------
        StoreProblem
            If the address does not answer or is of no known kind.
        """
        uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI
        parts = urlsplit(uri)
        if parts.scheme == "sqlite":
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)  # its migration story is not ours
        with _told(uri), warnings.catch_warnings():
            # MLflow 3.17 maps its tables in a way that SQLAlchemy 2.1 calls outdated; it is theirs to change.
            warnings.filterwarnings("ignore", message="The ``noload`` loader strategy is deprecated")
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            if not client.search_registered_models(filter_string=f"name = '{line}'"):
                client.create_registered_model(line, description="The service reads the signed export.")
            return cls(client, uri, line)

    @contextmanager
    def run(self, name: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[Run]:
        """Log one training run; it ends as FAILED when the block raises, as KILLED when it is interrupted."""
        with _told(self.uri):
            run = self.client.create_run(self._experiment(), run_name=name, tags=dict(tags))
            logged = Run(self, run.info.run_id)
            logged.parameters(parameters)
        status = "FAILED"
        try:
            yield logged
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            with _told(self.uri):
                self.client.set_terminated(run.info.run_id, status=status)

    def set_alias(self, alias: str, number: str) -> None:
        """Point an alias at a registered version, as the signed alias file does."""
        with _told(self.uri):
            self.client.set_registered_model_alias(self.line, alias, number)

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(self.line)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(self.line, artifact_location=self._artifacts()))

    def _artifacts(self) -> str | None:
        """Return where artifacts lie: beside a SQLite file; a server knows its own place."""
        if not self.uri.startswith("sqlite:///"):
            return None
        return (Path(self.uri.removeprefix("sqlite:///")).absolute().parent / "artifacts" / self.line).as_uri()


@dataclass(frozen=True)
class Run:
    """A training run that is being logged."""

    store: Store
    run_id: str

    def parameters(self, values: Mapping[str, Any]) -> None:
        params = [Param(name, str(value)[:VALUE_LIMIT]) for name, value in values.items()]
        for begin in range(0, len(params), BATCH):
            with _told(self.store.uri):
                self.store.client.log_batch(self.run_id, params=params[begin : begin + BATCH])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log numbers of one epoch; those that are not finite are left out, as MLflow cannot draw them."""
        now = get_current_time_millis()
        metrics = [Metric(name, float(value), now, step) for name, value in values.items() if abs(value) < float("inf")]
        for begin in range(0, len(metrics), BATCH):
            with _told(self.store.uri):
                self.store.client.log_batch(self.run_id, metrics=metrics[begin : begin + BATCH])

    def tags(self, values: Mapping[str, str]) -> None:
        with _told(self.store.uri):
            self.store.client.log_batch(self.run_id, tags=[RunTag(name, str(value)) for name, value in values.items()])

    def figure(self, figure: Any, name: str) -> None:
        """Log a matplotlib figure as a picture."""
        with _told(self.store.uri):
            self.store.client.log_figure(self.run_id, figure, name)

    def text(self, text: str, name: str) -> None:
        with _told(self.store.uri):
            self.store.client.log_text(self.run_id, text, name)

    def register(self, folder: Path, tags: Mapping[str, str]) -> str:
        """Log a signed version's files, register them and return the number that MLflow gives the version."""
        with _told(self.store.uri):
            self.store.client.log_artifacts(self.run_id, str(folder), VERSION_FOLDER)
            source = f"{self.store.client.get_run(self.run_id).info.artifact_uri}/{VERSION_FOLDER}"
            version = self.store.client.create_model_version(
                self.store.line, source=source, run_id=self.run_id, tags=dict(tags), description=folder.name
            )
            return str(version.version)


@contextmanager
def _told(uri: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, OSError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StoreProblem(f"MLflow at {_without_password(uri)}: {first}") from error


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    return uri.replace(f":{parts.password}@", ":***@") if parts.password else uri
