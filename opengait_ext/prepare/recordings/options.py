"""The command line of ``datasets/prep/own.py``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from opengait_ext.data.words import WORDS, modality_of
from opengait_ext.prepare.images import QUALITY
from opengait_ext.prepare.options import fraction, positive
from opengait_ext.prepare.packing import available_cores
from opengait_ext.prepare.recordings.box_forms import XYWH, XYXY
from opengait_ext.prepare.recordings.tree import LEVELS, parse_tree

_EPILOG = """\
the images of a folder, or the boxes of a track, are one person in one camera. examples:
  own.py --source people --target data/own                        people/anna/rgb/gate/1/*.jpg
  own.py --source people --tree pid/tracklet --modality rgb --camera 1 --target data/own
  own.py --source crops --tracklets list.csv --target data/own    folder,pid,camera,modality
  own.py --videos films --boxes boxes.csv --target data/own       video,frame,x,y,w,h,track,pid,...
  own.py --videos films --boxes mot --cameras cameras.csv --target data/own    mot/<video>.txt
"""


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line; refuse options that exclude each other."""
    parser = argparse.ArgumentParser(
        description="Prepare your own recordings for training, testing and searching.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_images(parser.add_argument_group("folders of images"))
    _add_videos(parser.add_argument_group("videos with boxes"))
    _add_tracklets(parser.add_argument_group("tracklets"))
    _add_use(parser.add_argument_group("what they are for"))
    _add_run(parser.add_argument_group("the run"))
    arguments = parser.parse_args(command)
    _refuse_mixtures(parser, arguments)
    return arguments


def _add_images(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--source", type=Path, metavar="FOLDER", help="that holds the folders")
    group.add_argument(
        "--tree",
        type=_tree,
        metavar="LEVELS",
        help=f"what the levels of folders are: {', '.join(LEVELS)} (_: passed over), with / "
        "between them (default: recognized, pid/modality/camera/tracklet and shorter ones)",
    )
    group.add_argument(
        "--tracklets",
        type=Path,
        metavar="FILE",
        help="CSV folder,pid,camera,modality: any folders, below --source or beside the file",
    )


def _add_videos(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--videos", type=Path, metavar="FOLDER", help="that holds the videos; or a single video"
    )
    group.add_argument(
        "--boxes",
        type=Path,
        metavar="PATH",
        help="CSV video,frame,x,y,w,h,track,pid,camera,modality; or MOT text for one video, or a "
        "folder with <video>.txt for each",
    )
    group.add_argument(
        "--cameras",
        type=Path,
        metavar="FILE",
        help="CSV video,camera,modality, if the boxes do not say it",
    )
    group.add_argument(
        "--first-frame",
        type=int,
        choices=(0, 1),
        help="number of a video's first frame in the boxes (default: 0; MOT: 1)",
    )
    group.add_argument(
        "--box-form",
        choices=(XYWH, XYXY),
        help="what the four numbers are: left, top, width, height; or two corners (default: xywh, "
        "refused where they look like corners)",
    )
    group.add_argument(
        "--class",
        dest="classes",
        nargs="+",
        default=[],
        metavar="NAME",
        help="classes that are people, where the boxes have classes (MOT: the eighth column; CSV: "
        "the column class)",
    )
    group.add_argument(
        "--min-side",
        type=positive,
        default=16,
        metavar="PIXELS",
        help="boxes that are smaller inside the picture are left out (default: %(default)s)",
    )


def _add_tracklets(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--camera", metavar="NAME", help="of all, where nothing else says it")
    group.add_argument(
        "--modality", type=_modality, metavar="WORD", help=f"likewise; one of {WORDS}"
    )
    group.add_argument(
        "--every", type=positive, default=1, metavar="N", help="take each Nth frame (default: 1)"
    )
    group.add_argument(
        "--min-frames",
        type=positive,
        default=1,
        metavar="N",
        help="shorter tracklets are dropped (default: 1, none)",
    )
    group.add_argument(
        "--max-frames",
        type=positive,
        default=0,
        metavar="N",
        help="longer ones are cut into equal tracklets of at most N frames (default: never)",
    )
    group.add_argument(
        "--quality",
        type=_quality,
        default=QUALITY,
        metavar="Q",
        help="of JPEG, for crops and images that are none (default: %(default)s)",
    )
    group.add_argument(
        "--range16",
        type=int,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="values of 16-bit images and videos that become black and white (default: the 0.5th "
        "and 99.5th percentile of each tracklet)",
    )
    group.add_argument("--skip-damaged", action="store_true", help="go without what cannot be read")


def _add_use(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--name", default="own", help="of the data set (default: %(default)s)")
    group.add_argument(
        "--split",
        choices=("test", "search", "train"),
        default="test",
        help="test: people with a pid query each other in both directions, the others are only "
        "embedded; search: all are only embedded; train: all are trained on (default: test)",
    )
    group.add_argument(
        "--train",
        type=_fraction,
        metavar="SHARE",
        help="of the people seen in both modalities are trained on, all others tested",
    )
    group.add_argument(
        "--validation",
        type=fraction,
        default=0.1,
        metavar="SHARE",
        help="of the people trained on, held out to choose models (default: %(default)s)",
    )
    group.add_argument(
        "--camera-rule",
        choices=("same_pid_camid", "none"),
        default="same_pid_camid",
        help="whether a query's own person in its own camera is left out of the gallery (default)",
    )
    group.add_argument(
        "--distractors",
        action="store_true",
        help="people without a pid stand in the gallery; right only if nobody known is among them",
    )


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--target", type=Path, metavar="FOLDER", help="for the prepared data")
    group.add_argument("--dry-run", action="store_true", help="show what would be made, and faults")
    group.add_argument(
        "--anew", action="store_true", help="remove what is prepared in --target and begin again"
    )
    group.add_argument(
        "--workers",
        type=positive,
        default=available_cores(),
        metavar="N",
        help="processes (default: the cores of this machine, %(default)s)",
    )


def _refuse_mixtures(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Exit with status 2 if options are missing or exclude each other."""
    is_video = given.videos is not None
    images = given.source is not None or given.tracklets is not None
    if is_video == images:
        parser.error("give either --source (or --tracklets), or --videos")
    if is_video != (given.boxes is not None):
        parser.error("--videos and --boxes belong together")
    videos = ("cameras", "first_frame", "box_form", "classes")
    for name in ("tree", "tracklets") if is_video else videos:
        if getattr(given, name) not in (None, []):
            option = {"classes": "class"}.get(name, name.replace("_", "-"))
            parser.error(f"--{option} is not for {'videos' if is_video else 'images'}")
    if given.tracklets is not None and (given.tree or given.camera or given.modality):
        parser.error("--tracklets says all itself; leave --tree, --camera and --modality away")
    _refuse_values(parser, given)


def _refuse_values(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Exit with status 2 if values contradict each other."""
    if given.target is None and not given.dry_run:
        parser.error("--target is missing")
    if given.train is not None and given.split != "test":
        parser.error("--train makes the splits itself; leave --split away")
    if given.range16 and given.range16[0] >= given.range16[1]:
        parser.error(f"--range16: {given.range16}, expected the lower value first")
    if given.source is not None and given.target is not None:
        source, target = given.source.resolve(), given.target.resolve()
        if target == source or source in target.parents:
            parser.error("--target lies in --source; choose another folder")


def _tree(text: str) -> tuple[str, ...]:
    try:
        return parse_tree(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _modality(text: str) -> str:
    modality = modality_of(text)
    if modality is None:
        raise argparse.ArgumentTypeError(f"{text!r}, expected one of {WORDS}")
    return text


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a whole number from 1 to 100")
    return int(text)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def _fraction(text: str) -> float:
    if not 0.0 < _share(text) < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r}, expected a number between 0 and 1")
    return _share(text)
