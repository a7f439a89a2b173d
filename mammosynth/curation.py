"""Curation: near-duplicate images, conflicting labels, and the groups that must never be split.

Two images are near-duplicates if their 256-bit perceptual hashes (imagehash's phash: signs of the low frequencies of a
cosine transform) differ in few bits, and the surroundings of the lesions of either look alike in both: of dark frames
with a machine's bright text the hash tells little but the text, and unlike scans have the same. Groups of them are
single-linkage clusters. They are in conflict where one lesion has different labels. A *group*, the unit that folds and
confidence intervals use, is a connected component of images of the same patient and of near-duplicate images. Once ROIs
are cropped, groups whose ROIs show the same lesion in another field of view are joined, too.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mammosynth.arrays.likeness import alike, correlate
from mammosynth.databases import Lesion, Problems, Reading, near_duplicate_bits, open_source, read_database
from mammosynth.databases.pixels import read_image, read_size
from mammosynth.errors import InputError
from mammosynth.imageset import CLASSES, ImageSet
from mammosynth.progress import track
from mammosynth.rois import MEASURED

log = logging.getLogger(__name__)

HASH_SIZE = 16  # 16 × 16 = 256 bits
# Correlation of a lesion's surroundings from which images that hash alike are near-duplicates: see `same_place`.
SAME_PLACE = 0.6
AROUND = 0.5  # a lesion's surroundings: so many of its box's sides beyond the box, on each side
LEAST = 0.25  # share of the image's sides that surroundings have at least, as less would differ in every other crop
REDUCED, WINDOW = 256, 64  # longer sides of the images that surroundings are cut from, and side of what is compared
BELIEVED = 10  # images of a group, above which a person should look: BUSI's largest has 4
ALIKE = 0.7  # correlation of ROIs from which they show the same lesion
REVIEWED = 0.6  # from which a person should look whether they do
PAIR = ["first", "second", "correlation", "joined"]
CONFLICT = "near-duplicates with different labels"
SHARED = "lesion or patient is in a database that is trained on, too"
BOX = ["x0", "y0", "x1", "y1"]
WHOLE = [*BOX, "official_fold"]


def read_lesions(sources: dict[str, dict], external: Collection[str] = ()) -> pd.DataFrame:
    """The lesions that `read_databases` gives."""
    return read_databases(sources, external)[0]


def read_databases(sources: dict[str, dict], external: Collection[str] = ()) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All lesions and all images of the databases of a modality, curated; *sources* are their settings by name.

    external: names of those that are external test databases, see `curate`.

    Lesions have one row each with the columns of `Lesion`, *group* (the unit that is split) and *duplicates* (the
    near-duplicate group of its image, or empty). Images have one row each: *database*, *image*, *shows* (the
    pathologies of its lesions, ``normal``, or what else it shows), *lesions* (their number), *duplicates* and
    *conflict* (why its near-duplicates are excluded, or empty).

    Raises InputError, one for all databases, for bad files, and for a file that an external database has with another.
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
    of_external = lesions["database"].isin(external)
    if twice := sorted(set(lesions.loc[of_external, "image"]) & set(lesions.loc[~of_external, "image"])):
        names = ", ".join(lesions.loc[lesions["image"] == twice[0], "database"].unique())
        raise InputError(f"{twice[0]} is of {names}, and not all of them are external: leave one of them out")
    bits = {name: near_duplicate_bits(settings) for name, settings in sources.items()}
    lesions, normals = curate(lesions, normals, bits, external)
    with_lesions = lesions.groupby("image", sort=False, as_index=False).agg(
        database=("database", "first"),
        shows=("pathology", lambda found: ", ".join(sorted(set(found)))),
        lesions=("lesion_id", "size"),
        duplicates=("duplicates", "first"),
    )
    without = pd.concat([normals.assign(shows="normal"), passed_over.assign(duplicates="")]).assign(lesions=0)
    images = pd.concat([with_lesions, without], ignore_index=True)
    of_conflict = lesions[lesions["excluded"].str.startswith(CONFLICT)]
    conflicts = dict(zip(of_conflict["duplicates"], of_conflict["excluded"]))
    images["conflict"] = [conflicts.get(number, "") for number in images["duplicates"]]
    return lesions, images[["database", "image", "shows", "lesions", "duplicates", "conflict"]]


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


def load_alike(path: str | Path) -> pd.DataFrame:
    """Read a table of pairs of ROIs that look alike."""
    pairs = pd.read_csv(path, dtype=str, keep_default_na=False)
    return pairs.assign(correlation=pairs["correlation"].astype(float), joined=pairs["joined"] == "True")


def curate(
    lesions: pd.DataFrame, normals: pd.DataFrame, bits: dict[str, int | None], external: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lesions with *group* and *duplicates*, those of near-duplicates in conflict excluded; normals with *duplicates*.

    normals: database and image of the images without a lesion. bits: for each database, up to how many bits
    near-duplicates differ, or None for no search; images of two databases are held to the smaller number. Lesions
    that are excluded already are neither opened nor able to bring others into conflict.

    external: databases that are only tested on. They change neither groups nor conflicts of the others, lest a study
    trained otherwise with them; but a group of theirs with a near-duplicate among the others is excluded.

    Raises InputError, one for all files, for unreadable images.
    """
    shown = pd.concat(
        [
            lesions.loc[lesions["excluded"] == "", ["database", "image", "pathology", *BOX]],
            normals.assign(pathology="normal"),
        ]
    )
    searched = shown[shown["database"].map(bits.get).notna()]
    images = searched.drop_duplicates("image")
    paths = [Path(image) for image in images["image"]]
    pairs = near_duplicates(hash_images(paths), images["database"].map(bits).to_numpy(dtype=int))
    boxes = searched.groupby("image").agg({"x0": "min", "y0": "min", "x1": "max", "y1": "max"}).loc[images["image"]]
    confirmed = pairs[same_place(pairs, paths, boxes.to_numpy(dtype=float, na_value=np.nan))]
    clusters = link(len(images), confirmed)
    cluster = _of_several(clusters, images["image"])
    sizes = np.bincount(clusters, minlength=1)
    members = searched.assign(cluster=searched["image"].map(cluster)).dropna(subset="cluster").groupby("cluster")
    across = np.ptp(images["database"].isin(external).to_numpy(dtype=int)[confirmed], axis=1) == 1
    apart = _of_several(link(len(images), confirmed[~across]), images["image"])
    of_one_side = searched.assign(cluster=searched["image"].map(apart)).dropna(subset="cluster").groupby("cluster")
    conflicts = {number: reason for number, of_cluster in of_one_side if (reason := find_conflict(of_cluster))}
    log.info(
        "%d of %d images are near-duplicates, in %d groups (the largest of %d); %d groups hold different labels; "
        "%d pairs hash alike but show different lesions",
        len(cluster), len(images), len(members), sizes.max(), len(conflicts), len(pairs) - len(confirmed),
    )  # fmt: skip
    if sizes.max() > BELIEVED:
        log.warning(
            "a group of near-duplicates has %d images, such as %s: look at near_duplicates.png whether they are; if "
            "not, lower near_duplicates of their source, or set it to null",
            sizes.max(), paths[int(np.argmax(clusters == sizes.argmax()))],
        )  # fmt: skip

    names = {c: str(i) for i, c in enumerate(members.groups, start=1)}
    number = lesions["image"].map(apart)
    group = join_groups(lesions, number)
    shown_twice = lesions["image"].isin(images["image"].iloc[np.unique(confirmed[across])])
    of_external = lesions["database"].isin(external)
    shared = of_external & group.isin(group[of_external & shown_twice])
    lesions = lesions.assign(
        group=group,
        duplicates=[names.get(c, "") for c in lesions["image"].map(cluster)],
        excluded=[
            reason or conflicts.get(c, "") or (SHARED if twice else "")
            for reason, c, twice in zip(lesions["excluded"], number, shared)
        ],
    )
    for reason, n in lesions.loc[lesions["excluded"] != "", "excluded"].value_counts().items():
        log.info("%d lesions excluded: %s", n, reason)
    return lesions, normals.assign(duplicates=[names.get(c, "") for c in normals["image"].map(cluster)])


