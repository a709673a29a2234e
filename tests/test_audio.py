import io
import struct
import tracemalloc

import numpy as np
import pytest
import scipy.io.wavfile
import scipy.signal
import soundfile

from recog import audio
from recog.errors import DataError
from recog.types import Waveform


def noise(seconds=1.0, rate=16000, channels=1, seed=0):
    sound = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    return (np.round(sound * 32767) / 32768).astype(np.float32).squeeze()


def tone(hertz, seconds, rate):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pcm(sound):
    return np.round(sound * 32768).astype(np.int16)


def sphere(data, count, *, coding="pcm", order="01", size=2, channels=1, rate=16000):
    lines = ["NIST_1A", "   1024", "database_id -s5 TIMIT", f"channel_count -i {channels}", f"sample_count -i {count}",
             f"sample_rate -i {rate}", f"sample_n_bytes -i {size}", f"sample_byte_format -s{len(order)} {order}",
             "sample_sig_bits -i 16", f"sample_coding -s{len(coding)} {coding}", "end_head", ""]
    return "\n".join(lines).encode().ljust(1024) + data


def wav(sound=None, rate=16000, size=None):
    data = pcm(noise() if sound is None else sound).tobytes()
    size = len(data) if size is None else size
    return (b"RIFF" + struct.pack("<I", min(36 + size, 0xFFFFFFFF)) + b"WAVEfmt " +
            struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16) + b"data" + struct.pack("<I", size) + data)


def encoded(format, sound, rate, **how):
    if format not in soundfile.available_formats():
        pytest.skip(f"this libsndfile has no {format}")
    content = io.BytesIO()
    soundfile.write(content, sound, rate, format=format, **how)
    return content.getvalue()


def failure(path, **how):
    with pytest.raises(DataError) as caught:
        audio.read(path, **how)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.hint
    return str(caught.value)


# --- what is read -------------------------------------------------------------------------------

def test_wav_of_scipy_is_read_exactly(tmp_path):
    sound = noise()
    scipy.io.wavfile.write(tmp_path / "a.wav", 16000, pcm(sound))
    waveform = audio.read(tmp_path / "a.wav")
    assert waveform.rate == 16000 and waveform.samples.dtype == np.float32
    np.testing.assert_array_equal(waveform.samples, sound)
    np.testing.assert_array_equal(audio.read(str(tmp_path / "a.wav"), rate=None).samples, sound)


@pytest.mark.parametrize("order, dtype", [("01", "<i2"), ("10", ">i2")])
@pytest.mark.parametrize("name", ["a.WAV", "a.sph", "a.raw", "nothing"])
def test_sphere_by_content_in_both_byte_orders(tmp_path, order, dtype, name):
    sound = noise()
    (tmp_path / name).write_bytes(sphere(pcm(sound).astype(dtype).tobytes(), len(sound), order=order))
    np.testing.assert_array_equal(audio.read(tmp_path / name).samples, sound)
    assert audio.duration(tmp_path / name) == 1.0


def test_sphere_ulaw(tmp_path):
    codes = np.arange(256, dtype=np.uint8)
    inverted = ~codes                            # G.711, section 3
    exponent, mantissa = (inverted >> 4 & 7).astype(int), (inverted & 15).astype(int)
    linear = ((mantissa * 2 + 33) << exponent) - 33
    linear = np.where(inverted & 128, -linear, linear) * 4
    data = sphere(codes.tobytes() * 20, 5120, coding="ulaw", order="1", size=1)
    np.testing.assert_array_equal(audio.read_bytes(data).samples[:256], linear.astype(np.float32) / 32768)


