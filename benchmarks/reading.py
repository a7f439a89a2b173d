"""Reading and cropping against plain decoding of the same files by Pillow or pydicom.

    MAMMOSYNTH_DATA=<folder> OMP_NUM_THREADS=1 python -m benchmarks.reading

from the repository's root. Both get the same files in turn, and the processor time of each is taken; the ratio is that
of each pair. The files: BUSI (PNG), mini-MIAS (PGM, that is raw), the ready-made ROIs of CBIS-DDSM, and films of
mini-MIAS enlarged to a mammogram's size of 16 bits and written as DICOM, raw and in JPEG 2000 without loss.

``--memory`` crops few and many such films, each count in a process of its own, and says the peak of its memory.
``--window`` compares the windows that a sample of the pixels gives with those of all pixels.
"""

import argparse
import multiprocessing
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian, JPEG2000Lossless

from mammosynth import rois
from mammosynth.databases import open_source, read_database
from mammosynth.databases.pixels import DICOM_SUFFIXES
from mammosynth.paths import expand

SIZES = {"size": 128, "margin": 0.2, "min_side": 16}
SOURCES = {
    "busi": {"reader": "busi", "modality": "ultrasound", "root": "$MAMMOSYNTH_DATA/busi"},
    "mini_mias": {"reader": "mini_mias", "modality": "mammography", "root": "$MAMMOSYNTH_DATA/mini-mias/all-mias"},
    "cbis_ddsm_rois": {
        "reader": "rois",
        "modality": "mammography",
        "root": "$MAMMOSYNTH_DATA/cbis-ddsm-mass-rois-128",
        "benign": "*/is_benign_true",
        "malignant": "*/is_benign_false",
    },
}
FILM = (4800, 3000)  # height and width
SYNTAXES = {"raw": ExplicitVRLittleEndian, "jpeg2000": JPEG2000Lossless}


def read_lesions(name: str, count: int) -> pd.DataFrame:
    """The usable lesions of a source, on up to *count* images of each class."""
    source = open_source(name, SOURCES[name] | {"root": expand(SOURCES[name]["root"], name)})
    lesions = pd.DataFrame([vars(lesion) for lesion in read_database(source).lesions])
    lesions = lesions[lesions["excluded"] == ""]
    images = lesions.drop_duplicates("image").groupby("pathology").head(count)["image"]
    return lesions[lesions["image"].isin(images)].assign(group=lesions["lesion_id"]).reset_index(drop=True)


def write_films(lesions: pd.DataFrame, syntax: str, folder: Path) -> pd.DataFrame:
    """Lesions on films of mini-MIAS, the films enlarged and written as DICOM; returns the lesions on these."""
    paths = {}
    for image in lesions["image"].unique():
        small = Image.open(image).resize(FILM[::-1], Image.Resampling.BICUBIC)
        noise = np.random.default_rng(len(paths)).integers(0, 16, FILM)  # scanned films have some in their last bits
        pixels = (np.asarray(small).astype(int) * 256 + 16 * noise).astype(np.uint16)
        paths[image] = write_film(pixels, folder / f"{Path(image).stem}-{syntax}.dcm", SYNTAXES[syntax])
    boxes = {"x0": 1, "x1": 1, "y0": 0, "y1": 0}
    scaled = {name: (lesions[name] * (FILM[axis] / 1024)).astype(int) for name, axis in boxes.items()}
    return lesions.assign(image=lesions["image"].map(paths), **scaled)


def write_film(pixels: np.ndarray, path: Path, syntax: str) -> str:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.PixelRepresentation = "MONOCHROME2", 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    if syntax != ExplicitVRLittleEndian:
        dataset.compress(syntax)
    dataset.save_as(path, enforce_file_format=True)
    return str(path)


def decode(lesions: pd.DataFrame) -> None:
    """Every image of some lesions, once, as Pillow or pydicom gives it."""
    for path in lesions["image"].unique():
        if Path(path).suffix in DICOM_SUFFIXES:
            dcmread(path).pixel_array  # noqa: B018
        else:
            with Image.open(path) as image:
                np.asarray(image)