def _of_several(cluster: np.ndarray, images: pd.Series) -> pd.Series:
    """The cluster [N] of each image, by image; those left out that are of a cluster of one."""
    sizes = np.bincount(cluster, minlength=1)
    return pd.Series(cluster, index=images, dtype=int)[sizes[cluster] > 1]


def find_conflict(shown: pd.DataFrame) -> str:
    """Why the lesions of a near-duplicate group cannot be used: one of them has different labels; or empty.

    shown: image, pathology and box of what its images show. It has where the images differ in the labels that they
    show, or, of two images that show both classes, where a lesion lies on one of the other class. A lesion may lie on
    one of the other class where one of the two has a counterpart of its own class that it overlaps more.
    """
    of_image = shown.groupby("image", sort=False)
    labels = {frozenset(found) for found in of_image["pathology"].unique()}
    said = f"{CONFLICT} ({', '.join(sorted(frozenset.union(*labels)))})"
    if len(labels) > 1:
        return said
    if len(*labels) == 1:
        return ""
    places = [
        (members[BOX].to_numpy(dtype=float) / np.tile(read_size(Path(image)), 2), members["pathology"].to_numpy())
        for image, members in of_image
    ]
    for (boxes, classes), (others, other_classes) in combinations(places, 2):
        shared, same = overlaps(boxes, others), classes[:, None] == other_classes
        own = np.where(same, shared, 0)
        if (~same & (shared > own.max(axis=1, keepdims=True)) & (shared > own.max(axis=0))).any():
            return said
    return ""


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes x0, y0, x1, y1 [N, 4] and [M, 4]: [N, M], 0 to 1."""
    shared = np.minimum(boxes[:, None, 2:], others[:, 2:]) - np.maximum(boxes[:, None, :2], others[:, :2])
    both = shared.clip(min=0).prod(axis=2)
    area, other_area = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (boxes, others))
    return both / (area[:, None] + other_area - both)


def join_alike(
    images: ImageSet, table: pd.DataFrame, searched: Iterable[str], external: Collection[str] = ()
) -> tuple[ImageSet, pd.DataFrame, pd.DataFrame]:
    """Join the groups of ROIs that show the same lesion, and exclude those of them that have different labels.

    images, table: what `mammosynth.rois.crop_rois` returned. searched: databases whose near-duplicates are looked for.
    Hashes of whole images miss a lesion that is shown again with another field of view: of BUSI's 631 ROIs 16 pairs of
    different groups correlate by more than 0.7, all of them the same lesion by eye; below are different ones, and of
    1,296 CBIS-DDSM ROIs no two of different patients reach it. ROIs of one image are different lesions, however much of
    them is the same. Groups of *external* databases are not joined to those of others, but excluded, as by `curate`.
    Returns both again, and the pairs of ROIs of different groups that correlate by more than 0.6, for a person to look
    at: *first* and *second* (lesion ids), *correlation* and *joined*, the most alike first. Raises InputError if no ROI
    of a class is left.
    """
    own = np.flatnonzero(np.isin(images.ids, table.loc[table["database"].isin(list(searched)), "lesion_id"]))
    pairs, correlation = alike(images.images[own], REVIEWED)
    pairs = own[pairs]
    names, group = np.unique(images.patients, return_inverse=True)
    same = correlation > ALIKE
    of_external = np.isin(images.ids, table.loc[table["database"].isin(external), "lesion_id"])
    across = np.ptp(of_external[pairs].astype(int), axis=1) == 1
    joining = same & ~across
    component = link(len(names), group[pairs[joining]])
    joined = names[np.unique(component, return_index=True)[1]][component]
    on_image = table.set_index("lesion_id")["image"].loc[images.ids].to_numpy()
    conflict = _mislabelled(pairs[joining], correlation[joining], images.labels, on_image)
    shown_twice = np.isin(np.arange(len(group)), pairs[same & across])
    shared = of_external & np.isin(component[group], component[group[of_external & shown_twice]])
    log.info("%d groups show a lesion of another group: joined to it", len(names) - component.max(initial=-1) - 1)
    renamed = dict(zip(names.tolist(), joined.tolist()))
    table = table.assign(
        group=[renamed.get(name, name) for name in table["group"]],  # some have no ROI
        excluded=table["excluded"]
        .mask(table["lesion_id"].isin(images.ids[shared]), SHARED)
        .mask(table["lesion_id"].isin(images.ids[conflict]), "the same lesion with different labels"),
    )
    trained_on = images.labels[~of_external]
    for label in sorted(set(trained_on.tolist()) - set(trained_on[~conflict[~of_external]].tolist())):
        raise InputError(
            f"{', '.join(table['modality'].unique())}: all ROIs of {CLASSES[label]} lesions show lesions that are "
            "labelled otherwise elsewhere: mend the labels, or take one of each pair out by exclusions of its source"
        )
    together = ImageSet(images.images, images.labels, images.ids, joined[group], images.sources)
    apart = group[pairs[:, 0]] != group[pairs[:, 1]]
    found = pd.DataFrame(dict(zip(PAIR, (*images.ids[pairs[apart]].T, correlation[apart].round(3), same[apart]))))
    return together[~conflict & ~shared], table, found.sort_values("correlation", ascending=False, kind="stable")


def _mislabelled(pairs: np.ndarray, correlation: np.ndarray, labels: np.ndarray, on_image: np.ndarray) -> np.ndarray:
    """Which ROIs, bool [N], are the same lesion as one of the other class: a pair of two images, neither of which shows
    a lesion of the other's class that is as much like it."""
    conflict = np.zeros(len(labels), dtype=bool)
    best: dict[tuple[int, str, int], float] = {}
    for (i, j), value in zip(pairs.tolist(), correlation.tolist()):
        for one, other in ((i, j), (j, i)):
            key = one, on_image[other], labels[other]
            best[key] = max(best.get(key, 0.0), value)
    for (i, j), value in zip(pairs.tolist(), correlation.tolist()):
        if labels[i] != labels[j] and on_image[i] != on_image[j]:
            explained = any(best.get((a, on_image[b], labels[a]), 0.0) >= value for a, b in ((i, j), (j, i)))
            conflict[[i, j]] |= not explained
    return conflict


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
    """Pairs [P, 2] of positions, the lower first, of hashes that differ in few bits.

    hashes: bool [N, B]. bits: int [N]; two may differ in no more than the smaller of their two. Distances are made
    *block* rows at a time, so that memory grows with N and not with its square.
    """
    signs = np.where(hashes, 1, -1).astype(np.float32)
    pairs = [np.empty((0, 2), dtype=int)]
    for start in range(0, len(hashes), block):
        distance = (hashes.shape[1] - signs[start : start + block] @ signs.T) / 2  # Hamming, from the dot product
        i, j = np.nonzero(distance <= np.minimum(bits[start : start + block, None], bits))
        later = j > i + start
        pairs.append(np.stack([i[later] + start, j[later]], axis=1))
    return np.concatenate(pairs)


