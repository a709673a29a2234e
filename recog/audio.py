"""Sound files in and out: any common format, one kind of `Waveform`, in one piece or as a stream of blocks."""

from __future__ import annotations

import io
import os
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Iterable, Iterator

import numpy as np

from .errors import DataError
from .files import writing
from .types import Waveform

if TYPE_CHECKING:
    from soundfile import SoundFile

Source = str | Path | bytes      # a file, or the content of one (from a pipe, say)

CHUNK = 1 << 16                  # frames decoded at a time
SLACK = 0.01                     # seconds by which rounded times may pass the end of a file
MP3_SLACK = 2 * 1152             # samples; encoders differ in whether they count the first and the last frame
UNKNOWN = 1 << 40                # frames; libsndfile's answer is above this when a header gives no length
RATES = range(1_000, 1_000_001)  # Hz; anything else is a damaged header

_MAGIC = {b"RIFF": "WAV", b"RIFX": "WAV", b"RF64": "WAV", b"riff": "W64", b"fLaC": "FLAC", b"OggS": "OGG",
          b"NIST": "SPHERE", b"FORM": "AIFF", b".snd": "AU", b"caff": "CAF", b"ID3\x02": "MP3", b"ID3\x03": "MP3",
          b"ID3\x04": "MP3"}
_FORM = {"WAV": (b"WAVE",), "AIFF": (b"AIFF", b"AIFC")}          # at byte 8: RIFF may also be AVI, WebP, ...
_FOREIGN = {b"\x1aE\xdf\xa3": "WebM or Matroska", b"0&\xb2u": "WMA", b"#!AM": "AMR", b"\xff\xf1": "AAC",
            b"\xff\xf9": "AAC"}


def read(path: Source, *, rate: int | None = 16000, start: float = 0.0, end: float | None = None) -> Waveform:
    """The sound of a file from `start` to `end` (seconds), mixed to mono, at `rate` (None: the file's own).

    Reads what libsndfile reads, by content and not by name: WAV, FLAC, OGG, MP3, NIST SPHERE, AIFF, AU, CAF.
    Samples beyond [-1, 1], which a float file may hold, are left alone. Raises DataError that names the file when it
    is missing, is no sound, is damaged or cut short, holds no samples or not-a-number, or ends before `end`.
    """
    return _read(path, "-", rate, start, end)


def read_bytes(data: bytes, name: str = "-", *, rate: int | None = 16000,
               start: float = 0.0, end: float | None = None) -> Waveform:
    """As `read`, from the content of a file; messages call it `name`."""
    return _read(data, name, rate, start, end)


def blocks(source: Source, *, rate: int | None = 16000, seconds: float = 30.0, name: str = "-") -> Iterator[Waveform]:
    """The same samples as `read`, in blocks of `seconds` (the last is shorter), in memory that does not grow.

    Raises DataError as `read` does: at the first block, or later where the damage is.
    """
    with _opened(source, name) as (sound, name, total):
        rate = rate or sound.samplerate
        size = max(1, round(seconds * rate))
        held, n = [], 0
        for piece in _resampled(_decoded(sound, name, 0.0, None, total), sound.samplerate, rate):
            held.append(piece)
            n += len(piece)
            if n >= size:
                joined = np.concatenate(held)
                whole = n - n % size
                for at in range(0, whole, size):
                    yield Waveform(joined[at:at + size], rate)
                held, n = [joined[whole:]], n - whole
        if n:
            yield Waveform(np.concatenate(held), rate)


def duration(source: Source, name: str = "-") -> float:
    """Seconds, from the header. (Only where a header gives no length, as from a pipe, the sound is decoded.)"""
    with _opened(source, name) as (sound, name, total):
        if total is None:
            total = sum(map(len, _decoded(sound, name, 0.0, None, None)))
        return total / sound.samplerate


def is_audio(path: str | Path) -> bool:
    """True if the first bytes are those of a format that `read` reads. False for what is no file."""
    path = Path(path)
    if not path.is_file():
        return False
    with open(path, "rb") as stream:
        return sniff(stream.read(12)) is not None


def write(path: str | Path, waveform: Waveform) -> None:
    """Writes 16-bit WAV or FLAC, by the suffix of `path`; samples beyond [-1, 1] are clipped."""
    import soundfile

    path = Path(path)
    format = {".wav": "WAV", ".flac": "FLAC"}.get(path.suffix.lower())
    if format is None:
        raise DataError("sound is written as .wav or .flac", where=path, hint="choose one of these endings")
    if not np.isfinite(waveform.samples).all():
        raise DataError("the sound holds samples that are not numbers and was not written", where=path)
    pcm = np.clip(np.rint(waveform.samples * 32768.0), -32768, 32767).astype(np.int16)
    content = io.BytesIO()                   # so that a full disk is Python's error and not libsndfile's
    soundfile.write(content, pcm, waveform.rate, format=format, subtype="PCM_16")
    with writing(path) as partial:
        partial.write_bytes(content.getvalue())


