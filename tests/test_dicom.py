"""DICOM: known answers on files that the tests write, one refusal each, and the original files where they are."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from databases_for_tests import real
from dicom_for_tests import write_dicom
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mammosynth.databases.pixels import read_image, read_mask, read_size
from mammosynth.errors import InputError


def lut(entries, first=0, bits=16):
    """A LUT sequence."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 2**16, first, bits]
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.LUTData = np.asarray(entries, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return [item]


def ramp(bits, dtype=None):
    """Every one of some levels from the least to the greatest of *bits*, 2-D and not square."""
    dtype = np.dtype(dtype or ("u1" if bits <= 8 else "u2"))
    lowest = -(2 ** (bits - 1)) if dtype.kind == "i" else 0
    levels = np.linspace(lowest, lowest + 2**bits - 1, 36 * 40).round().astype(dtype)
    return levels.reshape(36, 40)


@pytest.mark.parametrize("bits", [1, 8, 10, 12, 14, 16])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_stored_greys_are_kept(tmp_path, bits, syntax):
    pixels = ramp(bits)
    path = write_dicom(tmp_path / "a.dcm", pixels, bits, syntax)
    image = read_image(path)
    assert image.dtype == (np.uint8 if bits <= 8 else np.uint16)
    assert np.array_equal(image, pixels)
    assert read_size(path) == (40, 36)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_monochrome1_is_inverted_once(tmp_path, bits):
    pixels = ramp(bits)
    inverted = write_dicom(tmp_path / "a.dcm", pixels, bits, photometric="MONOCHROME1")
    assert np.array_equal(read_image(inverted), 2**bits - 1 - pixels)
    shaped = write_dicom(tmp_path / "b.DCM", pixels, bits, photometric="MONOCHROME1", PresentationLUTShape="INVERSE")
    assert np.array_equal(read_image(shaped), read_image(inverted))
    shaped = write_dicom(tmp_path / "c.dicom", pixels, bits, PresentationLUTShape="IDENTITY")
    assert np.array_equal(read_image(shaped), pixels)


@pytest.mark.parametrize(("bits", "dtype"), [(8, "i1"), (12, "i2"), (16, "i2")])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_signed_greys_begin_at_zero(tmp_path, bits, dtype, photometric):
    pixels = ramp(bits, dtype)
    shifted = pixels.astype(int) + 2 ** (bits - 1)
    image = read_image(write_dicom(tmp_path / "a.dcm", pixels, bits, photometric=photometric))
    assert np.array_equal(image, shifted if photometric == "MONOCHROME2" else 2**bits - 1 - shifted)


def test_bits_beyond_those_stored_are_no_grey(tmp_path):
    pixels = ramp(12)
    assert np.array_equal(read_image(write_dicom(tmp_path / "a.dcm", pixels | 0x3000, 12)), pixels)


@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (0.25, 3), (1000, 0), ("1.0", "0")])
def test_a_rescale_changes_units_and_no_grey(tmp_path, slope, intercept):
    pixels = ramp(12)
    path = write_dicom(tmp_path / "a.dcm", pixels, 12, RescaleSlope=slope, RescaleIntercept=intercept)
    assert np.array_equal(read_image(path), pixels)


def test_a_negative_slope_turns_the_greys_over(tmp_path):
    pixels = ramp(12)
    path = write_dicom(tmp_path / "a.dcm", pixels, 12, RescaleSlope=-1, RescaleIntercept=4095)
    assert np.array_equal(read_image(path), 4095 - pixels)
    path = write_dicom(tmp_path / "b.dcm", pixels, 12, "1.2.840.10008.1.2", "MONOCHROME1", None, RescaleSlope=-2)
    assert np.array_equal(read_image(path), pixels)


