"""Tiny gait data sets in OpenGait's form, made on the spot; and their preparation."""

import json
import pickle
import zlib

import numpy as np

CASIA_TYPES = [f"nm-{number:02d}" for number in range(1, 7)] + ["bg-01", "bg-02", "cl-01", "cl-02"]
CCPG_TYPES = ["U0_D0_BG", "U0_D0", "U0_D3", "U1_D0", "U1_D1", "U2_D2", "U3_D3"]
SUSTECH_TYPES = ["00-nm", "01-nm", "01-bg", "02-cl", "03-cr-ub", "02-uf-oc", "04-nt"]


def silhouettes(frames, height=8, width=8, seed=0):
    """Blobs of 0 and 255, ``[s, h, w]``."""
    rng = np.random.default_rng(seed)
    return (rng.random((frames, height, width)) > 0.5).astype(np.uint8) * 255


def rgbs(frames, height=8, width=4, seed=0):
    """Noise, ``[s, 3, h, w]``."""
    return np.random.default_rng(seed).integers(0, 256, (frames, 3, height, width), np.uint8)


def ratios(frames):
    return np.full(frames, 0.4)


def ccpg_files(view, frames, seed):
    return {
        f"{view}-aligned-sils": silhouettes(frames, seed=seed),
        f"{view}-ratios": ratios(frames),
        f"{view}-rgbs": rgbs(frames, seed=seed),
        f"{view}-sils": silhouettes(frames, 16, 16, seed),
    }


def sustech_files(view, frames, seed):
    clouds = [np.zeros((5, 3)) for _ in range(frames)]
    return {
        f"00-{view}-LiDAR-PCDs": clouds,
        f"04-{view}-Camera-Ratios-HW": np.full((frames, 2), 8),
        f"05-{view}-Camera-RGB_raw": rgbs(frames, 8, 8, seed).transpose(0, 2, 3, 1),
        f"06-{view}-Camera-Sils_aligned": silhouettes(frames, seed=seed),
        f"13-sync-{view}-Camera-RGB_raw": rgbs(frames, 8, 8, seed),
    }


def ccgr_files(view, frames, seed):
    stem = view.replace(".avi", "")
    return {
        f"000-{stem}ratios_HW-1": np.full((frames, 2), 8),
        f"001-{stem}rgb_f-1": rgbs(frames, 8, 8, seed),
        f"002-{stem}sil-1": silhouettes(frames, seed=seed),
    }


def plain_files(view, frames, seed):
    return {view: silhouettes(frames, seed=seed)}


TREES = {  # benchmark: title, identities, types, views, files of a tracklet
    "casia_b": ("CASIA-B", ("001", "002", "003"), ("075", "076"), CASIA_TYPES,
                ("000", "018", "090"), plain_files),
    "oumvlp": ("OUMVLP", ("00001", "00003"), ("00002", "00004"), ["00", "01"],
               ("000", "015"), plain_files),
    "grew": ("GREW", ("00001train", "00002train"), ("00001", "00002", "probe"),
             ["01", "02"], ("4XPn5Z28",), plain_files),
    "ccpg": ("CCPG", ("000", "001", "002"), ("100", "101"), CCPG_TYPES,
             ("01_x", "02_x", "10_x"), ccpg_files),
    "sustech1k": ("SUSTech1K", ("0000", "0002"), ("0001", "0003"), SUSTECH_TYPES,
                  ("000", "000-far", "045"), sustech_files),
    "gait3d": ("Gait3D", ("1234", "1512"), ("0002", "0007"),
               ["camid33_videoid2", "camid9_videoid1"], ("seq0", "seq1"), plain_files),
    "ccgr_mini": ("CCGR-MINI", ("1", "2"), ("601", "602"), ["DTBXHVCL1", "BGCRCLSU1"],
                  ("0_1.avi", "over.avi"), ccgr_files),
}  # fmt: skip


def write_tree(root, benchmark):
    """Writes the pickles and, beside their folder, OpenGait's JSON file; gives the folder."""
    title, train, test, types, views, files = TREES[benchmark]
    source = root / f"{title}-pkl"
    for pid in (*train, *test):
        for kind in types:
            for view in views:
                seed = zlib.crc32(f"{pid}{kind}{view}".encode())
                write_files(source / pid / kind / view, files(view, 3 + seed % 4, seed))
    lists = {"TRAIN_SET": list(train), "TEST_SET": list(test)}
    if benchmark == "gait3d":
        lists["PROBE_SET"] = [f"{pid}-{types[0]}-seq0" for pid in test]
    if benchmark == "ccgr_mini":
        lists["GALLERY_SET"] = [f"{pid}-{kind}-over.avi" for pid in test for kind in types]
    (root / f"{title}.json").write_text(json.dumps(lists))
    return source


def write_files(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, content in files.items():
        (folder / f"{stem}.pkl").write_bytes(pickle.dumps(content))


def prepare(benchmark, source, *options):
    """Runs the script in this process; gives its exit status."""
    from opengait_ext.prepare.gait import run as gait

    command = ["--benchmark", benchmark, "--source", str(source), "--workers", "2"]
    return gait.main([*command, *map(str, options)])
