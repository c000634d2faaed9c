"""Opening a data file: what it is packed in, what it holds, and how its text is encoded.

Every reader of a user's table opens it here, so that a file which one of them reads is read by all.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import IO, TYPE_CHECKING, Literal, TextIO, cast

from compete.data_bounds import DEEPEST_PACKING, LONGEST_LINE, is_bomb
from compete.errors import DataError

if TYPE_CHECKING:
    from typing_extensions import Buffer

FileKind = Literal["text", "json lines", "parquet", "workbook"]

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz")
_KINDS: dict[str, FileKind] = {
    ".json": "json lines",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".parquet": "parquet",
    ".xlsx": "workbook",
    ".xls": "workbook",
}
_TEXT = (".csv", ".tsv", ".txt", ".tab")
# What is unpacked and still begins like a zip file is a workbook; the last is how workbooks began before 2007.
_MARKS: tuple[tuple[bytes, FileKind], ...] = (
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", "workbook"),
    (b"\xd0\xcf\x11\xe0", "workbook"),
)
# The longer marks first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
    (b"\xef\xbb\xbf", "utf-8-sig"),
)
_CHUNK = 2**20
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError)


def is_table(path: Path) -> bool:
    """Whether a file is called like one that read_table reads, packed or not."""
    ending = unpacked_name(path).suffix.lower()
    return ending in _TEXT or ending in _KINDS


def unpacked_name(path: PurePath) -> PurePosixPath:
    """The file's name without what only says how it is packed: train.tsv for train.tsv.gz."""
    name = PurePosixPath(path.name)
    while name.suffix.lower() in _PACKED and name.stem:
        name = name.with_suffix("")
    return name


def kind_of(path: Path) -> tuple[FileKind, PurePosixPath]:
    """What the file holds, and the name it has unpacked: where the path's own says nothing, that of its one member."""
    with _open(path) as (member, file):
        start = file.read(8)
    name = unpacked_name(path)
    name = name if name.suffix.lower() in {*_TEXT, *_KINDS} else unpacked_name(Path(member))
    by_content = next((kind for mark, kind in _MARKS if start.startswith(mark)), None)
    return by_content or _KINDS.get(name.suffix.lower(), "text"), name


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The file's content, unpacked; raises DataError naming a file that is damaged or holds several."""
    with _open(path) as (_, file):
        yield file


@contextmanager
def open_text(path: Path, encoding: str = "utf-8") -> Iterator[TextIO]:
    """The file's text, line ends as they are; `encoding` counts where no byte order mark says another.

    Raises DataError naming data.encoding where bytes do not fit it.
    """
    with open_bytes(path) as file:
        buffered = io.BufferedReader(file)  # type: ignore[type-var]  # a zip's member reads, and cannot be peeked into
        start = buffered.peek(64)[:64]
        encoding = next((name for mark, name in _BYTE_ORDER_MARKS if start.startswith(mark)), encoding)
        if b"\0" in start and encoding.lower().replace("_", "-") in {"utf-8", "utf8"}:
            likely = "utf-16-be" if start[:1] == b"\0" else "utf-16-le"
            raise DataError(f'{path} is not UTF-8 text: it looks like UTF-16. Set data.encoding to "{likely}"')
        try:
            text = io.TextIOWrapper(buffered, encoding=encoding, newline="")
        except (LookupError, ValueError) as error:
            raise DataError(f"{path} cannot be read as {encoding} ({error}): set data.encoding") from None
        try:
            yield text
        except UnicodeError as error:
            shown = encoding.removesuffix("-sig")
            raise DataError(f"{path} is not {shown} text ({error}): set data.encoding") from None


def refuse_long_lines(path: Path) -> None:
    """Raise DataError for a line that no text has, before a reader looks for its end: by then a line of gigabytes would
    be in memory several times."""
    since = 0
    with open_bytes(path) as file:
        while part := file.read(_CHUNK):
            last = part.rfind(b"\n")
            since = since + len(part) if last < 0 else len(part) - last - 1
            if since > LONGEST_LINE:
                most = LONGEST_LINE // 2**20
                raise DataError(f"{path} has a line of more than {most} MiB: is it text, with line ends?")


