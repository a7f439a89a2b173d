"""Curation: near-duplicate images, conflicting labels, and the groups that must never be split.

Two images are near-duplicates if their 256-bit perceptual hashes (imagehash's phash: signs of the low frequencies of a
cosine transform) differ in few bits; groups of them are single-linkage clusters. A *group*, the unit that folds and
confidence intervals use, is a connected component of images of the same patient and of near-duplicate images. Once ROIs
are cropped, groups whose ROIs show the same lesion in another field of view are joined, too.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mammosynth.databases import Lesion, Problems, Reading, near_duplicate_bits, open_source, read_database
from mammosynth.databases.pixels import read_image
from mammosynth.imageset import ImageSet
from mammosynth.progress import track
from mammosynth.quality.novelty import alike
from mammosynth.rois import MEASURED

log = logging.getLogger(__name__)

HASH_SIZE = 16  # 16 × 16 = 256 bits
ALIKE = 0.7  # correlation of ROIs from which they show the same lesion
WHOLE = ["x0", "y0", "x1", "y1", "official_fold"]


def read_lesions(sources: dict[str, dict]) -> pd.DataFrame:
    """The lesions that `read_databases` gives."""
    return read_databases(sources)[0]


def read_databases(sources: dict[str, dict]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All lesions and all images of the databases of a modality, curated; *sources* are their settings by name.

    Lesions have one row each with the columns of `Lesion`, *group* (the unit that is split) and *duplicates* (the
    near-duplicate group of its image, or empty). Images have one row each: *database*, *image*, *shows* (the
    pathologies of its lesions, ``normal``, or what else it shows), *lesions* (their number) and *duplicates*. Raises
    InputError, one for all databases, for bad files.
    """
    problems = Problems()
    readings: dict[str, Reading] = {}
    for name, settings in sources.items():
        with problems.gathered():
            readings[name] = read_database(open_source(name, settings))
    problems.refuse()
    lesions = pd.DataFrame(
        [vars(lesion) for reading in readings.values() for lesion in reading.lesions],
        columns=list(Lesion.__dataclass_fields__),
    ).astype(dict.fromkeys(WHOLE, "Int64"))
    normals = pd.DataFrame(
        [(name, str(path)) for name, reading in readings.items() for path in reading.normals],
        columns=["database", "image"],
    )
    passed_over = pd.DataFrame(
        [(name, str(path), what) for name, reading in readings.items() for path, what in reading.passed_over.items()],
        columns=["database", "image", "shows"],
    )
    bits = {name: near_duplicate_bits(settings) for name, settings in sources.items()}
    lesions, normals = curate(lesions, normals, bits)
    with_lesions = lesions.groupby("image", sort=False, as_index=False).agg(
        database=("database", "first"),
        shows=("pathology", lambda found: ", ".join(sorted(set(found)))),
        lesions=("lesion_id", "size"),
        duplicates=("duplicates", "first"),
    )
    without = pd.concat([normals.assign(shows="normal"), passed_over.assign(duplicates="")]).assign(lesions=0)
    images = pd.concat([with_lesions, without], ignore_index=True)
    return lesions, images[["database", "image", "shows", "lesions", "duplicates"]]


def save_lesions(lesions: pd.DataFrame, path: str | Path) -> None:
    """Write a table of lesions; what it lacks is left empty."""
    lesions.to_csv(path, index=False)


def load_lesions(path: str | Path) -> pd.DataFrame:
    """Read a table of lesions: text as text (ids keep their zeros, nothing is taken for a missing value)."""
    lesions = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in lesions.columns.intersection([*WHOLE, *MEASURED]):
        lesions[name] = pd.to_numeric(lesions[name].replace("", None))
    return lesions.astype(dict.fromkeys(lesions.columns.intersection(WHOLE), "Int64"))


def load_images(path: str | Path) -> pd.DataFrame:
    """Read a table of images."""
    return pd.read_csv(path, dtype=str, keep_default_na=False).astype({"lesions": int})


