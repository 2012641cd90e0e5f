import numpy as np

from opengait_ext.engine.partial import PartialEmbeddings


def part(start, count):
    positions = np.arange(start, start + count)
    return positions, np.full((count, 3, 2), float(start), np.float32)


def write(path, conditions, *parts):
    file = PartialEmbeddings(path, conditions)
    found = list(file.parts)
    for each in parts:
        file.add(*each)
    file.close()
    return found


def test_what_was_embedded_is_taken_over_under_the_same_conditions_only(tmp_path):
    path = tmp_path / "test" / "x.partial"
    assert write(path, {"a": 1}, part(0, 4), part(4, 2)) == []
    found = write(path, {"a": 1}, part(6, 4))
    assert [positions.tolist() for positions, _ in found] == [[0, 1, 2, 3], [4, 5]]
    assert np.array_equal(found[1][1], part(4, 2)[1])
    assert len(write(path, {"a": 1})) == 3
    assert write(path, {"a": 2}) == []
    assert write(path, {"a": 2}) == []


def test_a_batch_that_was_cut_short_is_embedded_again(tmp_path):
    path = tmp_path / "x.partial"
    write(path, "c", part(0, 4), part(4, 4))
    whole = path.read_bytes()
    for cut, left in [(1, 1), (100, 1), (159, 1), (200, 0), (len(whole) - 20, 0)]:
        path.write_bytes(whole[:-cut])
        assert len(write(path, "c", part(4, 4))) == left
        again = write(path, "c")
        assert len(again) == left + 1
        assert again[-1][0].tolist() == [4, 5, 6, 7]


def test_the_file_is_gone_in_the_end(tmp_path):
    file = PartialEmbeddings(tmp_path / "x.partial", "c")
    file.remove()
    assert list(tmp_path.iterdir()) == []
