"""Faults of published data: data until they are shown, and the words of each kind."""

import pytest

from opengait_ext.prepare.faults import (
    ACCEPTED,
    SENTENCES,
    Fault,
    Faults,
    Kind,
    SourceError,
    listed,
)

WORDS = [
    (Kind.UNREADABLE, ("no UTF-8",), "cannot be read as text (no UTF-8)"),
    (Kind.EMPTY, (), "holds no line, expected tracklets; get the list again"),
    (Kind.MALFORMED, ("1 2", "5 numbers"), "'1 2', expected 5 numbers"),
    (Kind.OUT_OF_RANGE, ("1 9 4", "1 <= start"), "'1 9 4', expected 1 <= start"),
    (
        Kind.FOREIGN_FRAME,
        ("a.jpg", "'1 1 4'"),
        "covers a.jpg of another identity, modality or camera than '1 1 4'",
    ),
    (
        Kind.WRONG_QUERY,
        ("row 3 is visible and listed",),
        "row 3 is visible and listed, expected: all infrared rows are listed, no visible one",
    ),
    (Kind.LISTED_TWICE, ("row 3",), "row 3 is listed a second time"),
    (Kind.IN_TWO_PARTS, ("a and in b",), "is in a and in b, expected in one of them"),
    (Kind.CONTRADICTION, ("row 3", "row 4"), "row 3, but row 4"),
    (Kind.NO_IMAGES, ("", "pictures"), "holds no image, expected pictures"),
    (Kind.UNLISTED_FOLDERS, (1200,), "1,200 identities are in no list and are left out"),
    (Kind.NO_ENTRY, ("x[1] holds []",), "x[1] holds [], expected a list of paths"),
    (
        Kind.UNEQUAL_PAIR,
        ("3 visible and 2 infrared",),
        "3 visible and 2 infrared frames, expected equally many, because training takes frames "
        "of the same numbers from both",
    ),
    (Kind.NO_HOME, ("2 identities (1, 2)",), "none of its 2 identities (1, 2) is there"),
    (Kind.MISSING, ("names.txt",), "listed in names.txt, but not there"),
    (
        Kind.MISSING_FAKE,
        ("FakeIR",),
        "not there, but --fake-ir needs it (published names below FakeIR/ hold RGB; they must not "
        "be renamed)",
    ),
    (Kind.TWINS, ("1.JPG", "1.jpg"), "which of this and 1.JPG is 1.jpg? remove the other"),
    (Kind.NO_FOLDER, ("TEST_SET",), "listed in TEST_SET, but has no folder"),
    (Kind.NO_TRACKLET, ("PROBE_SET",), "listed in PROBE_SET, but not there"),
    (Kind.UNUSABLE, ("is empty",), "is empty"),
    (Kind.CARRIES_CODE, ("refused",), "refused"),
    (Kind.OTHER_CHANNELS, (3, "9 others have 1"), "has 3 channels, 9 others have 1"),
    (Kind.NOTHING_LEFT, ("test",), "no tracklet is left for test"),
    (Kind.NO_SIDE, ("probe", "cl-01"), "no probe is there, of types cl-01"),
    (
        Kind.ONE_VIEW,
        ("018",),
        "has the view '018' alone: without pairs of one view, which the protocol leaves out, there "
        "is nothing to measure",
    ),
    (Kind.NAME_TWICE, ("a.jpg", 3), "a.jpg is listed in line 3, too"),
    (Kind.IMAGE_TWICE, ("a.jpg", 3), "a.jpg is the image of line 3, too"),
    (
        Kind.OVERLAP,
        ("2 of 4", 3),
        "2 of 4 frames belong to row 3, too; both rows are used",
    ),
    (Kind.MIXED_TRACKLETS, ("1 and 9",), "covers frames of the tracklets 1 and 9"),
    (Kind.UNUSED_NAMES, ("4 to 9", "rows.txt"), "lines 4 to 9 belong to no row of rows.txt"),
    (
        Kind.OTHER_LETTERS,
        (1200, "1.JPG"),
        "1,200 names (1.JPG) differ from the list in the case of letters",
    ),
    (Kind.UNLISTED_IMAGES, (1200,), "1,200 images are in no list and are left out"),
    (Kind.STRAY_IMAGES, (1200, "x"), "1,200 images are in no entry of x and are left out"),
    (Kind.IGNORED_MEMBERS, (2,), "2 links or names that lead elsewhere are ignored"),
    (Kind.BACKSLASHES, (1200,), "1,200 paths with backslashes, read as /"),
    (
        Kind.UNSORTED,
        (1200,),
        "1,200 tracklets whose frame numbers do not ascend; their order is kept",
    ),
    (Kind.FRAMES_TWICE, (2,), "2 frames are listed twice in their tracklet"),
    (Kind.OTHER_NUMBERS, (2, "1,200"), "2 of 1,200 pairs have other frame numbers in infrared"),
    (Kind.QUERY_IN_GALLERY, (2, "gallery.txt"), "2 tracklets are in gallery.txt, too"),
    (Kind.SINGLE_FRAMES, (2,), "2 tracklets have a single frame"),
    (Kind.UNUSED_ENTRIES, (2,), "2 tracklets are in none of the lists that were read"),
]


