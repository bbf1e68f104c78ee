"""MLflow: every run with its numbers and pictures, every version with its tags and aliases (TRN-6, REG-6).

The only file that knows MLflow. From: `nn.forecast`. To: people who compare runs in its UI, and the signed alias file
that serving reads; serving itself never comes here. Nothing is sent anywhere but to the tracking URI.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from .aliases import AliasFile
from .files import folder_lock
from .keys import Keys
from .manifest import Manifest
from .promotion import CHALLENGER, CHAMPION, publish

if TYPE_CHECKING:
    from matplotlib.figure import Figure

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_DISABLE_ENV_MANAGER_CONDA_WARNING", "true")
with warnings.catch_warnings():  # what its dependencies deprecate is not ours to mend
    warnings.simplefilter("ignore")
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

DEFAULT_URI = "sqlite:///user_data/mlflow/mlflow.db"
VERSION_TAGS = ("trained_from", "trained_until", "valid_from", "feature_digest", "data_fingerprint", "git_commit")
PARAM_LIMIT = 500  # characters; older servers cut or refuse longer ones
MODEL_FOLDER = "model"  # of a run's artifacts: what the registered version points at


class StoreProblem(RuntimeError):
    """The tracking store cannot be reached or refuses; the message names its URI."""


def tracking_uri(given: str | None = None) -> str:
    """Return the URI asked for, else MLFLOW_TRACKING_URI, else SQLite under user_data."""
    return given or os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def hide_password(text: str, uri: str) -> str:
    """Return a text about a tracking URI with the URI's password, quoted or plain, replaced by stars."""
    password = urlsplit(uri).password
    for written in {password, unquote(password)} if password else ():
        text = text.replace(written, "***")
    return text


def _open_sqlite(uri: str) -> Path:
    """Make the database's folder, try to open it, return the artifact folder beside it.

    MLflow would try for a hundred seconds before it says that a file cannot be opened.
    """
    database = Path(uri.removeprefix("sqlite:///")).absolute()
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA schema_version")
    except (OSError, sqlite3.Error) as error:
        raise StoreProblem(f"MLflow at {uri} cannot be opened: {error}") from error
    return database.parent / "artifacts"


class Run:
    """One run in MLflow: parameters first, metrics as they come, files at the end."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.id = store, run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        now = int(time.time() * 1000)
        with self.store.speaking() as client:
            client.log_batch(self.id, metrics=[Metric(name, value, now, step) for name, value in metrics.items()])

    def log_text(self, text: str, path: str) -> None:
        with self.store.speaking() as client:
            client.log_text(self.id, text, path)

    def log_figure(self, figure: Figure, path: str) -> None:
        with self.store.speaking() as client:
            client.log_figure(self.id, figure, path)

    def register(self, folder: Path, manifest: Manifest) -> str:
        """Copy the exported version into the run and register it; return its number in MLflow."""
        with self.store.speaking() as client:
            client.log_artifacts(self.id, str(folder), MODEL_FOLDER)
            fields = manifest.model_dump(mode="json")
            tags = {name: str(fields[name]) for name in VERSION_TAGS}
            tags |= {"candlewright_version": manifest.version, "embargo_bars": str(manifest.embargo_bars)}
            version = client.create_model_version(
                self.store.line, source=f"runs:/{self.id}/{MODEL_FOLDER}", run_id=self.id, tags=tags
            )
            client.set_tag(self.id, "candlewright_version", manifest.version)
            return str(version.version)


class Store:
    """The experiment and registered model of one model line.

    Parameters
    ----------
    uri : str
        MLflow tracking URI; `sqlite:///...` is made when it is not there, with its artifacts in a folder beside it.
    line : str
        Name of experiment and registered model.
    """

    def __init__(self, uri: str, line: str) -> None:
        self.uri, self.line = uri, line
        artifacts = _open_sqlite(uri) if uri.startswith("sqlite:///") else None
        self.client: Any = None
        # Two trainings that begin at once would both make the tables of a new database.
        with nullcontext() if artifacts is None else folder_lock(artifacts.parent), self.speaking(opening=True):
            self.client = MlflowClient(uri, registry_uri=uri)
            found = self.client.get_experiment_by_name(line)
            place = None if artifacts is None else artifacts.as_uri()
            self.experiment = found.experiment_id if found else self.client.create_experiment(line, place)
            if not self.client.search_registered_models(f"name = '{line}'"):
                self.client.create_registered_model(line, description="A Candlewright model line: signed versions")

    @contextmanager
    def speaking(self, opening: bool = False) -> Iterator[Any]:
        """Turn whatever MLflow raises into one sentence, and keep its chatter out of ours."""
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield self.client
        except (MlflowException, OSError) as error:
            what = "cannot be opened" if opening else "failed"
            said = " ".join(hide_password(str(error), self.uri).split())[:300]
            # Without the cause: a traceback would print the address as it is.
            raise StoreProblem(f"MLflow at {hide_password(self.uri, self.uri)} {what}: {said}") from None

    @contextmanager
    def run(self, name: str, params: Mapping[str, str], tags: Mapping[str, str]) -> Iterator[Run]:
        """Open a run; it ends FINISHED, or FAILED when the block raises, KILLED when it is interrupted."""
        with self.speaking() as client:
            run_id = client.create_run(self.experiment, run_name=name).info.run_id
            client.log_batch(
                run_id,
                params=[Param(key, value[:PARAM_LIMIT]) for key, value in params.items()],
                tags=[RunTag(key, value) for key, value in tags.items()],
            )
        status = "FAILED"
        try:
            yield Run(self, run_id)
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            with self.speaking() as client:
                client.set_terminated(run_id, status)

    def publish(self, line_folder: Path, keys: Keys, chain: Sequence[str], extend: bool = False) -> AliasFile:
        """Let `chain` score history and its newest version wait as challenger, then show it in MLflow.

        The signed file decides and comes first. Where MLflow fails after it, that is a warning: it follows at the next
        move, or when a verb shows the versions.
        """
        published = publish(line_folder, keys, chain, extend=extend)
        try:
            self.follow(published)
        except StoreProblem as problem:
            logger.warning("%s; the signed aliases have moved, MLflow follows at the next move", problem)
        return published

    def follow(self, signed: AliasFile) -> None:
        """Make the aliases in MLflow those of the signed file; how often it is called does not matter."""
        with self.speaking() as client:
            shown = dict(client.get_registered_model(self.line).aliases)
            wanted = {alias: self._number_of(version) for alias, version in signed.aliases.items()}
            for alias, number in wanted.items():
                if str(shown.get(alias)) != number:
                    client.set_registered_model_alias(self.line, alias, number)
            for alias in (CHAMPION, CHALLENGER):
                if alias in shown and alias not in wanted:
                    client.delete_registered_model_alias(self.line, alias)

    def _number_of(self, version: str) -> str:
        """Return the newest number under which MLflow knows a version."""
        found = self.client.search_model_versions(f"name = '{self.line}' and tag.candlewright_version = '{version}'")
        if not found:
            raise StoreProblem(f"MLflow at {hide_password(self.uri, self.uri)} has no version {version} of {self.line}")
        return str(max(int(each.version) for each in found))