def _read(source: Source, name: str, rate: int | None, start: float, end: float | None) -> Waveform:
    with _opened(source, name) as (sound, name, total):
        rate = rate or sound.samplerate
        pieces = list(_resampled(_decoded(sound, name, start, end, total), sound.samplerate, rate))
        return Waveform(np.concatenate(pieces), rate)


@contextmanager
def _opened(source: Source, name: str) -> Iterator[tuple[SoundFile, str, int | None]]:
    """Gives the open file, what to call it, and its length in frames (None: the header does not say)."""
    import soundfile

    name = name if isinstance(source, bytes) else str(source)
    with _stream(source, name) as stream:
        kind = _checked_kind(stream, name)
        tagged = stream if kind != "MP3" else _with_length(stream)
        try:
            sound = soundfile.SoundFile(tagged)
        except soundfile.LibsndfileError as error:
            raise DataError(f"this {kind} file is damaged or of a kind that is not read: {error.error_string}",
                            where=name, hint="copy it again, or convert it: ffmpeg -i FILE out.wav") from None
        with sound:
            if sound.samplerate not in RATES:
                raise DataError(f"the header says {sound.samplerate} samples per second", where=name,
                                hint="the header is damaged; copy the file again")
            if sound.frames == 0:
                raise DataError("holds no sound: its length is zero", where=name, hint="record it again")
            # Read onwards only: soundfile seeks after each read, which fails at the end of FLAC from a pipe.
            sound.seekable = lambda: False
            unknown = sound.frames > UNKNOWN or tagged is not stream
            yield sound, name, None if unknown else sound.frames


def _stream(source: Source, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    path = Path(source)
    if path.is_dir():
        raise DataError("is a folder, not a sound file", where=name, hint="name the files in it")
    if not path.exists():
        raise DataError("no such file", where=name, hint="is the path right?")
    if not path.is_file():
        raise DataError("is not a regular file", where=name, hint="send it through standard input instead")
    try:
        return open(os.open(path, os.O_RDONLY), "rb")    # nameless, so that soundfile does not judge by the ending
    except PermissionError:
        raise DataError("may not be read", where=name, hint="change its permissions") from None


def sniff(head: bytes) -> str | None:
    """The format, by the first twelve bytes; None if it is none that `read` reads."""
    kind = _MAGIC.get(head[:4])
    if kind in _FORM and head[8:12] not in (*_FORM[kind], b""):
        return None
    if kind is None and len(head) >= 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        layer, bits, hertz = head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
        if layer in (1, 2) and bits not in (0, 15) and hertz != 3 and head[1] >> 3 & 3 != 1:
            return "MP3"
    return kind


def _checked_kind(stream: BinaryIO, name: str) -> str:
    """The format by content. Raises DataError for what libsndfile would read wrongly, or refuse without a reason."""
    head = stream.read(4096)
    size = stream.seek(0, io.SEEK_END)
    kind = sniff(head)
    if not size:
        raise DataError("is empty", where=name, hint="copy it again or leave it out")
    if kind is None:
        foreign = "MP4 or M4A" if head[4:8] == b"ftyp" else _FOREIGN.get(head[:4]) or _FOREIGN.get(head[:2])
        what = f"is {foreign}, which is not read here" if foreign else "is not a sound file of a known format"
        raise DataError(what, where=name, hint="convert it: ffmpeg -i FILE out.wav")
    if kind == "SPHERE":
        _check_sphere(head, size, name)
    elif head[:4] == b"RIFF":
        _check_wav(stream, size, name)
    stream.seek(0)
    return kind


def _cut(name: str, there: float, whole: float) -> DataError:
    return DataError(f"is cut short: {max(there, 0):.2f} of {whole:.2f} seconds are there", where=name,
                     hint="copy it again, or keep what is there: ffmpeg -i FILE out.wav")


def _check_sphere(head: bytes, size: int, name: str) -> None:
    lines = head.decode("latin-1").split("\n")
    if "end_head" not in lines:
        raise DataError("the SPHERE header is cut short", where=name, hint="copy it again")
    fields = {words[0]: words[2] for line in lines[2:lines.index("end_head")] if len(words := line.split(None, 2)) == 3}
    if "embedded" in fields.get("sample_coding", ""):
        packing = fields["sample_coding"].split("embedded-")[-1]
        raise DataError(f"is a SPHERE file compressed with {packing}, which is not read here", where=name,
                        hint="unpack it: sph2pipe -f wav FILE out.wav, or ffmpeg -i FILE out.wav")
    try:
        frame = int(fields.get("channel_count", "1")) * int(fields.get("sample_n_bytes", "2"))
        count, rate, begin = int(fields["sample_count"]), int(fields["sample_rate"]), int(lines[1])
    except (KeyError, ValueError):
        return                               # libsndfile says what is missing
    if size - begin < count * frame and rate > 0:
        raise _cut(name, (size - begin) / frame / rate, count / rate)


def _check_wav(stream: BinaryIO, size: int, name: str) -> None:
    at, byte_rate = 12, 0
    while at + 8 <= size:
        stream.seek(at)
        chunk, length = struct.unpack("<4sI", stream.read(8))
        if chunk == b"fmt " and len(format := stream.read(12)) == 12:
            byte_rate, = struct.unpack("<8xI", format)
        if chunk == b"data":
            there = size - at - 8
            streamed = length >= 0xFFFFFF00 or 0x7FFFF000 <= length <= 0x80000000   # ffmpeg, sox, arecord to a pipe
            if there < length and not streamed and byte_rate:
                raise _cut(name, there / byte_rate, length / byte_rate)
            return
        at += 8 + length + length % 2


def _with_length(stream: BinaryIO) -> BinaryIO:
    """An MP3 without a length header gets one: else libsndfile guesses from the first frame and drops what is beyond.

    The length given is far too large, so the sound ends where the data end. Returns `stream` itself if all is well.
    """
    data = stream.read()
    stream.seek(0)
    at = 0
    if data[:3] == b"ID3" and len(data) > 10:
        at = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0)))
    head, first = data[at:at + 4], data[at:at + 200]
    if sniff(head) != "MP3" or head[1] >> 1 & 3 != 1 or any(tag in first for tag in (b"Xing", b"Info", b"VBRI")):
        return stream
    version, mono = head[1] >> 3 & 3, head[3] >> 6 == 3
    rate = (44100, 48000, 32000)[head[2] >> 2 & 3] // {3: 1, 2: 2, 0: 4}[version]
    frame = 144 * 128000 // rate if version == 3 else 72 * 80000 // rate       # bytes at bit rate number 9
    side = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    header = bytes([0xFF, head[1] | 1, 0x90 | head[2] & 0x0C, head[3]])
    length = header + bytes(side) + b"Xing" + struct.pack(">II", 1, 0x7FFFFFFF)
    return io.BytesIO(length.ljust(frame, b"\0") + data[at:])


