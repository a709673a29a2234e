"""Makes a tree in the layout of LDC93S1, with NIST SPHERE sounds, from the sample of TIMIT that NLTK gives away:

    python tests/make_ldc_tree.py SAMPLE OUT

SAMPLE/dr1-fvmh0/sa1.wav becomes OUT/TIMIT/TRAIN/DR1/FVMH0/SA1.WAV, and so on with .phn, .wrd and .txt.
"""

import shutil
import struct
import sys
from pathlib import Path


def ldc_tree(sample: Path, out: Path) -> int:
    """Gives the number of sounds. All speakers of the sample are training speakers."""
    count = 0
    for source in sorted(sample.glob("dr*-*/s*.*")):
        region, speaker = source.parent.name.upper().split("-")
        target = out / "TIMIT" / "TRAIN" / region / speaker / source.name.upper()
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".wav":
            target.write_bytes(sphere(pcm(source.read_bytes())))
            count += 1
        else:
            shutil.copyfile(source, target)
    return count


def pcm(riff: bytes) -> bytes:
    """The samples of a RIFF file."""
    at = 12
    while riff[at:at + 4] != b"data":
        at += 8 + struct.unpack("<I", riff[at + 4:at + 8])[0]
    return riff[at + 8:at + 8 + struct.unpack("<I", riff[at + 4:at + 8])[0]]


def sphere(samples: bytes, coding: str = "pcm") -> bytes:
    """A SPHERE file as on the LDC's disc: a header of 1,024 bytes, then 16-bit samples, low byte first."""
    rows = ["NIST_1A", "   1024", "database_id -s5 TIMIT", "channel_count -i 1", f"sample_count -i {len(samples) // 2}",
            "sample_rate -i 16000", "sample_n_bytes -i 2", "sample_byte_format -s2 01", "sample_sig_bits -i 16",
            f"sample_coding -s{len(coding)} {coding}", "end_head"]
    return ("\n".join(rows) + "\n").encode().ljust(1024, b" ") + samples


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(ldc_tree(Path(sys.argv[1]), Path(sys.argv[2])), "sounds")