WINDOWS = {  # (centre, width, function) of stored values in windowed units, PS3.3 C.11.2.1.2 and C.11.2.1.3
    "LINEAR": lambda x, c, w: np.clip((x - (c - 0.5)) / (w - 1) + 0.5, 0, 1),
    "LINEAR_EXACT": lambda x, c, w: np.clip((x - c) / w + 0.5, 0, 1),
    "SIGMOID": lambda x, c, w: 1 / (1 + np.exp(-4 * (x - c) / w)),
}


@pytest.mark.parametrize("function", [None, *WINDOWS])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("slope", "intercept"), [(None, None), (2, -100), (-1, 4095)])
def test_a_window_is_spread_over_sixteen_bits(tmp_path, function, photometric, slope, intercept):
    pixels = ramp(12)
    more = {"VOILUTFunction": function} if function else {}
    if slope:
        more |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    window = {"WindowCenter": 1800, "WindowWidth": 2000}
    image = read_image(write_dicom(tmp_path / "a.dcm", pixels, 12, photometric=photometric, **window, **more))
    units = pixels.astype(float) * (slope or 1) + (intercept or 0)
    shown = WINDOWS[function or "LINEAR"](units, 1800, 2000)
    expected = 65535 * (shown if photometric == "MONOCHROME2" else 1 - shown)
    assert image.dtype == np.uint16
    assert np.abs(image - expected).max() <= 0.5 + 1e-6


def test_a_window_keeps_every_level_within_it(tmp_path):
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    path = write_dicom(tmp_path / "a.dcm", pixels, 12, WindowCenter=2048, WindowWidth=4096 * 15)
    assert len(np.unique(read_image(path))) == 4096


def test_of_several_windows_the_first_is_taken(tmp_path):
    pixels = ramp(12)
    several = write_dicom(tmp_path / "a.dcm", pixels, 12, WindowCenter=[1000, 3000], WindowWidth=[500, 800])
    first = write_dicom(tmp_path / "b.dcm", pixels, 12, WindowCenter=1000, WindowWidth=500)
    assert np.array_equal(read_image(several), read_image(first))