def _decoded(sound: SoundFile, name: str, start: float, end: float | None, total: int | None) -> Iterator[np.ndarray]:
    """Mono pieces [n] of an open file from `start` to `end`, at its own rate."""
    import soundfile

    rate = sound.samplerate
    first, last = round(start * rate), total if end is None else round(end * rate)
    outside = DataError(f"there is nothing from {start:g} to {'the end' if end is None else f'{end:g}'} seconds",
                        where=name, hint="the file is shorter, or the times are wrong")
    if start < 0 or (last is not None and last <= first):
        raise outside
    if total is not None:
        if first >= total or last > total + SLACK * rate:
            raise outside
        last = min(last, total)
        if first:
            sound.seek(first)
    at = first if total is not None else 0
    slack = MP3_SLACK if sound.format == "MP3" else 0
    while last is None or at < last:
        try:
            frames = sound.read(CHUNK if last is None else min(CHUNK, last - at), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise DataError(f"is damaged or cut short after about {at / rate:.2f} seconds: {error.error_string}",
                            where=name, hint="copy it again, or keep what is there: ffmpeg -i FILE out.wav") from None
        if not len(frames):
            break
        mono = frames[:, 0] if sound.channels == 1 else frames.mean(axis=1)
        if not np.isfinite(mono).all():
            where = (at + int(np.argmin(np.isfinite(mono)))) / rate
            raise DataError(f"holds samples that are not numbers, first at {where:.3f} seconds", where=name,
                            hint="write the file again, or leave it out")
        at += len(mono)
        yield mono[max(0, first - at + len(mono)):]
    if total is None and (at <= first or (end is not None and at + SLACK * rate < last)):
        raise outside
    if total is not None and at + slack < last:
        raise _cut(name, at / rate, total / rate)


def _resampled(pieces: Iterable[np.ndarray], rate: int, new_rate: int) -> Iterator[np.ndarray]:
    if rate == new_rate:
        yield from pieces
        return
    import soxr

    stream = soxr.ResampleStream(rate, new_rate, 1, dtype="float32", quality="HQ")
    for piece in pieces:
        yield stream.resample_chunk(np.ascontiguousarray(piece))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
