"""Whether a sound and its .phn file are whole and belong together."""

from functools import cache
from pathlib import Path

import numpy as np

from recog import audio
from recog.errors import DataError

HERE = Path(__file__).parent
RATE = 16000
SLACK = 160                              # samples by which a .phn may pass the end of its sound: one frame
WINDOW = 160                             # samples in which the noise of shifted bytes is looked for
SHIFTED = 0.5                            # in the sample, whole sounds stay below 0.08, and those with shifted bytes lie above 90


class Damaged(DataError):
    """The sound lost bytes on its way."""


def checked_phones(id: str, sound: Path, phn: Path) -> list[tuple[int, int, str]]:
    """(start, end, phone) in samples. Raises DataError for a fault of either file, Damaged for lost bytes."""
    wave = audio.read(sound, rate=None)
    if wave.rate != RATE:
        raise DataError(f"has {wave.rate} samples a second instead of {RATE}", where=sound, hint="use the corpus as published")
    phones = read_phones(phn)
    if shifted(wave.samples):
        raise Damaged("is damaged: bytes were lost, and from there on low and high bytes are swapped", where=sound,
                      hint="it was copied as text; copy it again in binary mode")
    if id not in _facts("accepted.txt"):
        refuse_misfit(phones, len(wave.samples), phn)
    return phones


def read_phones(path: Path) -> list[tuple[int, int, str]]:
    known, phones = _known(), []
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), 1):
        if not line.strip():
            continue
        words = line.split()
        if len(words) != 3 or not (words[0].isdecimal() and words[1].isdecimal()):
            raise DataError(f"is not of the form START END PHONE: '{line.strip()}'", where=f"{path}:{number}", hint="copy it again")
        if words[2].lower() not in known:
            raise DataError(f"'{words[2]}' is none of TIMIT's 61 phones", where=f"{path}:{number}", hint="they stand in recipes/timit/phones.txt")
        phones.append((int(words[0]), int(words[1]), words[2].lower()))
    if not phones:
        raise DataError("is empty", where=path, hint="copy it again")
    return phones


@cache
def _known() -> frozenset[str]:
    return frozenset(line.split()[0] for line in _facts("phones.txt"))


def refuse_misfit(phones: list[tuple[int, int, str]], samples: int, path: Path) -> None:
    """Raises DataError where the phones do not follow one another, or do not end with the sound."""
    hint = "does it belong to this sound? If it is known to be like this, add its id to recipes/timit/accepted.txt"
    at = 0
    for number, (start, end, name) in enumerate(phones, 1):
        if end <= start:
            raise DataError(f"'{name}' ends at {end}, not after its start at {start}", where=f"{path}:{number}", hint=hint)
        if start != at:
            what = "a gap" if start > at else "an overlap"
            raise DataError(f"{what}: '{name}' starts at {start}, but what is before it ends at {at}", where=f"{path}:{number}", hint=hint)
        at = end
    if at > samples + SLACK:
        raise DataError(f"ends at sample {at}, but the sound has only {samples}", where=path, hint=hint)


def shifted(samples: np.ndarray) -> bool:
    """Whether somewhere the sound changes less from sample to sample when its bytes are read one byte later.

    Speech is smooth, and so is what a lost byte has shifted, once read from the next byte on; read as it is, it is
    noise. float32 [N] that holds 16-bit values.
    """
    data = np.rint(samples * 32768).astype("<i2").tobytes()
    as_is, later = (_roughness(data[at:]) for at in (0, 1))
    count = min(len(as_is), len(later))
    return bool((as_is[:count] > SHIFTED * np.maximum(later[:count], 1.0)).any())


def _roughness(data: bytes) -> np.ndarray:
    """Median of the change from sample to sample, per window: a lone click changes it not."""
    change = np.diff(np.frombuffer(data[:len(data) // 2 * 2], "<i2").astype(np.float32))
    windows = change[:len(change) // WINDOW * WINDOW].reshape(-1, WINDOW)
    return np.median(np.abs(windows), axis=1)


@cache
def _facts(name: str) -> list[str]:
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