def processor_time(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(name: str, lesions: pd.DataFrame, pairs: int) -> None:
    """Print images a second of processor time of decoding and of cropping, and the ratio of each pair."""
    count = lesions["image"].nunique()
    decode(lesions), rois.crop_rois(lesions, **SIZES)  # imports, and files into the cache
    times = []
    for turn in range(pairs):
        works = [lambda: decode(lesions), lambda: rois.crop_rois(lesions, **SIZES)]
        taken = [processor_time(work) for work in works[:: 1 - 2 * (turn % 2)]]
        times.append(taken[:: 1 - 2 * (turn % 2)])
    ratios = sorted(plain / ours for plain, ours in times)
    plain, ours = (statistics.median(column) / count for column in zip(*times))
    print(
        f"| {name} | {count} | {1 / plain:.3g} | {1 / ours:.3g} | {(ours - plain) * 1000:.1f} | "
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f}) |",
        flush=True,
    )


def peak_memory(lesions: pd.DataFrame, threads: int) -> None:
    rois.crop_rois(lesions, **SIZES, threads=threads)
    status = Path("/proc/self/status").read_text(
        encoding="utf-8"
    )  # getrusage would say the peak of the parent where that is higher
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    print(f"| {lesions['image'].nunique()} | {threads} | {peak:.0f} MiB |", flush=True)


def measure_memory(folder: Path) -> None:
    """Print the peak of memory for few and many films, which are links to one and the same."""
    films = write_films(read_lesions("mini_mias", 1), "raw", folder)
    print("| films | threads | peak |\n|---|---|---|")
    for count, threads in ((4, 1), (64, 1), (64, 2)):
        many = pd.concat([films] * (count // 2), ignore_index=True)
        paths = [folder / f"{count}-{threads}-{i}.dcm" for i in range(count)]
        for path, image in zip(paths, many["image"]):
            os.link(image, path)
        many = many.assign(image=[str(path) for path in paths], lesion_id=[str(i) for i in range(count)])
        process = multiprocessing.get_context("spawn").Process(target=peak_memory, args=(many, threads))
        process.start()
        process.join()


def compare_windows(lesions: pd.DataFrame) -> None:
    """Print how far, in shares of its width, a sampled window's ends lie from those of all pixels."""
    sample, differences = rois.SAMPLE, []
    for path, modality in lesions[["image", "modality"]].drop_duplicates().itertuples(index=False):
        image = rois.read_image(Path(path))
        rois.SAMPLE = sample
        low, high = rois.find_window(image, modality)
        rois.SAMPLE = image.size
        all_low, all_high = rois.find_window(image, modality)
        differences.append(max(abs(low - all_low), abs(high - all_high)) / (all_high - all_low))
    rois.SAMPLE = sample
    print(
        f"{len(differences)} images: median {np.median(differences):.4f}, greatest {max(differences):.4f}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=25, help="images of each class")
    parser.add_argument("--films", type=int, default=6, help="large films of each class; one of each in JPEG 2000")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--window", action="store_true")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if settings.memory:
            measure_memory(Path(folder))
            return
        lesions = {name: read_lesions(name, settings.images) for name in SOURCES}
        films = read_lesions("mini_mias", settings.films)
        if settings.window:
            for some in (lesions["busi"], lesions["mini_mias"], write_films(films, "raw", Path(folder))):
                compare_windows(some)
            return
        lesions["films, raw"] = write_films(films, "raw", Path(folder))
        lesions["films, jpeg2000"] = write_films(read_lesions("mini_mias", 1), "jpeg2000", Path(folder))
        print("| files | images | decoding, images/s | with cropping, images/s | ms more an image | ratio |")
        print("|---|---|---|---|---|---|")
        for name in lesions:
            compare(name, lesions[name], settings.pairs if "jpeg2000" not in name else 2)  # seconds an image


if __name__ == "__main__":
    main()