def link(n: int, pairs: np.ndarray) -> np.ndarray:
    """Single-linkage clusters of *n* things joined by pairs [P, 2]: int [n], equal where two are of one cluster."""
    graph = coo_array((np.ones(len(pairs), dtype=bool), tuple(pairs.T)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def same_place(pairs: np.ndarray, paths: Sequence[Path], boxes: np.ndarray) -> np.ndarray:
    """Whether the images of each pair [P, 2] show the same where either of them has its lesions: bool [P].

    boxes: of all lesions of each image [N, 4], NaN where it has none: then its middle is looked at. The place is
    carried over in shares of the images' sides, and may be a little off, see `correlate`. Of BUSI's 140 pairs that hash
    alike the least correlate by .77, of 2,000 pairs that do not the most by .31; of dark frames that we made, with a
    fixed text and sector, unlike ones by .52 at most and other crops of one by .74 at least, though all hash alike.
    Where the lesions of both lie on the machine's text nothing tells them apart.
    """
    involved = np.unique(pairs)
    reduced, places = {}, {}
    for i in track(involved.tolist(), "compare images"):
        image = read_image(paths[i])
        places[i] = surroundings(boxes[i], image.shape)
        reduced[i] = Image.fromarray(_bytes(image))
        reduced[i].thumbnail((REDUCED, REDUCED))
    likeness = np.ones(len(pairs))
    for end in (0, 1):
        order = np.argsort(pairs[:, end], kind="stable")
        starts = np.flatnonzero(np.diff(pairs[order, end], prepend=-1))
        for of_one in np.split(order, starts[1:]) if len(order) else []:
            one = int(pairs[of_one[0], end])
            here = _window(reduced[one], places[one])[None]
            there = np.stack([_window(reduced[int(i)], places[one]) for i in pairs[of_one, 1 - end]])
            both_ways = np.maximum(correlate(here, there)[0], correlate(there, here)[:, 0])
            likeness[of_one] = np.minimum(likeness[of_one], both_ways)
    return likeness > SAME_PLACE


def surroundings(box: np.ndarray, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box with what is around it, in shares of the sides of an image of *shape* (height, width): left, top, right,
    bottom. A small lesion's are LEAST of each side; where the box is NaN they are the middle of the image."""
    if np.isnan(box).any():
        return 0.25, 0.25, 0.75, 0.75
    size = np.array([shape[1], shape[0]], dtype=float)
    low, high = box[:2] / size, box[2:] / size
    half = np.maximum((0.5 + AROUND) * (high - low), LEAST / 2)
    left, top = np.clip((low + high) / 2 - half, 0, 1).tolist()
    right, bottom = np.clip((low + high) / 2 + half, 0, 1).tolist()
    return left, top, right, bottom


def _window(image: Image.Image, place: tuple[float, float, float, float]) -> np.ndarray:
    left, top, right, bottom = (share * side for share, side in zip(place, image.size * 2))
    return np.asarray(image.resize((WINDOW, WINDOW), Image.Resampling.BICUBIC, box=(left, top, right, bottom)))


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
