"""Datasets and notebooks of the stand-in for Kaggle: uploads, versions, runs, and what goes wrong with them.

Names of methods and fields are those that the unmodified client sends (kaggle 2.2.5, kagglesdk 0.1.38).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from support.kaggle_wire import Answer, Json, RefusedError, Request

Files = dict[str, bytes]


@dataclass
class Version:
    """One version of a dataset."""

    files: Files
    notes: str
    polls_left: int = 0
    failed: bool = False


@dataclass
class Dataset:
    owner: str
    title: str
    description: str
    is_private: bool
    versions: list[Version] = field(default_factory=list)


@dataclass
class Pushed:
    """One version of a notebook, and its run."""

    owner: str
    name: str
    number: int
    request: Json
    inputs: dict[str, Files]
    """Of every dataset, the files of the version that was the latest when it was pushed."""
    output: Files
    failure: str = ""
    polls_left: int = 0
    listed_sizes: dict[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return str(self.request["text"])

    @property
    def status(self) -> str:
        if self.polls_left:
            return "RUNNING"
        return "ERROR" if self.failure else "COMPLETE"


@dataclass
class _Blob:
    owner: str
    name: str
    length: int
    content: bytes | None = None
    offset: int = 0


def writes_nothing(pushed: Pushed) -> Files | str:
    """What a notebook does if nobody says otherwise."""
    return "the notebook wrote no output"


class Storage:
    """What the service knows of datasets and notebooks.

    `run` is a notebook's run: its output files, or the text of its failure. `rerun`: the same on the hidden test set.
    """

    def __init__(self) -> None:
        self.datasets: dict[str, Dataset] = {}  # "owner/name"
        self.notebooks: dict[str, list[Pushed]] = {}
        self.run: Callable[[Pushed], Files | str] = writes_nothing
        self.ready_after = 0  # how many looks at a new version find it unready; -1: all
        self.run_after = 0  # how many looks at a run find it running
        self.fail_processing = 0  # how many of the next versions cannot be processed
        self.quota = ""  # what a dataset is refused with, while it is set
        self.taken: set[str] = set()  # names that answer 409 although nobody sees a dataset there
        self.listed_sizes: dict[str, int] = {}  # sizes that are listed in place of the true ones
        self.blobs: dict[str, _Blob] = {}
        self.uploaded: list[str] = []  # names of files whose bytes arrived, in order

    # Blobs: of datasets, in one piece or resumed

    def start_blob_upload(self, user: str, body: Json) -> Answer:
        assert body["type"] == "DATASET", body
        token = f"dataset-blob-{len(self.blobs) + 1}"
        self.blobs[token] = _Blob(user, body["name"], body.get("contentLength", 0))
        return _json({"token": token, "createUrl": f"http://localhost/blob-upload/{token}"})

    def put(self, request: Request) -> Answer:
        """Bytes, or with `Content-Range: bytes */N` the question how many arrived."""
        blob = self.blobs.get(request.path.rpartition("/")[2])
        if blob is None:
            raise RefusedError(404, "No such upload")
        if request.headers.get("Content-Range", "").startswith("bytes */"):
            return Answer(200 if blob.content is not None else 308, b"", "text/plain")
        if len(request.body) != blob.length:
            return Answer(400, b"", "text/plain")
        blob.content = request.body
        self.uploaded.append(blob.name)
        return Answer(200, b"", "text/plain")

    # Datasets

    def create_dataset(self, user: str, body: Json) -> Answer:
        owner, name = body["ownerSlug"], body["slug"]
        if owner != user:
            raise RefusedError(403, "Permission 'datasets.create' was denied")
        if f"{owner}/{name}" in self.taken:
            raise RefusedError(409, "A dataset of this name already exists")
        if f"{owner}/{name}" in self.datasets:
            return _json({"status": "error", "error": f'The requested slug "{name}" is already in use by a dataset.'})
        if self.quota:
            return _json({"status": "error", "error": self.quota})
        assert 6 <= len(name) <= 50 and 6 <= len(body["title"]) <= 50, body
        made = Dataset(user, body["title"], body.get("description", ""), body.get("isPrivate", False))
        made.versions.append(self._version(user, body, "Initial release"))
        self.datasets[f"{owner}/{name}"] = made
        return _json(
            {"status": "ok", "ref": f"{owner}/{name}", "url": f"https://www.kaggle.com/datasets/{owner}/{name}"}
        )

    def create_dataset_version(self, user: str, body: Json) -> Answer:
        dataset = self._mine(user, body["ownerSlug"], body["datasetSlug"])
        if self.quota:
            return _json({"status": "error", "error": self.quota})
        dataset.versions.append(self._version(user, body["body"], body["body"].get("versionNotes", "")))
        return _json({"status": "ok", "ref": f"{body['ownerSlug']}/{body['datasetSlug']}"})

    def get_dataset(self, user: str, body: Json) -> Answer:
        dataset = self._mine(user, body["ownerSlug"], body["datasetSlug"])
        versions = [
            {"versionNumber": number, "versionNotes": each.notes, "status": "Ready"}
            for number, each in enumerate(dataset.versions, 1)
        ]
        return _json(
            {
                "ref": f"{body['ownerSlug']}/{body['datasetSlug']}",
                "title": dataset.title,
                "description": dataset.description,
                "isPrivate": dataset.is_private,
                "currentVersionNumber": len(versions),
                "versions": versions[::-1],
            }
        )

    def get_dataset_status(self, user: str, body: Json) -> Answer:
        latest = self._mine(user, body["ownerSlug"], body["datasetSlug"]).versions[-1]
        if latest.polls_left:
            latest.polls_left -= latest.polls_left > 0
            return _json({"status": "BLOBS_RECEIVED"})
        return _json({"status": "FAILED" if latest.failed else "READY"})

    def _mine(self, user: str, owner: str, name: str) -> Dataset:
        found = self.datasets.get(f"{owner}/{name}")
        if found is None or found.owner != user:
            raise RefusedError(403, "Permission 'datasets.get' was denied")
        return found

    def _version(self, user: str, body: Json, notes: str) -> Version:
        version = Version(self._files(user, body, ""), notes, self.ready_after, self.fail_processing > 0)
        self.fail_processing -= version.failed
        return version

    def _files(self, user: str, directory: Json, path: str) -> Files:
        found: Files = {}
        for file in directory.get("files", []):
            blob = self.blobs[file["token"]]
            if blob.owner != user or blob.content is None:
                raise RefusedError(400, "A file was not uploaded")
            found[f"{path}{blob.name}"] = blob.content
        for each in directory.get("directories", []):
            found |= self._files(user, each, f"{path}{each['name']}/")
        return found

    # Notebooks

    def save_kernel(self, user: str, body: Json) -> Answer:
        owner, _, name = body["slug"].partition("/")
        if owner != user:
            raise RefusedError(403, "Permission 'kernels.save' was denied")
        sources = body.get("datasetDataSources", [])
        lacking = [each for each in sources if each not in self.datasets]
        if lacking:
            return _json({"ref": f"/code/{body['slug']}", "invalidDatasetSources": lacking, "error": ""})
        inputs = {each: self.datasets[each].versions[-1].files for each in sources}
        versions = self.notebooks.setdefault(body["slug"], [])
        pushed = Pushed(owner, name, len(versions) + 1, body, inputs, {}, polls_left=self.run_after)
        result = self.run(pushed)
        pushed.listed_sizes = dict(self.listed_sizes)
        if isinstance(result, str):
            pushed.failure = result
        else:
            pushed.output = result
        versions.append(pushed)
        return _json({"ref": f"/code/{body['slug']}", "versionNumber": pushed.number, "kernelId": 1})

    def get_kernel(self, user: str, body: Json) -> Answer:
        versions, pushed = self._pushed(user, body)
        metadata = {
            "ref": f"{pushed.owner}/{pushed.name}",
            "slug": pushed.name,
            "isPrivate": pushed.request.get("isPrivate"),
            "enableInternet": pushed.request.get("enableInternet"),
            "competitionDataSources": pushed.request.get("competitionDataSources", []),
            "datasetDataSources": pushed.request.get("datasetDataSources", []),
            "currentVersionNumber": len(versions),
        }
        return _json({"metadata": metadata, "blob": {"source": pushed.text, "slug": pushed.name}})

    def get_kernel_session_status(self, user: str, body: Json) -> Answer:
        _, pushed = self._pushed(user, body)
        status = pushed.status
        pushed.polls_left -= pushed.polls_left > 0
        return _json({"status": status, **({"failureMessage": pushed.failure} if status == "ERROR" else {})})

    def list_kernel_files(self, user: str, body: Json) -> Answer:
        _, pushed = self._pushed(user, body)
        sizes = {name: len(content) for name, content in pushed.output.items()} | pushed.listed_sizes
        return _json({"files": [{"name": name, "size": size} for name, size in sizes.items()]})

    def list_kernel_session_output(self, user: str, body: Json) -> Answer:
        _, pushed = self._pushed(user, body)
        where = f"http://localhost/outputs/{pushed.owner}/{pushed.name}/{pushed.number}"
        files = [{"url": f"{where}/{quote(name)}", "fileName": name} for name in pushed.output]
        return _json({"files": files, "log": json.dumps([{"data": pushed.failure or "done"}])})

    def get_output(self, request: Request) -> Answer:
        owner, name, number, file = request.path.split("/", 5)[2:]
        return Answer(200, self.notebooks[f"{owner}/{name}"][int(number) - 1].output[file], "application/octet-stream")

    def to_submit(self, user: str, body: Json) -> bytes | None:
        """The output file that a code submission names; None for a notebook that was never pushed here."""
        which = f"{body['kernelOwner']}/{body['kernelSlug']}"
        if which not in self.notebooks:
            return None
        versions, number = self.notebooks[which], int(body.get("kernelVersion") or 0)
        if body["kernelOwner"] != user or not 1 <= number <= len(versions):
            raise RefusedError(404, f"Notebook version not found: {which} version {number}")
        pushed = versions[number - 1]
        if pushed.status != "COMPLETE" or body.get("fileName") not in pushed.output:
            raise RefusedError(400, "Submission not allowed: the notebook has no such output.", nested=True)
        if pushed.request.get("enableInternet"):
            raise RefusedError(400, "Submission not allowed: the notebook uses the internet.", nested=True)
        return pushed.output[body["fileName"]]

    def _pushed(self, user: str, body: Json) -> tuple[list[Pushed], Pushed]:
        versions = self.notebooks.get(f"{body['userName']}/{body['kernelSlug']}", [])
        if not versions or versions[0].owner != user:
            raise RefusedError(403, "Permission 'kernels.get' was denied")
        label = body.get("versionLabel") or f"v{len(versions)}"
        number = re.fullmatch(r"v(\d+)", label)  # the bare number is not found
        if number is None or not 1 <= int(number[1]) <= len(versions):
            raise RefusedError(404, f"No version {label}")
        return versions, versions[int(number[1]) - 1]


METHODS: Mapping[str, Callable[[Storage, str, Json], Answer]] = {
    "StartBlobUpload": Storage.start_blob_upload,
    "CreateDataset": Storage.create_dataset,
    "CreateDatasetVersion": Storage.create_dataset_version,
    "GetDataset": Storage.get_dataset,
    "GetDatasetStatus": Storage.get_dataset_status,
    "SaveKernel": Storage.save_kernel,
    "GetKernel": Storage.get_kernel,
    "GetKernelSessionStatus": Storage.get_kernel_session_status,
    "ListKernelFiles": Storage.list_kernel_files,
    "ListKernelSessionOutput": Storage.list_kernel_session_output,
}


def _json(body: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(body).encode())