@contextmanager
def _open(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The name and the content of what lies in the file under all wrappings; told by content, not by ending."""
    with ExitStack() as opened:
        try:
            name: str = path.name
            file: IO[bytes] = opened.enter_context(path.open("rb"))
            packed = path.stat().st_size
            for depth in range(DEEPEST_PACKING + 2):
                inner = _unpacked(path, name, file, opened)
                if inner is None:
                    break
                if depth > DEEPEST_PACKING:  # one can be made that holds itself
                    raise DataError(f"{path} is packed more than {DEEPEST_PACKING} times: unpack it first")
                name, file = inner[0], cast(IO[bytes], _Bounded(inner[1], path, packed))
            yield name, file
        except (*_DAMAGED, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the machine's fault, not the file's; bz2 gives no number to its own
            raise DataError(f"{path} is damaged, it cannot be unpacked: {error}") from None


class _Bounded(io.RawIOBase):
    """A stream that is unpacked while it is read, up to where so small a file can be nothing but a bomb."""

    def __init__(self, file: IO[bytes], path: Path, packed: int) -> None:
        self.file, self.path, self.packed, self.furthest = file, path, packed, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self.file.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._within(self.file.seek(offset, whence))

    def tell(self) -> int:
        return self.file.tell()

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        content = self.file.read(len(view))
        view[: len(content)] = content
        self._within(self.file.tell())
        return len(content)

    def _within(self, place: int) -> int:
        if is_bomb(self.packed, place):
            raise DataError(f"{self.path} of {self.packed:,} bytes is unpacked to more than {place:,}: that is a bomb")
        return place


def _unpacked(path: Path, name: str, file: IO[bytes], opened: ExitStack) -> tuple[str, IO[bytes]] | None:
    """What is wrapped in `file`, or None where it is no wrapping."""
    start = file.read(512)
    file.seek(0)
    inner = str(unpacked_name(Path(name)))
    if start.startswith(b"\x1f\x8b"):
        return inner, cast(IO[bytes], opened.enter_context(gzip.GzipFile(fileobj=file)))
    # A text may begin with BZh, but hardly with the mark of bzip2's first block behind it (between: the blocks' size).
    if start[:3] == b"BZh" and start[4:10] == b"1AY&SY":
        return inner, opened.enter_context(bz2.BZ2File(file))
    if start.startswith(b"\xfd7zXZ\x00"):
        return inner, opened.enter_context(lzma.LZMAFile(file))
    if start.startswith(b"\x28\xb5\x2f\xfd"):
        return inner, _zstandard(path, file, opened)
    if start.startswith(b"PK\x03\x04"):
        return _zip_member(path, file, opened)
    if start[257:262] == b"ustar":  # behind the first member's name, numbers and link
        return _tar_member(path, file, opened)
    return None


def _zstandard(path: Path, file: IO[bytes], opened: ExitStack) -> IO[bytes]:
    for module in ("compression.zstd", "zstandard"):  # Python 3.14 brings the first along
        try:
            zstandard = importlib.import_module(module)
        except ImportError:
            continue
        # All of it: `zstandard` cannot go back in a stream, which telling what lies inside takes.
        stream, parts, packed = zstandard.open(file, "rb"), [], path.stat().st_size
        while part := stream.read(_CHUNK):
            parts.append(part)
            if is_bomb(packed, len(parts) * _CHUNK):
                raise DataError(f"{path} of {packed:,} bytes is unpacked to {len(parts) * _CHUNK:,}: that is a bomb")
        return opened.enter_context(io.BytesIO(b"".join(parts)))
    raise DataError(f"{path} is packed with Zstandard, which this Python cannot unpack: unpack it first")


def _zip_member(path: Path, file: IO[bytes], opened: ExitStack) -> tuple[str, IO[bytes]] | None:
    archive = opened.enter_context(zipfile.ZipFile(file))
    names = [member.filename for member in archive.infolist() if not member.is_dir()]
    if "[Content_Types].xml" in names:  # a workbook is a zip file too, and read as a whole
        file.seek(0)
        return None
    name = _only_member(path, names)
    try:
        return name, opened.enter_context(archive.open(name))
    except (RuntimeError, NotImplementedError) as error:  # a password, or an unusual compression
        raise DataError(f"{path} cannot be unpacked ({error}): unpack it by hand") from None


def _tar_member(path: Path, file: IO[bytes], opened: ExitStack) -> tuple[str, IO[bytes]]:
    archive = opened.enter_context(tarfile.TarFile(fileobj=file))
    members = {member.name: member for member in archive if member.isfile()}
    name = _only_member(path, list(members))
    content = archive.extractfile(members[name])
    assert content is not None  # it is a file
    return name, opened.enter_context(content)


def _only_member(path: Path, names: list[str]) -> str:
    """The one file of an archive, not counting what a Mac adds."""
    names = [name for name in names if not PurePosixPath(name).name.startswith("._")]
    if len(names) != 1:
        what = f"{len(names)} files ({', '.join(names[:5])})" if names else "no file"
        raise DataError(f"{path} holds {what}, expected one: unpack it, and name the file that is meant")
    return names[0]
