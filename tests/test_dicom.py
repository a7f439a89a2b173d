"""DICOM: known answers on files that the tests write, one refusal each, and the original files where they are."""

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from databases_for_tests import real
from dicom_for_tests import write_dicom
from PIL import Image, ImageCms
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import pixel_array
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from mammosynth.databases import dicom
from mammosynth.databases.pixels import read_image, read_mask, read_size
from mammosynth.errors import InputError
from mammosynth.rois import crop_image, find_window

ROOT = Path(__file__).parents[1]


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


def sequence(**elements):
    """A sequence of one item."""
    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return [item]


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("bits", "dtype", "padding"),
    [
        (12, "u2", {"PixelPaddingValue": 4095}),
        (12, "u2", {"PixelPaddingValue": 0}),
        (12, "u2", {"PixelPaddingValue": 4000, "PixelPaddingRangeLimit": 4095}),
        (12, "u2", {"PixelPaddingValue": 100, "PixelPaddingRangeLimit": 0}),  # in either order
        (8, "u1", {"PixelPaddingValue": 255}),
        (16, "i2", {"PixelPaddingValue": -2000}),
        (12, "i2", {"PixelPaddingValue": -2048, "PixelPaddingRangeLimit": -1900}),
    ],
)
@pytest.mark.parametrize("more", [{}, {"WindowCenter": 100, "WindowWidth": 400}, {"RescaleSlope": -1}])
def test_padding_is_black(tmp_path, photometric, bits, dtype, padding, more):
    pixels = ramp(bits, dtype)
    pixels[5, 5:9] = padding["PixelPaddingValue"]
    path = write_dicom(tmp_path / "a.dcm", pixels, bits, photometric=photometric, **padding, **more)
    plain = read_image(write_dicom(tmp_path / "b.dcm", pixels, bits, photometric=photometric, **more))
    low, high = sorted(
        [padding["PixelPaddingValue"], padding.get("PixelPaddingRangeLimit", padding["PixelPaddingValue"])]
    )
    image = read_image(path)
    assert image.dtype == plain.dtype
    assert np.array_equal(image, np.where((pixels >= low) & (pixels <= high), 0, plain))


@pytest.mark.parametrize(("dtype", "value", "vr", "written"), [("i2", -2000, "US", 63536), ("u2", 64000, "SS", -1536)])
def test_padding_whose_sign_a_writer_got_wrong_is_still_padding(tmp_path, dtype, value, vr, written):
    pixels = ramp(16, dtype)
    pixels[pixels == pixels.min()] += 1
    pixels[5] = value
    path = write_dicom(tmp_path / "a.dcm", pixels)
    dataset = dcmread(path)
    dataset.add_new("PixelPaddingValue", vr, written)
    dataset.save_as(path)
    image = read_image(path)
    assert not image[5].any()
    assert np.delete(image, 5, axis=0).all()


def test_padding_neither_is_tissue_nor_sets_the_window(tmp_path):
    """A film of noise in 2000 to 3000, dark around, filled up with the greatest value."""
    rng = np.random.default_rng(0)
    film = rng.integers(90, 110, (300, 300)).astype(np.uint16)
    film[50:250, 50:200] = rng.integers(2000, 3001, (200, 150))
    filled = film.copy()
    filled[:, 250:] = 4095
    said = write_dicom(tmp_path / "a.dcm", filled, 12, PixelPaddingValue=4095)
    unsaid = write_dicom(tmp_path / "b.dcm", filled, 12)
    for modality in ("mammography", "ultrasound"):
        plain = find_window(film, modality)
        assert find_window(read_image(said), modality) == pytest.approx(plain, abs=10)
        if modality == "ultrasound":  # on a film, what is white at its edge is no tissue anyway
            assert find_window(read_image(unsaid), modality)[1] == 4095
    ((roi, _),) = crop_image(said, "mammography", [(120, 100, 280, 200)], 128, 0.2)
    assert roi[:, 110:].max() == 0