def test_an_empty_window_is_none(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", ramp(12), 12, WindowCenter=None, WindowWidth=None)
    assert np.array_equal(read_image(path), ramp(12))


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (12, np.uint16), (16, np.uint16)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_voi_lut_comes_before_a_window(tmp_path, bits, dtype, photometric):
    pixels = ramp(12)
    entries = np.round((np.arange(3000) / 2999) ** 2 * (2**bits - 1)).astype(int)
    path = write_dicom(
        tmp_path / "a.dcm",
        pixels,
        12,
        photometric=photometric,
        VOILUTSequence=lut(entries, first=500, bits=bits),
        WindowCenter=100,
        WindowWidth=100,
    )
    shown = entries[np.clip(pixels.astype(int) - 500, 0, 2999)]
    image = read_image(path)
    assert image.dtype == dtype
    assert np.array_equal(image, shown if photometric == "MONOCHROME2" else 2**bits - 1 - shown)


def test_a_modality_lut_comes_before_a_voi_lut(tmp_path):
    pixels = ramp(10)
    modality = np.arange(1024)[::-1] * 3
    path = write_dicom(tmp_path / "a.dcm", pixels, 10, ModalityLUTSequence=lut(modality, bits=12))
    assert np.array_equal(read_image(path), modality[pixels])
    both = {"ModalityLUTSequence": lut(modality, bits=12), "VOILUTSequence": lut(np.arange(4096) // 16, bits=8)}
    path = write_dicom(tmp_path / "b.dcm", pixels, 10, **both)
    assert np.array_equal(read_image(path), modality[pixels] // 16)


def test_a_lut_of_signed_greys_and_of_all_16_bits(tmp_path):
    pixels = ramp(12, "i2")
    entries = np.arange(4096)[::-1]
    path = write_dicom(tmp_path / "a.dcm", pixels, 12, VOILUTSequence=lut(entries, first=-2048, bits=12))
    assert np.array_equal(read_image(path), 2047 - pixels)
    path = write_dicom(tmp_path / "b.dcm", ramp(16), 16, VOILUTSequence=lut(np.arange(65536)[::-1]))
    assert np.array_equal(read_image(path), 65535 - ramp(16))


def test_colour_is_luma_as_in_other_formats(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    luma = np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.array_equal(read_image(write_dicom(tmp_path / "a.dcm", pixels, photometric="RGB")), luma)
    ycc = np.asarray(Image.fromarray(pixels).convert("YCbCr"))
    image = read_image(write_dicom(tmp_path / "b.dcm", ycc, photometric="YBR_FULL"))
    assert np.abs(image.astype(int) - luma).max() <= 2
    Image.fromarray(pixels).save(tmp_path / "c.png")
    assert np.array_equal(read_image(tmp_path / "c.png"), luma)


@pytest.mark.parametrize("bits", [8, 12, 14, 16])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_greys_are_exact(tmp_path, syntax, bits):
    path = write_dicom(tmp_path / "a.dcm", ramp(bits), bits)
    dataset = dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(read_image(path), ramp(bits))


def test_jpeg_is_read(tmp_path):
    y, x = np.mgrid[:48, :64]
    pixels = (2 * y + 2 * x).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    path = write_dicom(tmp_path / "a.dcm", pixels, 8, JPEGBaseline8Bit, data=encapsulate([stream.getvalue()]))
    assert np.abs(read_image(path).astype(int) - pixels).max() <= 3


def lossless_jpeg(pixels, bits):
    """A lossless JPEG of first-order prediction (ITU T.81, annex H): one table in which every category has 5 bits."""
    height, width = pixels.shape
    predicted = np.empty_like(pixels, dtype=int)
    predicted[:, 1:] = pixels[:, :-1]
    predicted[1:, 0] = pixels[:-1, 0]
    predicted[0, 0] = 2 ** (bits - 1)
    stream = ""
    for difference in (pixels.astype(int) - predicted).ravel():
        category = int(abs(difference)).bit_length()
        stream += f"{category:05b}"
        if category:
            stream += f"{difference if difference > 0 else difference + 2**category - 1:0{category}b}"
    stream += "1" * (-len(stream) % 8)
    coded = int(stream, 2).to_bytes(len(stream) // 8, "big").replace(b"\xff", b"\xff\x00")

    def segment(marker, content):
        return bytes([255, marker]) + (len(content) + 2).to_bytes(2, "big") + content

    frame = bytes([bits]) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([1, 1, 0x11, 0])
    table = bytes([0]) + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    return (
        b"\xff\xd8" + segment(0xC3, frame) + segment(0xC4, table) + segment(0xDA, bytes([1, 1, 0, 1, 0, 0]))
        + coded + b"\xff\xd9"
    )  # fmt: skip


@pytest.mark.parametrize("bits", [8, 12, 14])
def test_lossless_jpeg_is_exact(tmp_path, bits):
    pixels = np.random.default_rng(0).integers(0, 2**bits, (12, 20)).astype(np.uint8 if bits == 8 else np.uint16)
    data = encapsulate([lossless_jpeg(pixels, bits)])
    assert np.array_equal(read_image(write_dicom(tmp_path / "a.dcm", pixels, bits, JPEGLosslessSV1, data=data)), pixels)


def test_jpeg_ls_is_read():
    from pydicom.data import get_testdata_file

    path = Path(get_testdata_file("JPEGLSNearLossless_16.dcm", download=False))
    assert dcmread(path).file_meta.TransferSyntaxUID.startswith(JPEGLSLossless[:-1])
    assert np.array_equal(read_image(path), pixel_array(path))


def test_masks_may_be_dicom(tmp_path):
    pixels = np.zeros((12, 20), dtype=np.uint8)
    pixels[3:7, 4:9] = 255
    assert np.array_equal(read_mask(write_dicom(tmp_path / "a.dcm", pixels), (20, 12)), pixels > 0)


def no_pixels(path):
    dataset = dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)


def short(path):
    path.write_bytes(path.read_bytes()[:-100])


def header_only(path):
    path.write_bytes(path.read_bytes()[:200])


def empty(path):
    path.write_bytes(b"")


def png(path):
    Image.fromarray(ramp(8)).save(path, "PNG")


def frames(path):
    write_dicom(path, ramp(8), data=ramp(8).tobytes() * 2, NumberOfFrames=2)


def palette(path):
    write_dicom(path, ramp(8), photometric="PALETTE COLOR")


def deep(path):
    write_dicom(path, ramp(16).astype(np.uint32))


def deep_colour(path):
    write_dicom(path, np.zeros((12, 20, 3), np.uint16), photometric="RGB")


def no_slope(path):
    write_dicom(path, ramp(12), 12, RescaleSlope=0)


def no_width(path):
    write_dicom(path, ramp(12), 12, WindowCenter=3, WindowWidth=0)


def short_lut(path):
    sequence = lut(np.arange(100))
    sequence[0].LUTDescriptor = [200, 0, 16]
    write_dicom(path, ramp(12), 12, VOILUTSequence=sequence)


def bad_stream(path):
    write_dicom(path, ramp(8), 8, JPEG2000Lossless, data=encapsulate([b"nonsense"]))


def unknown_syntax(path):
    write_dicom(path, ramp(8), 8, "1.2.840.10008.1.2.4.100", data=encapsulate([b"nonsense"]))  # MPEG2


BROKEN = {
    no_pixels: "holds no pixels",
    short: "bytes",
    header_only: "",
    empty: "",
    png: "DICM",
    frames: "holds 2 frames: save the one",
    palette: "palette",
    deep: "32 bits where 16 are read",
    deep_colour: "16 bits where 8 are read",
    no_slope: "rescale slope is 0",
    no_width: "Window Width must be greater",
    short_lut: "LUT has 100 entries of 16 bits, not 200",
    bad_stream: "decode",
    unknown_syntax: "",
}


@pytest.mark.parametrize("spoil", BROKEN, ids=lambda spoil: spoil.__name__)
def test_bad_files_are_refused_in_one_line(tmp_path, spoil):
    path = write_dicom(tmp_path / "a.dcm", ramp(8))
    spoil(path)
    with pytest.raises(InputError) as error:
        read_image(path)
    assert str(error.value).startswith(f"{path} cannot be read as an image (")
    assert str(error.value).endswith("repair it, or list it in its source's exclusions")
    assert BROKEN[spoil] in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_a_file_cut_anywhere_is_refused(tmp_path, syntax):
    path = write_dicom(tmp_path / "a.dcm", ramp(12), 12, WindowCenter=1000, WindowWidth=500)
    if syntax:
        dataset = dcmread(path)
        dataset.compress(syntax)
        dataset.save_as(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 20, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_image(path)


def test_a_size_needs_no_pixels(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", ramp(8))
    short(path)
    assert read_size(path) == (40, 36)
    for spoil in (empty, png):
        spoil(path)
        with pytest.raises(InputError, match="cannot be read as an image"):
            read_size(path)


def test_a_dicom_of_another_name_is_no_png(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", ramp(8))
    shutil.copy(path, tmp_path / "a.png")
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(tmp_path / "a.png")


def test_real_crops_are_read():
    paths = sorted(real("cbis-ddsm").rglob("*.dcm"))
    found = {path: read_image(path) for path in paths}
    assert len(found) == 5
    for path, image in found.items():
        header = dcmread(path, stop_before_pixels=True)
        assert image.dtype == np.uint16
        assert read_size(path) == image.shape[::-1] == (header.Columns, header.Rows)
        assert (image.min(), image.max()) == (header.SmallestImagePixelValue, header.LargestImagePixelValue)