def test_channels_are_averaged():
    sound = noise(channels=3)
    got = audio.read_bytes(encoded("WAV", sound, 16000, subtype="FLOAT")).samples
    np.testing.assert_allclose(got, sound.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("subtype, error", [("PCM_16", 2e-5), ("PCM_24", 1e-6), ("PCM_32", 1e-6), ("FLOAT", 0),
                                            ("PCM_U8", 1 / 128), ("ULAW", 2e-2)])
def test_sample_formats(subtype, error):
    sound = noise()
    got = audio.read_bytes(encoded("WAV", sound, 16000, subtype=subtype)).samples
    np.testing.assert_allclose(got, sound, atol=error)


@pytest.mark.parametrize("format, error", [("FLAC", 2e-5), ("OGG", 0.05), ("MP3", 0.05), ("AIFF", 2e-5)])
def test_compressed_formats(tmp_path, format, error):
    sound = tone(440, 3, 16000)
    (tmp_path / "sound").write_bytes(encoded(format, sound, 16000))
    got = audio.read(tmp_path / "sound").samples
    assert len(got) == len(sound) and audio.duration(tmp_path / "sound") == 3.0
    assert np.sqrt(np.mean((got - sound) ** 2)) < error
    assert audio.is_audio(tmp_path / "sound")


def test_start_and_end(tmp_path):
    sound = noise(3.0)
    (tmp_path / "a.wav").write_bytes(wav(sound))
    np.testing.assert_array_equal(audio.read(tmp_path / "a.wav", start=0.5, end=2.25).samples, sound[8000:36000])
    np.testing.assert_array_equal(audio.read(tmp_path / "a.wav", start=2.5).samples, sound[40000:])
    assert len(audio.read(tmp_path / "a.wav", end=3.004).samples) == 48000     # rounded up in a table


@pytest.mark.parametrize("format", ["FLAC", "OGG", "MP3"])
def test_start_inside_compressed_sound(format):
    data = encoded(format, noise(8.0), 16000)
    whole = audio.read_bytes(data).samples
    np.testing.assert_allclose(audio.read_bytes(data, start=5.0, end=6.0).samples, whole[80000:96000], atol=1e-6)


def test_bytes_and_file_are_the_same(tmp_path):
    (tmp_path / "a").write_bytes(data := wav())
    np.testing.assert_array_equal(audio.read(tmp_path / "a").samples, audio.read_bytes(data).samples)


# --- lengths that headers do not tell -----------------------------------------------------------

@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF, 0x80000000])
def test_wav_from_a_pipe(size):
    data = wav(size=size)
    assert len(audio.read_bytes(data).samples) == 16000 and audio.duration(data) == 1.0


def test_flac_from_a_pipe_has_no_length():
    sound = noise(2.5)
    data = bytearray(encoded("FLAC", sound, 16000))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    data = bytes(data)
    np.testing.assert_allclose(audio.read_bytes(data).samples, sound, atol=4e-5)
    np.testing.assert_allclose(audio.read_bytes(data, start=1.0, end=2.0).samples, sound[16000:32000], atol=4e-5)
    assert audio.duration(data) == 2.5
    with pytest.raises(DataError, match="nothing from 1 to 3"):
        audio.read_bytes(data, start=1, end=3)


@pytest.mark.parametrize("rate, channels", [(16000, 1), (44100, 1), (44100, 2), (8000, 2)])
def test_mp3_of_variable_rate_without_a_length_is_read_to_its_end(rate, channels):
    sound = noise(6.0, rate, channels)
    sound[:rate * 3] *= 1e-4                     # the first frames are small: a guess from them goes wrong
    data = encoded("MP3", sound, rate)
    bare = data[data.index(data[:2], 4):]
    while audio.sniff(bare[:4]) != "MP3":
        bare = bare[bare.index(data[:2], 1):]
    assert b"Xing" not in bare and b"Info" not in bare
    for content in (bare, b"ID3\x04\0\0\0\0\x02\0" + bytes(256) + bare):
        got = audio.read_bytes(content, rate=None).samples
        assert abs(len(got) - 6 * rate) < 4000
        assert np.abs(got[-rate:]).mean() > 0.05
        assert audio.duration(content) == len(got) / rate


# --- resampling ---------------------------------------------------------------------------------