def test_a_mask_with_padding_keeps_its_lesion(tmp_path):
    mask = np.zeros((40, 50), dtype=np.uint8)
    mask[10:20, 10:30] = 255
    for name, value in (("a", 0), ("b", 100)):
        path = write_dicom(tmp_path / f"{name}.dcm", mask, PixelPaddingValue=value)
        assert np.array_equal(read_mask(path, (50, 40)), mask > 0)


SHUTTERS = {
    "rectangle": (
        {
            "ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 6, "ShutterRightVerticalEdge": 30,
            "ShutterUpperHorizontalEdge": 4, "ShutterLowerHorizontalEdge": 20,
        },
        lambda rows, columns: (rows >= 3) & (rows < 20) & (columns >= 5) & (columns < 30),
    ),
    "circle": (
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [18, 20], "RadiusOfCircularShutter": 10},
        lambda rows, columns: np.hypot(rows - 17, columns - 19) <= 10,
    ),
    "polygon": (
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [4, 6, 4, 30, 20, 30, 20, 6]},
        lambda rows, columns: (rows >= 3) & (rows < 20) & (columns >= 5) & (columns < 30),
    ),
    "several": (
        {
            "ShutterShape": ["CIRCULAR", "POLYGONAL"], "CenterOfCircularShutter": [18, 20],
            "RadiusOfCircularShutter": 10, "VerticesOfThePolygonalShutter": [1, 1, 1, 20, 36, 20, 36, 1],
        },
        lambda rows, columns: (np.hypot(rows - 17, columns - 19) <= 10) & (columns < 20),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHUTTERS)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "RGB"])
def test_what_lies_beyond_the_shutter_is_black(tmp_path, name, photometric):
    elements, shown = SHUTTERS[name]
    pixels = np.full((36, 40) if photometric == "MONOCHROME1" else (36, 40, 3), 100, dtype=np.uint8)
    image = read_image(write_dicom(tmp_path / "a.dcm", pixels, photometric=photometric, **elements))
    assert np.array_equal(image > 0, shown(*np.mgrid[:36, :40]))


def test_of_an_enhanced_image_the_functional_groups_are_read(tmp_path):
    pixels = ramp(12)
    shared = sequence(PixelValueTransformationSequence=sequence(RescaleSlope=2, RescaleIntercept=-100))
    frame = sequence(FrameVOILUTSequence=sequence(WindowCenter=1800, WindowWidth=2000))
    groups = {"SharedFunctionalGroupsSequence": shared, "PerFrameFunctionalGroupsSequence": frame}
    enhanced = write_dicom(tmp_path / "a.dcm", pixels, 12, NumberOfFrames=1, **groups)
    plain = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 1800, "WindowWidth": 2000}
    assert np.array_equal(read_image(enhanced), read_image(write_dicom(tmp_path / "b.dcm", pixels, 12, **plain)))
    oblong = sequence(PixelMeasuresSequence=sequence(PixelSpacing=[0.1, 0.2]))
    path = write_dicom(tmp_path / "c.dcm", pixels, 12, SharedFunctionalGroupsSequence=oblong)
    with pytest.raises(InputError, match="not square"):
        read_image(path)


def test_big_endian_pixels_and_luts(tmp_path):
    pixels, entries = ramp(12), np.arange(4096)[::-1]
    luts = lut(entries, bits=12)
    luts[0].LUTData = entries.astype(">u2").tobytes()
    big = pixels.astype(">u2").tobytes()
    path = write_dicom(tmp_path / "a.dcm", pixels, 12, ExplicitVRBigEndian, VOILUTSequence=luts)
    dataset = dcmread(path)
    dataset.PixelData = big
    dataset.save_as(path)
    assert np.array_equal(read_image(path), 4095 - pixels)


