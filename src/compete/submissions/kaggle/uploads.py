"""What the process that talks to Kaggle does with datasets and notebooks; every public method is an operation.

Calls that make something are sent once: Kaggle's client would repeat `CreateDataset` and `CreateDatasetVersion` up to
ten times where a connection is cut, and a call that had arrived would count twice. Whoever asked for it asks Kaggle
what became of it instead.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Among the names of calls that Kaggle answered: one that counts was about to be made.
UNDER_WAY = "under way"
# Calls whose good answer has a field `error` of its own.
TELLING = ("CreateDataset", "CreateDatasetVersion", "SaveKernel")


class UploadFailedError(Exception):
    """A file did not arrive, and nothing was made of those that did."""


class DatasetRefusedError(Exception):
    """What Kaggle says in a good answer of why it makes no dataset of what arrived."""


class Uploads:
    """Datasets and notebooks of the account that is logged in."""

    def __init__(self, api: Any, reached: set[str]) -> None:
        self.api, self.reached = api, reached

    def account(self) -> str:
        """The user's name, as it stands in addresses."""
        return str(self.api.get_config_value("username") or "")

    def dataset(self, owner: str, name: str) -> dict[str, Any] | None:
        """What Kaggle says of a dataset; None if there is none, or none of this account's.

        notes: by version; that of the first is the description, since a new dataset has no notes.
        """
        from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

        request = ApiGetDatasetRequest()
        request.owner_slug, request.dataset_slug = owner, name
        found = list[Any]()
        with self._client() as client, _none_where_none():
            found.append(client.datasets.dataset_api_client.get_dataset(request))
        if not found:
            return None
        about = found[0]
        notes = {str(each.version_number): each.version_notes or "" for each in about.versions or []}
        notes["1"] = f"{notes.get('1', '')} {about.description or ''}"
        return {"version": int(about.current_version_number or 0), "notes": notes, "private": bool(about.is_private)}

    def dataset_status(self, owner: str, name: str) -> str:
        """ "ready", "failed", or how far Kaggle is with the latest version."""
        from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetStatusRequest

        request = ApiGetDatasetStatusRequest()
        request.owner_slug, request.dataset_slug = owner, name
        with self._client() as client:
            return str(client.datasets.dataset_api_client.get_dataset_status(request).status.name.lower())

    def create_dataset(self, owner: str, name: str, title: str, folder: str, note: str, license_name: str) -> None:
        """A private dataset of a folder."""
        from kagglesdk.datasets.types.dataset_api_service import ApiCreateDatasetRequest

        request = ApiCreateDatasetRequest()
        request.owner_slug, request.slug, request.title = owner, name, title
        request.license_name, request.description, request.is_private = license_name, note, True
        with self._uploaded(folder) as top, self._client() as client:
            request.files, request.directories = top.files, top.directories
            self.reached.add(UNDER_WAY)
            _refuse(client.datasets.dataset_api_client.create_dataset(request))

    def create_version(self, owner: str, name: str, folder: str, note: str) -> None:
        """A further version of a dataset."""
        from kagglesdk.datasets.types.dataset_api_service import (
            ApiCreateDatasetVersionRequest,
            ApiCreateDatasetVersionRequestBody,
        )

        body, request = ApiCreateDatasetVersionRequestBody(), ApiCreateDatasetVersionRequest()
        body.version_notes = note
        with self._uploaded(folder) as top, self._client() as client:
            body.files, body.directories = top.files, top.directories
            request.owner_slug, request.dataset_slug, request.body = owner, name, body
            self.reached.add(UNDER_WAY)
            _refuse(client.datasets.dataset_api_client.create_dataset_version(request))

    def notebook(self, owner: str, name: str, version: int | None = None) -> dict[str, Any] | None:
        """What Kaggle says of a notebook, or of one version; None if there is none, or none of this account's."""
        from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

        request = ApiGetKernelRequest()
        request.user_name, request.kernel_slug = owner, name
        if version is not None:
            request.version_label = f"v{version}"
        found = list[Any]()
        with self._client() as client, _none_where_none():
            found.append(client.kernels.kernels_api_client.get_kernel(request))
        if not found:
            return None
        metadata, blob = found[0].metadata, found[0].blob
        return {
            "version": int(metadata.current_version_number or 0),
            "competitions": list(metadata.competition_data_sources or []),
            "source": blob.source or "",
        }

    def push_notebook(self, folder: str, session: int | None = None) -> dict[str, Any]:
        """Save and run the notebook of a folder with a kernel-metadata.json; the version, and what Kaggle objects to.

        session: seconds after which Kaggle ends the run.
        """
        self.reached.add(UNDER_WAY)
        saved = self.api.kernels_push(folder, timeout=None if session is None else str(session))
        lists = {
            "datasets": saved.invalid_dataset_sources,
            "competitions": saved.invalid_competition_sources,
            "models": saved.invalid_model_sources,
        }
        return {
            "version": int(saved.version_number or 0),
            "error": saved.error or "",
            "invalid": {what: list(names) for what, names in lists.items() if names},
        }

    def notebook_run(self, owner: str, name: str, version: int) -> dict[str, str]:
        """How far the run of a version is; "complete", "error", "cancel_acknowledged", or on its way."""
        from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

        request = ApiGetKernelSessionStatusRequest()
        request.user_name, request.kernel_slug, request.version_label = owner, name, f"v{version}"
        with self._client() as client:
            found = client.kernels.kernels_api_client.get_kernel_session_status(request)
        return {"status": found.status.name.lower(), "reason": found.failure_message or ""}

    def notebook_files(self, owner: str, name: str, version: int | None = None) -> list[dict[str, Any]]:
        """Names and sizes of what a version wrote; of the latest for None."""
        which, token, found = _which(owner, name, version), None, list[dict[str, Any]]()
        while True:
            answer = self.api.kernels_list_files(which, page_token=token, page_size=100)
            found += [{"name": each.name, "bytes": int(each.size or 0)} for each in answer.files or []]
            token = answer.next_page_token
            if not token:
                return found

    def notebook_output(self, owner: str, name: str, folder: str, pattern: str, version: int | None = None) -> None:
        """Write what a version wrote and the pattern finds, and its log, into a folder."""
        self.api.kernels_output(_which(owner, name, version), folder, file_pattern=pattern, force=True, quiet=True)

    def _client(self) -> Any:
        return self.api.build_kaggle_client()

    @contextlib.contextmanager
    def _uploaded(self, folder: str) -> Iterator[Any]:
        """The files and folders of a folder, uploaded, as a request names them.

        What of it arrived is noted by the client in the system's temporary folder, for it to go on from after a crash;
        the notes go once the block has ended well.
        """
        from kaggle.api.kaggle_api_extended import ResumableUploadContext

        with ResumableUploadContext() as context:
            try:
                top = self._directory(folder, "", context)
            except ValueError as error:  # "Upload unsuccessful: NAME"
                if "Upload unsuccessful" not in str(error):
                    raise
                raise UploadFailedError(str(error).rpartition(": ")[2]) from None
            yield top

    def _directory(self, folder: str, name: str, context: Any) -> Any:
        from kagglesdk.blobs.types.blob_api_service import ApiBlobType
        from kagglesdk.datasets.types.dataset_api_service import ApiUploadDirectoryInfo

        made = ApiUploadDirectoryInfo()
        made.name = name
        # The files of this folder alone; the client adds them to the list of what it takes for a request.
        self.api.upload_files(made, None, folder, ApiBlobType.DATASET, context, quiet=True)
        inside = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        made.directories = [self._directory(str(Path(folder, each)), each, context) for each in inside]
        return made


def _refuse(answer: Any) -> None:
    """Raise DatasetRefusedError where nothing was made; what was uploaded stays to be used."""
    if answer.error:
        raise DatasetRefusedError(str(answer.error))


def _which(owner: str, name: str, version: int | None) -> str:
    return f"{owner}/{name}" if version is None else f"{owner}/{name}/{version}"


@contextlib.contextmanager
def _none_where_none() -> Iterator[None]:
    """Pass over that Kaggle knows nothing of that name: to whom it is not, it says that it is forbidden."""
    import requests

    try:
        yield
    except requests.HTTPError as error:
        if error.response is None or error.response.status_code not in (403, 404):
            raise