@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_resampled_tone_keeps_frequency_and_level(rate):
    got = audio.read_bytes(encoded("WAV", tone(1000, 2, rate), rate, subtype="FLOAT"))
    want = tone(1000, 2, 16000)
    assert got.rate == 16000 and abs(len(got.samples) - 32000) <= 1
    np.testing.assert_allclose(got.samples[800:-800], want[800:len(got.samples) - 800], atol=1e-4)


def test_resampling_agrees_with_scipy():
    low = scipy.signal.firwin(801, 5000, fs=48000)
    sound = scipy.signal.lfilter(low, 1, noise(2, 48000)).astype(np.float32)
    got = audio.read_bytes(encoded("WAV", sound, 48000, subtype="FLOAT")).samples
    want = scipy.signal.resample_poly(sound, 1, 3, window=scipy.signal.firwin(1201, 7500, fs=48000))
    np.testing.assert_allclose(got[1000:-1000], want[1000:-1000], atol=2e-4)


def test_what_the_new_rate_cannot_hold_is_removed():
    got = audio.read_bytes(encoded("WAV", tone(10000, 1, 48000), 48000, subtype="FLOAT")).samples
    assert np.abs(got[800:-800]).max() < 1e-4


# --- streams ------------------------------------------------------------------------------------

@pytest.mark.parametrize("rate", [16000, 8000, 44100, 11025])
@pytest.mark.parametrize("seconds", [0.013, 1.0, 3.7, 100.0])
def test_blocks_are_the_whole(tmp_path, rate, seconds):
    (tmp_path / "a.flac").write_bytes(encoded("FLAC", noise(9.3, rate, 2), rate))
    whole = audio.read(tmp_path / "a.flac").samples
    parts = list(audio.blocks(tmp_path / "a.flac", seconds=seconds))
    assert all(len(part.samples) == round(seconds * 16000) for part in parts[:-1])
    np.testing.assert_allclose(np.concatenate([part.samples for part in parts]), whole, atol=1e-6)