def test_planes_of_colour_and_single_bits(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    luma = np.asarray(Image.fromarray(colours).convert("L"))
    planes = {"PlanarConfiguration": 1, "data": np.moveaxis(colours, -1, 0).tobytes()}
    assert np.array_equal(read_image(write_dicom(tmp_path / "a.dcm", colours, photometric="RGB", **planes)), luma)
    bits = (np.arange(36 * 40) % 3 == 0).reshape(36, 40).astype(np.uint8)
    packed = {"BitsAllocated": 1, "data": np.packbits(bits.ravel(), bitorder="little").tobytes()}
    assert np.array_equal(read_image(write_dicom(tmp_path / "b.dcm", bits, 1, **packed)), bits)


@pytest.mark.filterwarnings("ignore:The .*Photometric")
def test_halved_chroma_and_compressed_colour_are_luma(tmp_path):
    y, x = np.mgrid[:36, :40]
    colours = np.stack([3 * y + 2 * x, 180 - 2 * y, 60 + x], axis=-1).astype(np.uint8)
    luma = np.asarray(Image.fromarray(colours).convert("L")).astype(int)
    ycc = np.asarray(Image.fromarray(colours).convert("YCbCr"))
    halved = np.stack([ycc[:, ::2, 0], ycc[:, 1::2, 0], ycc[:, ::2, 1], ycc[:, ::2, 2]], axis=-1).tobytes()
    path = write_dicom(tmp_path / "a.dcm", colours, photometric="YBR_FULL_422", data=halved)
    assert np.abs(read_image(path) - luma).max() <= 2
    for number, (syntax, kind, options) in enumerate(
        [
            (JPEGBaseline8Bit, "YBR_FULL_422", {"format": "JPEG", "quality": 98}),
            (JPEGBaseline8Bit, "RGB", {"format": "JPEG", "quality": 98}),  # as many writers say it
            (JPEG2000Lossless, "YBR_RCT", {"format": "JPEG2000", "mct": 1}),
            (JPEG2000Lossless, "RGB", {"format": "JPEG2000", "mct": 0}),
        ]
    ):
        stream = io.BytesIO()
        Image.fromarray(colours).save(stream, **options)
        data = encapsulate([stream.getvalue()])
        path = write_dicom(tmp_path / f"{number}.dcm", colours, 8, syntax, kind, data)
        assert np.abs(read_image(path) - luma).max() <= 4, (kind, options)


def test_a_colour_profile_is_applied(tmp_path):
    colours = np.dstack([np.linspace(0, 255, 36 * 40).reshape(36, 40).astype(np.uint8)] * 3)
    plain = read_image(write_dicom(tmp_path / "a.dcm", colours, photometric="RGB")).astype(int)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = write_dicom(tmp_path / "b.dcm", colours, photometric="RGB", ICCProfile=srgb)
    assert np.abs(read_image(same) - plain).max() <= 1
    at = srgb.index(b"para") + 12  # its tone curve's exponent, as 16.16 bits
    linear = srgb[:at] + (65536).to_bytes(4, "big") + srgb[at + 4 :]
    shown = read_image(write_dicom(tmp_path / "c.dcm", colours, photometric="RGB", ICCProfile=linear))
    assert shown[18, 20] > plain[18, 20] + 30
    broken = write_dicom(tmp_path / "d.dcm", colours, photometric="RGB", ICCProfile=b"nonsense")
    with pytest.raises(InputError, match="ICCProfile cannot be used"):
        read_image(broken)


def with_overlay(path, bit):
    """An overlay of group 6000, in *bit* of the pixels, or with data of its own for bit 0."""
    dataset = dcmread(path)
    for element, vr, value in (
        (0x10, "US", 36), (0x11, "US", 40), (0x40, "CS", "G"), (0x50, "SS", [1, 1]), (0x100, "US", 16 if bit else 1),
        (0x102, "US", bit),
    ):  # fmt: skip
        dataset.add_new((0x6000, element), vr, value)
    if not bit:
        dataset.add_new((0x6000, 0x3000), "OW", bytes([255]) * 180)
    dataset.save_as(path)


def test_overlays_are_no_greys(tmp_path):
    pixels = ramp(12)
    for bit in (0, 12, 15):
        path = write_dicom(tmp_path / "a.dcm", pixels | (1 << bit if bit else 0), 12)
        with_overlay(path, bit)
        assert np.array_equal(read_image(path), pixels)


UNCHANGED = {  # elements that change no grey and no place
    "square": {"PixelSpacing": [0.07, 0.0701], "PixelAspectRatio": [1, 1], "ImagerPixelSpacing": [0.1, 0.1]},
    "extremes": {"SmallestImagePixelValue": 7, "LargestImagePixelValue": 9},
    "patient": {
        "PatientOrientation": ["A", "FL"],
        "ImageLaterality": "R",
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    },
    "field": {"FieldOfViewHorizontalFlip": "YES", "FieldOfViewRotation": 90, "FieldOfViewOrigin": [3, 4]},
    "units": {"RescaleSlope": 1, "RescaleIntercept": 0, "RescaleType": "OD"},
    "intensity": {"PixelIntensityRelationship": "LOG", "PixelIntensityRelationshipSign": -1},
    "collimator": {"CollimatorShape": "RECTANGULAR", "CollimatorLeftVerticalEdge": 9},
    "implant": {"BreastImplantPresent": "YES", "PartialView": "YES", "ViewPosition": "CC"},
    "explained": {"LossyImageCompressionRatio": 20, "ImageComments": "seen", "ImageType": ["DERIVED", "SECONDARY"]},
    "profile": {"ColorSpace": "SRGB"},
    "upright": {"ImageRotation": 0, "ImageHorizontalFlip": "N"},
    "viewing": {"RecommendedViewingMode": "NAT", "PixelPresentation": "MONOCHROME"},
}


@pytest.mark.parametrize("name", UNCHANGED)
def test_what_changes_no_grey(tmp_path, name):
    assert np.array_equal(read_image(write_dicom(tmp_path / "a.dcm", ramp(12), 12, **UNCHANGED[name])), ramp(12))


REMARKS = {
    "burnt in": {"BurnedInAnnotation": "YES"},
    "lossily": {"LossyImageCompression": "01"},
    "raw": {"PresentationIntentType": "FOR PROCESSING"},
    "quality control": {"QualityControlImage": "YES"},
    "no echoes": {"UltrasoundColorDataPresent": 1},
    "first of 2 ways to show it is taken (WindowCenter)": {"WindowCenter": [9, 99], "WindowWidth": [9, 9]},
    "first of 2 ways to show it is taken (VOILUTSequence)": {
        "VOILUTSequence": lut(np.arange(4096), bits=12) + lut(np.arange(4096)[::-1], bits=12)
    },
}


@pytest.mark.parametrize("said", REMARKS)
def test_what_a_person_should_know_is_logged_once(tmp_path, said, caplog, monkeypatch):
    monkeypatch.setattr(dicom, "_logged", set())
    for name in ("a.dcm", "b.dcm"):
        read_image(write_dicom(tmp_path / name, ramp(12), 12, **REMARKS[said]))
    (record,) = (record for record in caplog.records if record.name == dicom.__name__)
    assert record.getMessage().startswith("a.dcm: ")
    assert said in record.getMessage()


@pytest.mark.parametrize("kind", ["grey of 12 bits", "colour"])
def test_a_file_of_which_nothing_need_be_known_logs_nothing(tmp_path, kind, caplog):
    pixels = np.zeros((8, 8, 3), np.uint8)
    given = {"photometric": "YBR_FULL"} if kind == "colour" else {"bits": 12}
    read_image(write_dicom(tmp_path / "a.dcm", pixels if kind == "colour" else ramp(12), **given))
    assert caplog.text == ""


def region(x, y, unit=3):
    return sequence(PhysicalUnitsXDirection=unit, PhysicalUnitsYDirection=unit, PhysicalDeltaX=x, PhysicalDeltaY=y)


REFUSED = {  # (elements, other bits, what is said): what would otherwise be guessed
    "high bit": ({"HighBit": 15}, "highest bit is 15 (HighBit), not 11"),
    "allocated": ({"BitsAllocated": 32, "data": bytes(36 * 40 * 4)}, "32 bits where 16 are read"),
    "padding": ({"PixelPaddingValue": 5000}, "PixelPaddingValue is 5000, which 12 bits cannot hold"),
    "padding limit": (
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 9999}, "PixelPaddingRangeLimit is 9999, which 12 bits"
    ),
    "no photometric": ({"PhotometricInterpretation": None}, "header has no PhotometricInterpretation"),
    "unknown photometric": ({"photometric": "HSV"}, "PhotometricInterpretation is HSV"),
    "one sample of three": ({"photometric": "RGB"}, "1 samples a pixel (SamplesPerPixel), which contradicts RGB"),
    "supplemental palette": (
        {"RedPaletteColorLookupTableDescriptor": [256, 3840, 16]}, "palette colours some of its greys"
    ),
    "shape of MONOCHROME1": ({"PresentationLUTShape": "INVERSE"}, "INVERSE contradicts MONOCHROME2"),
    "shape of MONOCHROME2": (
        {"PresentationLUTShape": "IDENTITY", "photometric": "MONOCHROME1"}, "IDENTITY contradicts MONOCHROME1"
    ),
    "another shape": ({"PresentationLUTShape": "LIN OD"}, "LIN OD contradicts"),
    "presentation LUT": ({"PresentationLUTSequence": lut(np.arange(4096), bits=12)}, "a PresentationLUTSequence"),
    "softcopy VOI": ({"SoftcopyVOILUTSequence": sequence(WindowCenter=3, WindowWidth=4)}, "a SoftcopyVOILUTSequence"),
    "two modality LUTs": (
        {"ModalityLUTSequence": lut(np.arange(4096), bits=12), "RescaleSlope": 2}, "both a modality LUT and a rescale"
    ),
    "centre alone": ({"WindowCenter": 9}, "1 centres (WindowCenter) and 0 widths"),
    "widths of fewer": ({"WindowCenter": [9, 8], "WindowWidth": 9}, "2 centres (WindowCenter) and 1 widths"),
    "window function": ({"WindowCenter": 9, "WindowWidth": 9, "VOILUTFunction": "LOG"}, "'LOG'"),
    "window below one": ({"WindowCenter": 9, "WindowWidth": 0.5}, "Window Width must be greater than"),
    "sigmoid of no width": (
        {"WindowCenter": 9, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"}, "Window Width must be greater than"
    ),
    "oblong spacing": ({"PixelSpacing": [0.1, 0.2]}, "not square (PixelSpacing 0.1 and 0.2)"),
    "oblong detector": ({"ImagerPixelSpacing": [0.1, 0.11]}, "not square (ImagerPixelSpacing"),
    "oblong ratio": ({"PixelAspectRatio": [4, 3]}, "not square (PixelAspectRatio 4 and 3)"),
    "oblong scan": ({"SequenceOfUltrasoundRegions": region(0.01, 0.02)}, "not square (SequenceOfUltrasoundRegions"),
    "turned": ({"ImageRotation": 90, "ImageHorizontalFlip": "N"}, "turned or mirrored"),
    "mirrored": ({"ImageRotation": 0, "ImageHorizontalFlip": "Y"}, "turned or mirrored"),
    "subtracted": ({"RecommendedViewingMode": "SUB"}, "subtracted"),
    "bitmap shutter": ({"ShutterShape": "BITMAP"}, "shutter is BITMAP"),
    "shutter without edges": ({"ShutterShape": "RECTANGULAR"}, "ShutterLeftVerticalEdge has 0 values"),
    "shut": (
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [900, 900], "RadiusOfCircularShutter": 5},
        "leaves nothing",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_rightly_is_refused(tmp_path, name):
    elements, said = REFUSED[name]
    path = write_dicom(tmp_path / "a.dcm", ramp(12), 12, **elements)
    with pytest.raises(InputError) as error:
        read_image(path)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("elements", "said"),
    [
        ({"photometric": "MONOCHROME2"}, "3 samples a pixel (SamplesPerPixel), which contradicts MONOCHROME2"),
        ({"photometric": "YBR_PARTIAL_422"}, "PhotometricInterpretation is YBR_PARTIAL_422"),
        ({"photometric": "RGB", "bits": 5}, "not of 8 bits"),
        ({"photometric": "RGB", "PixelRepresentation": 1}, "without a sign"),
        ({"photometric": "RGB", "PlanarConfiguration": None}, "Planar Configuration"),
    ],
)
def test_colour_that_contradicts_itself_is_refused(tmp_path, elements, said):
    path = write_dicom(tmp_path / "a.dcm", np.zeros((12, 20, 3), np.uint8), **elements)
    with pytest.raises(InputError) as error:
        read_image(path)
    assert said in str(error.value)


def test_scans_of_square_pixels_or_of_other_axes_are_read(tmp_path):
    for number, regions in enumerate([region(0.01, 0.0101), region(0.01, -0.01), region(0.01, 0.5, unit=4)]):
        path = write_dicom(tmp_path / f"{number}.dcm", ramp(8), SequenceOfUltrasoundRegions=regions)
        assert np.array_equal(read_image(path), ramp(8))


@pytest.mark.parametrize(
    ("syntax", "kind"), [(JPEG2000Lossless, "JPEG2000"), (JPEGBaseline8Bit, "JPEG")], ids=["JPEG 2000", "JPEG"]
)
def test_a_compressed_image_of_another_size_is_refused(tmp_path, syntax, kind):
    """As many pixels, in columns where the header says rows: what was shown was noise."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(ramp(8).T)).save(stream, kind)
    path = write_dicom(tmp_path / "a.dcm", ramp(8), 8, syntax, data=encapsulate([stream.getvalue()]))
    with pytest.raises(InputError, match=r"compressed image is 36×40, but its header says 40×36"):
        read_image(path)


def test_compressed_greys_of_more_bits_than_said_are_refused(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(ramp(16)).save(stream, "JPEG2000")
    path = write_dicom(tmp_path / "a.dcm", ramp(16), 12, JPEG2000Lossless, data=encapsulate([stream.getvalue()]))
    with pytest.raises(InputError, match=r"from 0 to 65535, but says 12 bits"):
        read_image(path)


def test_an_extended_offset_table_is_followed(tmp_path):
    stream = io.BytesIO()
    Image.fromarray(ramp(8)).save(stream, "JPEG2000")
    data, offsets, lengths = encapsulate_extended([stream.getvalue()])
    table = {"ExtendedOffsetTable": offsets, "ExtendedOffsetTableLengths": lengths}
    path = write_dicom(tmp_path / "a.dcm", ramp(8), 8, JPEG2000Lossless, data=data, **table)
    assert np.array_equal(read_image(path), ramp(8))


def test_floats_are_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", ramp(8))
    dataset = dcmread(path)
    del dataset.PixelData
    dataset.BitsAllocated = 32
    dataset.FloatPixelData = np.zeros((36, 40), np.float32).tobytes()
    dataset.save_as(path)
    with pytest.raises(InputError, match="no pixels of whole numbers"):
        read_image(path)


def test_every_element_that_is_documented_or_looked_at_is_in_the_other():
    documented = set(re.findall(r"`([A-Z][A-Za-z]+)`", (ROOT / "docs/dicom.md").read_text()))
    looked_at = {
        name
        for name in re.findall(r"\b[A-Z][A-Za-z]{5,}\b", Path(dicom.__file__).read_text(encoding="utf-8"))
        if tag_for_keyword(name)
    }
    assert looked_at <= documented
    assert all(tag_for_keyword(name) for name in documented)


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