@pytest.mark.parametrize(("kind", "fields", "sentence"), WORDS, ids=[k.name for k, *_ in WORDS])
def test_every_kind_says_what_is_wrong(kind, fields, sentence):
    assert str(Fault(kind, "place", *fields)) == f"place: {sentence}"


def test_every_kind_has_its_words_and_they_are_pinned_here():
    assert set(SENTENCES) == set(Kind) == {kind for kind, *_ in WORDS}


def test_a_fault_names_the_line_of_its_file():
    assert str(Fault(Kind.MISSING, "a.txt", "b", line=3)).startswith("a.txt:3: listed in b")


def test_a_long_value_is_cut_and_its_letters_are_seen():
    said = str(Fault(Kind.MALFORMED, "a.txt", "\x1b" + "x" * 5000, "a name"))
    assert r"'\x1bxxx" in said
    assert len(said) < 120


def test_braces_of_a_value_stay_as_they_are():
    assert "'{place}'" in str(Fault(Kind.MALFORMED, "a.txt", "{place}", "{a name}"))


def test_faults_are_raised_together_with_their_number_and_each_advice_once():
    faults = Faults()
    for number in range(23):
        faults.add(Kind.UNUSABLE, f"{number}.pkl", "is empty", advice="--skip-damaged helps.")
    faults.add(Kind.SINGLE_FRAMES, "list", 5)
    with pytest.raises(SourceError) as raised:
        faults.refuse("data")
    head, *lines = str(raised.value).splitlines()
    assert head == "data: 23 faults, nothing was written"
    assert lines[0] == "  0.pkl: is empty"
    assert lines[-2:] == ["  and 3 more", "--skip-damaged helps."]


def test_what_is_odd_is_remarked_a_line_for_each_kind_and_file_and_not_refused():
    faults = Faults()
    for line in (4, 5, 6):
        faults.add(Kind.NAME_TWICE, "names.txt", "a.jpg", 1, line)
    faults.add(Kind.OVERLAP, "rows.txt", "2 of 4", 1, 3)
    faults.refuse("data")
    assert list(faults.remarks()) == [
        "names.txt:4: a.jpg is listed in line 1, too (and 2 more such)",
        "rows.txt:3: 2 of 4 frames belong to row 1, too; both rows are used",
    ]


def test_a_kind_is_either_refused_or_accepted_by_its_place_in_the_list():
    assert Kind.ONE_VIEW not in ACCEPTED
    assert Kind.NAME_TWICE in ACCEPTED
    assert Kind.UNUSED_ENTRIES in ACCEPTED


def test_a_list_shows_the_first_twenty_lines():
    lines = listed("head", [str(number) for number in range(22)]).splitlines()
    assert lines == ["head", *(f"  {number}" for number in range(20)), "  and 2 more"]