def test_blocks_do_not_hold_the_file(tmp_path):
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 8000, 1) as file:
        for _ in range(60):
            file.write(noise(20, 8000))
    tracemalloc.start()
    samples = sum(len(block.samples) for block in audio.blocks(tmp_path / "long.wav", seconds=10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert samples == 1200 * 16000 and peak < 8_000_000      # the whole would be 77 MB


# --- what is refused ----------------------------------------------------------------------------

def test_missing_folder_empty(tmp_path):
    assert "no such file" in failure(tmp_path / "none.wav")
    assert "is a folder" in failure(tmp_path)
    (tmp_path / "empty.wav").touch()
    assert "is empty" in failure(tmp_path / "empty.wav")


@pytest.mark.parametrize("data", [wav(noise(3.0))[:44 + 48000], sphere(pcm(noise(3.0)).tobytes()[:48000], 48000)],
                         ids=["wav", "sphere"])
def test_cut_short(tmp_path, data):
    (tmp_path / "cut.wav").write_bytes(data)
    assert "is cut short: 1.50 of 3.00 seconds are there" in failure(tmp_path / "cut.wav")
    with pytest.raises(DataError, match="cut short"):
        audio.duration(tmp_path / "cut.wav")
    with pytest.raises(DataError, match="cut short"):
        next(audio.blocks(tmp_path / "cut.wav"))


@pytest.mark.parametrize("format", ["FLAC", "MP3"])
def test_compressed_cut_short(tmp_path, format):
    data = encoded(format, noise(20.0), 16000)
    (tmp_path / "cut").write_bytes(data[:len(data) // 2])
    assert "cut short" in failure(tmp_path / "cut")


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG", "MP3", "SPHERE"])
@pytest.mark.parametrize("length", [4, 20, 40])
def test_header_cut_short(tmp_path, format, length):
    data = sphere(b"", 0) if format == "SPHERE" else encoded(format, noise(), 16000)
    (tmp_path / "cut").write_bytes(data[:length])
    failure(tmp_path / "cut")


def test_no_sound_in_it(tmp_path):
    (tmp_path / "zero.wav").write_bytes(wav(noise(0)))
    assert "its length is zero" in failure(tmp_path / "zero.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(tmp_path, bad):
    sound = noise(6.0)
    sound[80000] = bad
    soundfile.write(tmp_path / "bad.wav", sound, 16000, subtype="FLOAT")
    assert "not numbers, first at 5.000 seconds" in failure(tmp_path / "bad.wav")


def test_shorten_names_the_remedy(tmp_path):
    (tmp_path / "a.wav").write_bytes(sphere(b"ajkg" + bytes(500), 16000, coding="pcm,embedded-shorten-v2.00"))
    message = failure(tmp_path / "a.wav")
    assert "shorten" in message and "sph2pipe -f wav" in message and "ffmpeg" in message


@pytest.mark.parametrize("data, word", [
    (b"just some text\n" * 20, "not a sound file"), (b"\x89PNG\r\n\x1a\n" + bytes(100), "not a sound file"),
    (b"RIFF\x24\0\0\0AVI LIST" + bytes(100), "not a sound file"), (bytes(1000), "not a sound file"),
    ("\ufefftext".encode("utf-16"), "not a sound file"), (b"\0\0\0\x20ftypM4A " + bytes(100), "MP4 or M4A"),
    (b"\x1aE\xdf\xa3" + bytes(100), "WebM")])
def test_not_audio(tmp_path, data, word):
    (tmp_path / "a.wav").write_bytes(data)
    assert word in failure(tmp_path / "a.wav")
    assert not audio.is_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("start, end", [(-0.1, None), (1.0, None), (0.5, 0.5), (0.8, 0.2), (0.0, 1.2), (5.0, 6.0)])
def test_times_outside_the_file(tmp_path, start, end):
    (tmp_path / "a.wav").write_bytes(wav())
    assert "there is nothing from" in failure(tmp_path / "a.wav", start=start, end=end)


def test_name_of_standard_input():
    with pytest.raises(DataError, match="^standard input: is not a sound file"):
        audio.read_bytes(b"hello", "standard input")


@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_raise_only_data_errors(seed):
    rng = np.random.default_rng(seed)
    format = ["WAV", "FLAC", "OGG", "MP3", "SPHERE"][seed % 5]
    sound = noise(0.5)
    data = sphere(pcm(sound).tobytes(), 8000) if format == "SPHERE" else encoded(format, sound, 16000)
    data = bytearray(data)
    for at in rng.integers(4, min(len(data), 1500), 12):
        data[at] = rng.integers(256)
    try:
        got = audio.read_bytes(bytes(data))
        assert np.isfinite(got.samples).all() and len(got.samples)
    except DataError as error:
        assert error.hint


# --- is_audio and write -------------------------------------------------------------------------

def test_is_audio_looks_inside(tmp_path):
    for name, data in {"a.txt": wav(), "b": sphere(bytes(100), 50)}.items():
        (tmp_path / name).write_bytes(data)
        assert audio.is_audio(tmp_path / name)
    (tmp_path / "c.wav").write_text("no sound")
    assert not any(audio.is_audio(tmp_path / name) for name in ("c.wav", "none", "."))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
def test_write_then_read_is_exact(tmp_path, suffix):
    path = tmp_path / ("deeper/a" + suffix)
    audio.write(path, Waveform(noise(), 16000))
    np.testing.assert_array_equal(audio.read(path).samples, noise())
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_write_clips_and_refuses(tmp_path):
    audio.write(tmp_path / "a.wav", Waveform(np.array([2.0, -2.0, 0.5], np.float32), 16000))
    np.testing.assert_array_equal(audio.read(tmp_path / "a.wav").samples, np.float32([32767 / 32768, -1, 0.5]))
    with pytest.raises(DataError, match="not numbers"):
        audio.write(tmp_path / "b.wav", Waveform(np.array([np.nan], np.float32), 16000))
    with pytest.raises(DataError, match=".wav or .flac"):
        audio.write(tmp_path / "b.mp3", Waveform(noise(), 16000))
    assert not (tmp_path / "b.wav").exists()