def curate(
    lesions: pd.DataFrame, normals: pd.DataFrame, bits: dict[str, int | None]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lesions with *group* and *duplicates*, those of near-duplicates with different labels excluded; normals with
    *duplicates*.

    normals: database and image of the images without a lesion. bits: for each database, up to how many bits
    near-duplicates differ, or None for no search; images of two databases are held to the smaller number. Lesions
    that are excluded already are neither opened nor able to bring others into conflict.
    """
    shown = pd.concat(
        [lesions.loc[lesions["excluded"] == "", ["database", "image", "pathology"]], normals.assign(pathology="normal")]
    )
    searched = shown[shown["database"].map(bits.get).notna()]
    images = searched.drop_duplicates("image")
    hashes = hash_images([Path(image) for image in images["image"]])
    clusters = near_duplicates(hashes, images["database"].map(bits).to_numpy(dtype=int))
    cluster = pd.Series(clusters, index=images["image"], dtype=int)
    sizes = np.bincount(clusters, minlength=1)
    cluster = cluster[sizes[cluster] > 1]

    labels = searched.assign(cluster=searched["image"].map(cluster)).dropna().groupby("cluster")["pathology"].unique()
    conflicts = {
        c: f"near-duplicates with different labels ({', '.join(sorted(found))})"
        for c, found in labels.items()
        if len(found) > 1
    }
    log.info(
        "%d of %d images are near-duplicates, in %d groups (the largest of %d); %d groups hold different labels",
        len(cluster), len(images), len(labels), sizes.max(), len(conflicts),
    )  # fmt: skip

    number = lesions["image"].map(cluster)
    names = {c: str(i) for i, c in enumerate(labels.index, start=1)}
    lesions = lesions.assign(
        group=join_groups(lesions, number),
        duplicates=[names.get(c, "") for c in number],
        excluded=[reason or conflicts.get(c, "") for reason, c in zip(lesions["excluded"], number)],
    )
    for reason, n in lesions.loc[lesions["excluded"] != "", "excluded"].value_counts().items():
        log.info("%d lesions excluded: %s", n, reason)
    return lesions, normals.assign(duplicates=[names.get(c, "") for c in normals["image"].map(cluster)])


def join_alike(images: ImageSet, table: pd.DataFrame, searched: Iterable[str]) -> tuple[ImageSet, pd.DataFrame]:
    """Join the groups of ROIs that show the same lesion, and exclude those of them that have different labels.

    images, table: what `mammosynth.rois.crop_rois` returned. searched: databases whose near-duplicates are looked for.
    Hashes of whole images miss a lesion that is shown again with another field of view: of BUSI's 631 ROIs 16 pairs of
    different groups correlate by more than 0.7, all of them the same lesion by eye; below are different ones, and of
    1,296 CBIS-DDSM ROIs no two of different patients reach it. Returns both again.
    """
    own = np.flatnonzero(np.isin(images.ids, table.loc[table["database"].isin(list(searched)), "lesion_id"]))
    pairs = own[alike(images.images[own], ALIKE)]
    names, group = np.unique(images.patients, return_inverse=True)
    graph = coo_array((np.ones(len(pairs), dtype=bool), tuple(group[pairs].T)), shape=(len(names),) * 2)
    count, component = connected_components(graph, directed=False)
    joined = names[np.unique(component, return_index=True)[1]][component]
    of_both = images.labels[pairs[:, 0]] != images.labels[pairs[:, 1]]
    conflict = np.isin(np.arange(len(images)), pairs[of_both])
    log.info("%d groups show a lesion of another group: joined to it", len(names) - count)
    renamed = dict(zip(names.tolist(), joined.tolist()))
    table = table.assign(
        group=[renamed.get(name, name) for name in table["group"]],  # some have no ROI
        excluded=table["excluded"].mask(
            table["lesion_id"].isin(images.ids[conflict]), "the same lesion with different labels"
        ),
    )
    together = ImageSet(images.images, images.labels, images.ids, joined[group], images.sources)
    return together[~conflict], table


def hash_images(paths: Iterable[Path]) -> np.ndarray:
    """Perceptual hashes, bool [N, 256]. Raises InputError, one for all files, for unreadable images."""
    problems = Problems()
    hashes = []
    for path in track(list(paths), "hash images"):
        with problems.gathered():
            hashes.append(imagehash.phash(Image.fromarray(_bytes(read_image(path))), hash_size=HASH_SIZE).hash.ravel())
    problems.refuse()
    return np.array(hashes, dtype=bool).reshape(-1, HASH_SIZE**2)


def near_duplicates(hashes: np.ndarray, bits: np.ndarray, block: int = 1024) -> np.ndarray:
    """Single-linkage clusters of hashes: int [N], equal where two images are joined.

    hashes: bool [N, B]. bits: int [N]; two images are joined if they differ in no more than the smaller of their two.
    Distances are made *block* rows at a time, so that memory grows with N and not with its square.
    """
    n = len(hashes)
    signs = np.where(hashes, 1, -1).astype(np.float32)
    first, second = [], []
    for start in range(0, n, block):
        distance = (hashes.shape[1] - signs[start : start + block] @ signs.T) / 2  # Hamming, from the dot product
        i, j = np.nonzero(distance <= np.minimum(bits[start : start + block, None], bits))
        first.append(i + start)
        second.append(j)
    if not n:
        return np.empty(0, dtype=int)
    i, j = np.concatenate(first), np.concatenate(second)
    return connected_components(coo_array((np.ones(len(i), dtype=bool), (i, j)), shape=(n, n)), directed=False)[1]


def join_groups(lesions: pd.DataFrame, cluster: pd.Series) -> pd.Series:
    """Name of each lesion's group: the connected component of its patient, its image and its near-duplicate *cluster*.

    A group is named after its first patient, or its first lesion's id where no patient is known.
    """
    patient = (lesions["database"] + "/" + lesions["patient_id"]).where(lesions["patient_id"] != "")
    nodes = pd.concat(
        [
            "image " + lesions["image"],
            "patient " + patient,
            ("cluster " + cluster.astype("Int64").astype(str)).where(cluster.notna()),
        ],
        axis=1,
    )
    codes, names = pd.factorize(nodes.to_numpy(dtype=object).ravel())  # −1 where there is none
    codes = codes.reshape(-1, 3)
    edges = np.concatenate([codes[:, [0, 1]], codes[:, [0, 2]]])
    edges = edges[(edges >= 0).all(axis=1)]
    graph = coo_array((np.ones(len(edges), dtype=bool), (edges[:, 0], edges[:, 1])), shape=(len(names),) * 2)
    component = pd.Series(connected_components(graph, directed=False)[1][codes[:, 0]], index=lesions.index)
    first_patient = patient.groupby(component).transform("first")
    return first_patient.fillna(lesions["lesion_id"].groupby(component).transform("first"))


def _bytes(image: np.ndarray) -> np.ndarray:
    """A grey image of any depth as uint8, by its own range; 8 bits stay as they are."""
    if image.dtype == np.uint8:
        return image
    low, high = int(image.min()), int(image.max())
    return ((image - low) * (255 / max(high - low, 1))).astype(np.uint8)
