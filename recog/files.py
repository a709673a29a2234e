"""Files that are whole or absent: everything is written beside its name, then renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Iterator

from .errors import DataError, DiskError

_DISK = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up",
         errno.EACCES: "this place may not be written to", errno.EROFS: "this disk is read-only",
         errno.ENOTDIR: "a file stands where a folder should be", errno.EEXIST: "a file stands where a folder should be"}


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Gives a path beside `path` to write to, and renames it to `path` when the block ends well.

    Works for a file or a folder (make the folder in the block). On an error nothing is left behind
    and what was at `path` stays. Raises DiskError when the disk refuses.
    """
    if not path.name:
        raise DiskError("is no name of a file or folder", where=repr(str(path)))
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise DiskError("is neither a file nor a folder, and is not replaced", where=path, hint="choose another place")
    partial = path.with_name(path.name + ".partial")
    remove(partial)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        _sync(partial)
        _replace(partial, path)
    except OSError as error:
        remove(partial)
        if error.errno in _DISK:
            raise DiskError(_DISK[error.errno], where=path,
                            hint="nothing was changed; make room or choose another place") from error
        raise
    except BaseException:
        remove(partial)
        raise


@contextmanager
def alone(lock: Path, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """Holds a lock file; another process that has it is waited for, or DiskError is raised. A kill releases it.

    shared: with others that hold it shared, while none holds it alone.
    """
    try:
        import fcntl
    except ImportError:                      # no such locks on Windows
        yield
        return
    lock.parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as stream:
        try:
            fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise DiskError("another recog is at work here", where=lock.with_suffix(""),
                            hint="wait for it, or choose another --name or --exp") from None
        yield


def _replace(partial: Path, path: Path) -> None:
    if not (partial.is_dir() and path.exists()):
        os.replace(partial, path)
        return
    old = path.with_name(path.name + ".old.partial")         # a folder cannot be renamed over a folder that holds something
    remove(old)
    os.replace(path, old)
    try:
        os.replace(partial, path)
    except OSError:
        os.replace(old, path)
        raise
    remove(old)


def _sync(path: Path) -> None:
    """What a rename promises must be on the disk before it."""
    for file in (path.rglob("*") if path.is_dir() else [path]):
        if file.is_file():
            with open(file, "rb+") as stream:
                os.fsync(stream.fileno())


def remove(path: Path) -> None:
    """Removes a file or a whole folder, if there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def write_text(path: Path, text: str) -> None:
    with writing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def write_tensors(path: Path, tensors: dict[str, Any]) -> None:
    """A safetensors file, written by Python so that a full disk is an OSError here too."""
    from safetensors.torch import save

    path.write_bytes(save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}))


def read_json(path: Path) -> Any:
    """Raises DataError that names the file when it is missing or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError("no such file", where=path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"is not readable JSON: {error}", where=path, hint="was it cut short or edited?") from None


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(value: Any) -> str:
    """SHA-256 of a JSON value, the same for the same content in any key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def recipes_home() -> Path:
    """Where the recipes that come with recog lie: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    return package / "recipes" if (package / "recipes").is_dir() else package.parent / "recipes"
